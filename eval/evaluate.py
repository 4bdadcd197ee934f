"""``evaluate``: a program on examples, with a row per example as it completes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Protocol, runtime_checkable

import dspy

from ..programs.metrics import Metric, name_of
from ..programs.task import Task
from ..runtime.canonical import canonical
from ..runtime.errors import BadInput
from ..runtime.lm import LM
from ..runtime.models import Model, adopt, lm_for
from ..runtime.progress import progress
from ..runtime.rundir import RunDir
from ..runtime.session import Session
from .report import Report
from .rows import Row, fields_of
from .runner import Runner, jobs_for


@runtime_checkable
class Artifact(Protocol):
    """A program with the model it was made for: what ``compile`` and ``distill`` return."""

    name: str
    program: dspy.Module
    lm: LM
    adapter: str


@dataclass(frozen=True)
class System:
    """A program, ready to run."""

    name: str
    program: dspy.Module
    lm: LM | None
    """The model of predictors that have none of their own."""
    adapter: str


def system_of(
    program: dspy.Module | Artifact | System,
    lm: Model | None = None,
    *,
    name: str | None = None,
    adapter: str | None = None,
    session: Session | None = None,
) -> System:
    """Whatever a public call takes for a program, with every model on behalf of ``session``.

    Raises:
        BadInput: for something that is no program, or a program without a model.
    """
    if isinstance(program, System | Artifact):
        module, own, found, kind = program.program, program.lm, program.name, program.adapter
    elif isinstance(program, dspy.Module):
        module, own, found, kind = program, None, type(program).__name__, "chat"
    else:
        raise BadInput(f"{program!r} is no program: expected a dspy.Module, or what compile or distill returned")
    predictors = [predictor for _, predictor in module.named_predictors()]
    if not predictors:
        raise BadInput(f"the program {found} has no predictor: nothing in it calls a language model")
    chosen = lm if lm is not None else own if own is not None else dspy.settings.lm
    if chosen is None and any(predictor.lm is None for predictor in predictors):
        raise BadInput(f"no model for {found}: pass lm=..., e.g. lm='openai/gpt-4.1-mini' or lm='embedded'")
    bound = None if chosen is None else lm_for(chosen, session)
    return System(name or found, adopt(module, session), bound, adapter or kind)


def evaluate(
    program: dspy.Module | Artifact | System,
    examples: Sequence[dspy.Example],
    metric: Metric,
    lm: Model | None = None,
    *,
    name: str | None = None,
    split: str = "examples",
    session: Session | None = None,
    concurrency: int | None = None,
    rows: Path | str | None = None,
) -> Report:
    """Score a program on examples; the report is the same at any concurrency.

    Args:
        program: a ``dspy.Module``, or what ``compile`` or ``distill`` returned.
        examples: with inputs (``Example.with_inputs``).
        metric: a number in [0, 1] or a ``Score`` for an example and a prediction.
        lm: the model of predictors without one of their own; DSPy's configured one by default.
        name: what to call the system.
        split: what to call the examples.
        session: the run on whose behalf calls are made (its journal and budget).
        concurrency: engine calls in flight.
        rows: a file to which a line is added for every example as it completes.

    Raises:
        BadInput: for no examples, no program, no model, or if not one example brought a readable answer.
        Stop: if a budget, the journal, the model or the metric ended the run.
    """
    system = system_of(program, lm, name=name, session=session)
    report = _measure(system, examples, metric, split, concurrency, rows)
    check_answers(report.system, report.rows)
    return report


def evaluate_on(
    task: Task,
    program: dspy.Module | Artifact | System,
    split: str = "test",
    *,
    lm: Model | None = None,
    name: str | None = None,
    session: Session | None = None,
    concurrency: int | None = None,
    run: RunDir | None = None,
    must_answer: bool = True,
) -> Report:
    """``evaluate`` on a split of a task; with a run directory, the report and its rows are written there.

    While it lasts, ``rows.jsonl.part`` holds a line for every example that has completed. With ``must_answer`` false,
    a system that brought no readable answer at all gets its score of 0 (a student may be that weak) and no error.
    """
    part = None if run is None else run.file("rows.jsonl.part")
    if part is not None:
        part.unlink(missing_ok=True)
    system = system_of(program, lm, name=name, adapter=None if _is_made(program) else task.adapter, session=session)
    report = replace(_measure(system, task.split(split), task.metric, split, concurrency, part), task=task.name)
    if must_answer:
        check_answers(report.system, report.rows)
    if run is not None and part is not None:
        report.save(run)
        part.unlink(missing_ok=True)
    return report


def _measure(
    system: System,
    examples: Sequence[dspy.Example],
    metric: Metric,
    split: str,
    concurrency: int | None,
    rows: Path | str | None,
) -> Report:
    if not examples:
        raise BadInput("no examples to evaluate on: expected at least one")
    runner = Runner(system.lm, metric, adapter=system.adapter, concurrency=concurrency)
    with ExitStack() as stack:
        sink = None if rows is None else stack.enter_context(_sink(Path(rows)))
        bar = stack.enter_context(progress(f"evaluate {system.name}", len(examples)))
        total, count = 0.0, 0
        ledger = None if system.lm is None else system.lm.door.session.ledger

        def on_row(row: Row) -> None:
            nonlocal total, count
            if sink is not None:
                sink.write(canonical(row.dump()) + b"\n")
            total, count = total + (row.score or 0.0), count + (row.score is not None)
            bar.advance()
            bar.note(f"score {100 * total / max(1, count):.1f}{'' if ledger is None else f'; {ledger.status}'}")

        outcomes = runner.run(jobs_for(system.program, examples, split), on_row=on_row)
    found = tuple(outcome.row for outcome in outcomes)
    asked = tuple(fields_of(example) for example in examples)
    return Report(system.name, "", split, name_of(metric), found, parameters_of(system), examples=asked)


def _sink(path: Path) -> IO[bytes]:
    try:
        return path.open("ab", buffering=0)
    except OSError as error:
        raise BadInput(f"cannot write rows to {path}: {error.strerror}") from None


def _is_made(program: object) -> bool:
    return not isinstance(program, dspy.Module)


def check_answers(name: str, rows: Sequence[Row]) -> None:
    """Raises BadInput if no example brought a prediction, saying why the first did not."""
    if all(row.failure is not None and row.failure.kind != "abstained" for row in rows):
        failure = rows[0].failure
        assert failure is not None
        advice = {
            "parse": "the model answers in no form that the adapter can read: try another adapter or a stronger model",
            "context": "its prompts are longer than the model's context",
            "lm": "the model cannot be reached, or fails on every call",
            "program": "the program raises on every example",
        }[failure.kind]
        raise BadInput(
            f"{name} brought no prediction on any of {len(rows)} examples; {advice}. "
            f"The first, {rows[0].id}: {failure.type}: {failure.message}"
        )


def parameters_of(system: System) -> int | None:
    """Weights of the distinct local models in a system; ``None`` if one of its models is not local."""
    lms = [p.lm or system.lm for _, p in system.program.named_predictors()]
    doors = {id(lm.door.engine): lm.door for lm in lms if lm is not None}
    counts = [door.parameters for door in doors.values()]
    return None if None in counts else sum(count for count in counts if count is not None)
