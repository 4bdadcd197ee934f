"""``alternate``: prompts and weights in turn, each on top of what the other has reached.

After BetterTogether (Soylu et al., "Fine-Tuning and Prompt Optimization: Two Great Steps that Work Better Together",
2407.10930): prompts are searched, a model is trained on the runs that they make good, and prompts are searched anew for
the model as it is now. Here a model goes on only where the program is not inferior with it, and what was gained from
beginning to end is measured on dev rows that had no part in choosing prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dspy

from ..eval.runner import Job, Runner
from ..optimizers.compile import RESERVE, Where, compile, model_config
from ..optimizers.compiled import CompiledProgram
from ..optimizers.config import dump as dump_optimizer
from ..optimizers.config import kept_apart, optimizer_of
from ..optimizers.confirming import Confirmed, confirmed
from ..optimizers.selection import Selection
from ..programs.task import CompileView, Task
from ..runtime.budget import Budget, budget_of
from ..runtime.cassette import export
from ..runtime.derive import seed_of
from ..runtime.errors import BadInput, BudgetExhausted
from ..runtime.home import default_journal, run_folder
from ..runtime.lm import LM
from ..runtime.models import Model, adopt, lm_for
from ..runtime.rundir import RunDir
from ..runtime.session import Session
from .alternated import AlternatedProgram, Alternation, Step
from .checking import check_apart, check_trainable, weights_of
from .distill import alone, distill
from .distilled import DistilledProgram, dump_distilled
from .recipes import recipe_of
from .stages import Cascade
from .stages.common import base_digest
from .students import keeps_prompt


def alternate(
    task: Task | CompileView,
    lm: Model,
    student: str,
    how: str | Alternation = "p -> w -> p",
    budget: Budget | None = None,
    seed: int = 0,
    *,
    prompt_lm: Model | None = None,
    concurrency: int | None = None,
    run: Path | str | Where | None = None,
) -> AlternatedProgram:
    """Search prompts and train weights in turn.

    Args:
        task: what to make good; its test split is never looked at.
        lm: the model that the program runs on at first.
        student: the base model that takes its place, predictor by predictor: ``embedded:small``, a folder, a hub name.
        how: the strategy, ``p`` for prompts and ``w`` for weights, as dspy.BetterTogether takes it; or an
            ``Alternation``, which says how each of them is done.
        budget: caps on all steps together; every step has an equal share, and goes on with what it reached when that is
            spent. Students cost nothing.
        seed: everything that is left to chance follows from it.
        prompt_lm: the model that writes instructions; ``lm`` by default.
        concurrency: engine calls in flight while prompts are searched.
        run: the run directory, or a ``Where``. Every step has a run directory of its own in it.

    Returns:
        the program; ``.verdict`` says what was gained, and ``.steps`` what each step brought. It ends early where
        weights are held back, and where no predictor reads a prompt any more (students of some recipes do not).

    Raises:
        BadInput: for a strategy that is none, a recipe with a cascade, and whatever ``compile`` and ``distill`` refuse.
    """
    if not isinstance(task, Task | CompileView):
        raise BadInput(f"alternate(task={task!r}): expected a dstill.Task")
    chosen = how if isinstance(how, Alternation) else Alternation(how)
    recipe, optimizer = recipe_of(chosen.recipe), optimizer_of(chosen.optimizer)
    if any(isinstance(stage, Cascade) for stage in recipe.stages):
        raise BadInput(f"recipe {recipe.name} has a cascade, whose teacher the next step would change: leave it out")
    where = alone(run)
    models = lm_for(lm), lm_for(prompt_lm if prompt_lm is not None else lm)
    check_trainable(recipe, student, task.program, models[0], task.adapter)
    config = {
        "task": task.name, "source": task.source and dict(task.source), "data": task.digests, "adapter": task.adapter,
        "lm": model_config(models[0]), "prompt_lm": model_config(models[1]),
        "student": {"base": student, "weights": base_digest(student)}, "strategy": chosen.strategy,
        "optimizer": dump_optimizer(optimizer), "recipe": recipe.dump(), "models": weights_of(recipe),
        "margin": chosen.margin, "budget": budget_of(budget).caps(), "seed": seed_of(seed),
    }  # fmt: skip
    label = where.name or f"{task.name} {student.rstrip('/').rpartition('/')[2]} ({chosen.strategy})"
    folder = run_folder(where.folder, f"{task.name}-alternate", config)
    check_apart(folder, recipe, student, *models)
    with RunDir(folder, kind="alternate", config=config, replace=where.replace) as out:
        session = Session(run=out.id, budget=budget, parent=where.session or Session(default_journal(out.path)))
        how = replace(chosen, optimizer=optimizer, recipe=recipe)
        made = _Work(task, models, student, how, session, seed, concurrency, where.replace, label, out).do()
        export(session, out.file("cassette.jsonl.zst"))
        out.finish(shipped=sorted(made.students), stopped=made.stopped)
    return made


@dataclass(frozen=True)
class _At:
    """How far it has come."""

    task: Any
    """The task, with the students that are trained in their predictors' places."""
    made: CompiledProgram | DistilledProgram
    """The program as the last step left it."""
    students: Mapping[str, Any]
    gates: Mapping[str, Any]
    steps: tuple[Step, ...] = ()
    stopped: str | None = None


@dataclass(frozen=True)
class _Work:
    """One alternation."""

    task: Task | CompileView
    models: tuple[LM, LM]
    student: str
    how: Alternation
    session: Session
    seed: int
    concurrency: int | None
    replace: bool
    label: str
    out: RunDir

    def do(self) -> AlternatedProgram:
        """All steps, and what they come to."""
        declared = compile(self.task, self.models[0], "zero-shot", seed=self.seed, run=self._where("0-declared"))
        at = _At(self.task, declared, {}, {})
        for number, kind in enumerate(self.how.order, 1):
            if kind == "p" and not _reads_prompts(at):
                break
            try:
                at = self._prompts(at, number) if kind == "p" else self._weights(at, number)
            except BudgetExhausted as stop:
                at = _stopped(at, number, str(stop))
                break
            if kind == "w" and not at.steps[-1].shipped:
                break
        return self._result(at)

    def _prompts(self, at: _At, number: int) -> _At:
        lm, prompt_lm = self.models
        made = compile(
            at.task, lm, self.how.optimizer, self._share, self.seed, prompt_lm=prompt_lm, concurrency=self.concurrency,
            run=self._where(f"{number}-prompts"),
        )  # fmt: skip
        step = Step(f"{number}-prompts", made.verdict)
        at = replace(at, made=made, steps=(*at.steps, step))
        return _stopped(at, number, made.evidence.stopped if made.evidence is not None else None)

    def _weights(self, at: _At, number: int) -> _At:
        assert isinstance(at.made, CompiledProgram)
        made = distill(
            at.made, at.task, self.student, self.how.recipe, self.how.margin, self._share, self.seed,
            run=self._where(f"{number}-weights"),
        )  # fmt: skip
        step = Step(f"{number}-weights", made.verdict, tuple(sorted(made.students)))
        # A predictor whose new student is held back keeps the one that it has, and the verdict on that one.
        gates = {name: gate for name, gate in made.gates.items() if gate.shipped or name not in at.students}
        at = replace(
            at, task=replace(at.task, program=adopt(made.program, self.session)), made=made,
            students={**at.students, **made.students}, gates={**at.gates, **gates}, steps=(*at.steps, step),
        )  # fmt: skip
        return _stopped(at, number, made.stopped)

    def _result(self, at: _At) -> AlternatedProgram:
        gain = self._gain(at)
        lm = self.models[0].on(self.session)
        made = AlternatedProgram(
            self.label, self.task.name, at.made.program, lm, self.task.adapter, at.made.candidate, at.students,
            at.gates, (), self.out.path, None, at.stopped, at.steps, gain.gain,
        )  # fmt: skip
        self.out.write("program.json", dump_distilled(made))
        self.out.write("report.json", {
            "kind": "alternate", "verdict": made.verdict, "steps": [step.dump() for step in at.steps],
            "students": {name: gate.dump() for name, gate in at.gates.items()},
            "rows": {"won": gain.won, "lost": gain.lost},
        })  # fmt: skip
        return made

    def _gain(self, at: _At) -> Confirmed:
        """What was gained over the declared program, on the rows that no step chose prompts by."""
        # A part of its own: what steps that were cut off have spent depends on timing, what is kept for this does not.
        budget = self.session.ledger.budget.part(RESERVE)
        last = Session(run=f"{self.session.run}/gain", budget=budget, parent=self.session)
        runner = Runner(self.models[0].on(last), self.task.metric, adapter=self.task.adapter)
        rows = Selection.of(self.task.dev, kept_apart(optimizer_of(self.how.optimizer)), self.seed).confirm

        def met(program: dspy.Module) -> list[Any]:
            jobs = [Job(program, self.task.dev[row], row, "dev") for row in rows]
            return [outcome.row for outcome in runner.run(jobs)]

        last.ledger.begin_round()
        try:
            both = [met(adopt(program, last)) for program in (at.made.program, self.task.program)]
        except BudgetExhausted:
            return Confirmed()
        if not last.ledger.round_holds():
            return Confirmed()
        return confirmed(*both, level=0.95, seed=self.seed)

    @property
    def _share(self) -> Budget:
        return self.how.share(self.session.ledger.budget)

    def _where(self, name: str) -> Where:
        return Where(self.out.path / name, self.session, self.replace, name)


def _stopped(at: _At, number: int, why: str | None) -> _At:
    """With the first reason for which a step ended early, if any."""
    return at if why is None or at.stopped is not None else replace(at, stopped=f"step {number}: {why}")


def _reads_prompts(at: _At) -> bool:
    """Whether there is anybody left to search prompts for."""
    names = [name for name, _ in at.task.program.named_predictors()]
    return any(name not in at.students or keeps_prompt(at.students[name]) for name in names)
