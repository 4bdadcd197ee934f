"""``dstill.leaderboard``: programs in, board out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import dspy

from .distill.distilled import DistilledProgram
from .eval.board import Board
from .eval.board import leaderboard as board_of
from .eval.evaluate import Artifact, System, check_answers, evaluate_on
from .eval.report import Report
from .eval.samples import Samples
from .programs.task import Task
from .runtime.home import JOURNAL, runs_folder
from .runtime.journal import Journal
from .runtime.models import Model
from .runtime.session import Session

Programs = Sequence[Any] | Mapping[str, Any]


def leaderboard(
    programs: Programs,
    task: Task,
    *,
    lm: Model | None = None,
    split: str = "test",
    baseline: str | None = None,
    cluster: str | None = None,
    session: Session | None = None,
    concurrency: int | None = None,
    samples: int | Samples = 1,
) -> Board:
    """Score programs on a split of a task and put them on a board.

    Args:
        programs: a list of modules and of what ``compile`` and ``distill`` returned, or a mapping from names to
            them. Reports that are there already are taken as they are. Of a distilled program every trained student
            is measured, those held back too, with a note that says so.
        task: its test split is opened here.
        lm: the model of bare modules; that of the first compiled program by default.
        split: the split to score on.
        baseline: the system that gains are measured against; the first by default.
        cluster: a field of the examples by whose values they stand together, e.g. a document with several questions;
            intervals, tests and ranks allow for it.
        session: the run on whose behalf calls are made; one on the default journal by default.
        concurrency: engine calls in flight.
        samples: answers to each example, or ``Samples(count, temperature)``, as for ``evaluate``.

    Returns:
        a board that displays itself.
    """
    if isinstance(programs, Report | Artifact | dspy.Module):
        programs = [programs]
    named = programs.items() if isinstance(programs, Mapping) else [(None, program) for program in programs]
    made = [program for _, program in named if isinstance(program, Artifact) and not isinstance(program, dspy.Module)]
    session = session or Session(Journal(runs_folder() / JOURNAL))
    model = lm if lm is not None else made[0].lm if made else None
    reports = []
    for name, program in named:
        if isinstance(program, Report):
            reports.append(program)
            continue
        bare = isinstance(program, dspy.Module)
        label = name or ("declared" if bare else None)
        chosen = model if bare else None
        notes: tuple[str, ...] = ()
        student = isinstance(program, DistilledProgram)  # may be so weak that nobody can read it
        if isinstance(program, DistilledProgram):
            notes = program.held
            program = System(program.name, program.trained or program.program, program.lm, program.adapter)
        report = evaluate_on(
            task, program, split, lm=chosen, name=label, session=session, concurrency=concurrency, samples=samples
        )
        if not student:
            check_answers(report.system, report.rows)
        reports.append(replace(report, notes=(*report.notes, *notes)))
    here = all((report.task, report.split) == (task.name, split) for report in reports)  # some may have been there
    asked = task.split(split) if here else None
    return board_of(reports, baseline=baseline, examples=asked, cluster=cluster)
