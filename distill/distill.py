"""``distill``: from a compiled program to the same program on small models, with proof."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..optimizers.compile import Where, model_config
from ..optimizers.compiled import CompiledProgram, dump_program
from ..programs.task import CompileView, Task
from ..runtime.budget import Budget, Cost, budget_of
from ..runtime.cassette import export
from ..runtime.derive import seed_of
from ..runtime.errors import BadInput
from ..runtime.home import default_journal, run_folder
from ..runtime.models import adopt
from ..runtime.rundir import RunDir
from ..runtime.session import Session
from ..runtime.written import CHECKPOINTS
from .checking import check_apart, check_behind, check_teacher, check_trainable, weights_of
from .distilled import DistilledProgram, dump_distilled
from .recipes import Recipe, recipe_of
from .stages import Stage
from .stages.binding import bind, candidate_with, shipped_lms, student_lms
from .stages.common import base_digest
from .state import DistillState, Gated, check_margin
from .students import read_student, write_card


def distill(
    compiled: CompiledProgram | Sequence[CompiledProgram],
    task: Task | CompileView,
    student: str,
    recipe: str | Recipe | Sequence[Stage] = "sft",
    margin: float = 0.01,
    budget: Budget | None = None,
    seed: int = 0,
    *,
    run: Path | str | Where | None = None,
) -> DistilledProgram:
    """Train students on a compiled program's runs and put them where they are not inferior.

    Args:
        compiled: the teacher: what ``compile`` returned. Of several, the first is the one whose program the students
            go into and are compared with; the answers of all are votes.
        task: its task; the test split is never looked at, but for hashes by which rows that stand there are known.
        student: the base model to fine-tune: ``embedded:small``, a folder, or a hub name.
        recipe: ``sft``, ``label-only``, ``step-by-step`` (generative students), ``labels``, ``soft-labels``,
            ``pairs``, ``corrected``, ``gold`` (classifiers), or a list of stages.
        margin: what the program may lose on dev with a student, in score; the default is one point. It is held at a
            one-sided 95 % level, so few dev rows let few students pass.
        budget: caps on what the teacher is asked for; students cost nothing.
        seed: order of rows, new weights, dropout.
        run: the run directory, or a ``Where``; interrupted and called again, even a training goes on where it was.

    Returns:
        the program; ``.verdict`` says which students ship, and why the others do not.

    Raises:
        BadInput: for a teacher that passes nothing, labels that make no classifier, a margin that makes no sense, a
            base or a teacher that lies in the run directory, and what ``check_trainable`` refuses.
        ModelUnavailable: for a base model that cannot be had or trained.
    """
    teachers = (compiled,) if isinstance(compiled, CompiledProgram) else compiled
    if not isinstance(teachers, list | tuple) or not all(isinstance(one, CompiledProgram) for one in teachers):
        raise BadInput(f"distill(compiled={compiled!r}): expected what compile returned, or a list of such")
    if not teachers:
        raise BadInput("distill(compiled=[]): expected at least one teacher")
    teacher, *others = teachers
    if not isinstance(student, str) or not student:
        raise BadInput(f"student={student!r}: expected embedded:small, a model folder, or a hub name")
    if not isinstance(task, Task | CompileView):
        raise BadInput(f"distill(task={task!r}): expected the dstill.Task that the program was compiled for")
    check_margin(margin)
    chosen = recipe_of(recipe)
    view = task.compile_view if isinstance(task, Task) else task
    for one in teachers:
        check_teacher(one, view.program)
    check_behind(teacher, chosen)
    check_trainable(chosen, student, view.program, teacher.lm, teacher.adapter)
    where = alone(run)
    config = {
        "task": view.name, "source": view.source and dict(view.source), "data": view.digests, "adapter": view.adapter,
        "teacher": _teacher(teacher),
        **({"others": [_teacher(one) for one in others]} if others else {}),
        "student": {"base": student, "weights": base_digest(student)},
        "recipe": chosen.dump(), "models": weights_of(chosen), "margin": margin,
        "budget": budget_of(budget).caps(), "seed": seed_of(seed),
    }  # fmt: skip
    label = where.name or f"{view.name} {student.rstrip('/').rpartition('/')[2]} ({chosen.name})"
    folder = run_folder(where.folder, f"{view.name}-{chosen.name}", config)
    check_apart(folder, chosen, student, *(one.lm for one in teachers))
    with RunDir(folder, kind="distill", config=config, replace=where.replace) as out:
        session = Session(run=out.id, budget=budget, parent=where.session or Session(default_journal(out.path)))
        out.write("teacher.json", dump_program(teacher))
        for number, one in enumerate(others, 2):
            out.write(f"teacher-{number}.json", dump_program(one))
        view = replace(view, program=adopt(view.program, session))
        fence = task.fence if isinstance(task, Task) else None
        state = DistillState(view, teacher, student, session, out.path, seed, margin, tuple(others), fence)
        for stage in chosen.stages:
            state = _step(stage, state)
        made = _assemble(state, label, out)
        export(session, out.file("cassette.jsonl.zst"))
        shutil.rmtree(out.file(CHECKPOINTS), ignore_errors=True)
        out.finish(shipped=sorted(made.students), stopped=made.stopped)
    return made


def alone(run: Path | str | Where | None) -> Where:
    """Where a run lies that one process does.

    Raises:
        BadInput: where a storage is named, by which several would share it.
    """
    where = run if isinstance(run, Where) else Where(run)
    if where.storage is not None:
        raise BadInput(f"storage={where.storage!r}: only compile is shared by several processes; leave it out")
    return where


def _teacher(compiled: CompiledProgram) -> dict[str, Any]:
    return {"digest": compiled.candidate.digest, "lm": model_config(compiled.lm)}


def _step(stage: Stage, state: DistillState) -> DistillState:
    """A stage, with what its answers cost in its effect."""
    before = set(state.session.used())
    after = stage.run(state)
    entries = [state.session.journal.get(key) for key in state.session.used() if key not in before]
    ended = after.stopped != state.stopped
    cost = None if ended else sum((entry.cost for entry in entries if entry is not None), Cost())
    return replace(after, effects=(*after.effects[:-1], replace(after.effects[-1], cost=cost)))


def _assemble(state: DistillState, label: str, out: RunDir) -> DistilledProgram:
    unproven = Gated(False, "the recipe has no gate stage, so nothing was compared")
    state = replace(state, gates={name: state.gates.get(name, unproven) for name in state.students})
    shipped = {name: folder for name, folder in state.students.items() if state.gates[name].shipped}
    program = bind(state, shipped_lms(shipped, state))
    candidate = candidate_with(state, shipped)
    dev = {name: value for effect in state.effects for name, value in effect.dev.items()}
    for name, place in state.students.items():
        write_card(place, read_student(place), state.gates[name].told(dev.get(f"with {name}"), dev.get("teacher")))
    lm = state.teacher.lm.on(state.session)
    made = DistilledProgram(
        label, state.task.name, program, lm, state.teacher.adapter, candidate, shipped, state.gates, state.effects,
        out.path, bind(state, student_lms(state.students, state)), state.stopped,
    )  # fmt: skip
    out.write("program.json", dump_distilled(made, state.teacher.candidate))
    out.write(
        "report.json",
        {
            "kind": "distill",
            "verdict": made.verdict,
            "students": {name: gate.dump() for name, gate in state.gates.items()},
            "stages": [effect.dump() for effect in state.effects],
        },
    )
    return made
