"""``evaluate``: a program on examples, with a row per example as it completes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import dspy

from ..programs.metrics import Metric, name_of
from ..programs.task import Task
from ..runtime.errors import BadInput
from ..runtime.lm import LM
from ..runtime.models import Model, adopt, lm_for
from ..runtime.rundir import RunDir
from ..runtime.session import Session
from .measuring import Measuring, Split
from .measuring import System as System
from .report import Report
from .rows import Row, Scoring, Status, fields_of
from .samples import ONE, Samples, failing, gaps, samples_of


@runtime_checkable
class Artifact(Protocol):
    """A program with the model it was made for: what ``compile`` and ``distill`` return."""

    name: str
    program: dspy.Module
    lm: LM
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
    examples: Iterable[dspy.Example],
    metric: Metric,
    lm: Model | None = None,
    *,
    name: str | None = None,
    session: Session | None = None,
    concurrency: int | None = None,
    samples: int | Samples = 1,
    rows: Path | str | None = None,
) -> Report:
    """Score a program on examples; the report is the same at any concurrency.

    Args:
        program: a ``dspy.Module``, or what ``compile`` or ``distill`` returned.
        examples: with inputs (``Example.with_inputs``), and with ids of their own where they have any.
        metric: a number in [0, 1] or a ``Score`` for an example and a prediction.
        lm: the model of predictors without one of their own; DSPy's configured one by default.
        name: what to call the system.
        session: the run on whose behalf calls are made (its journal and budget).
        concurrency: engine calls in flight.
        samples: answers to each example, or ``Samples(count, temperature)``. A row's score is the mean of its answers,
            so rows stay independent; ``Report.reliability`` says whether one or all of k answers are right.
        rows: a file to which a line is added for every example as it completes.

    Raises:
        BadInput: for no examples, two of one id, no program, no model, several samples of a program that leaves
            nothing to chance, or if not one example brought a readable answer.
        Stop: if a budget, the journal, the model or the metric ended the run.
    """
    if not isinstance(examples, Iterable):
        raise BadInput(f"evaluate(examples={examples!r}): expected dspy.Examples, such as a list of them")
    system = system_of(program, lm, name=name, session=session)
    split = Split("examples", list(examples), metric)
    report = measure(system, split, samples_of(samples), concurrency, None if rows is None else Path(rows))
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
    samples: int | Samples = 1,
    run: RunDir | None = None,
) -> Report:
    """``evaluate`` on a split of a task; with a run directory, the report and its rows are written there.

    While it lasts, ``rows.jsonl.part`` holds a line for every example that has completed. A system that brought no
    readable answer at all gets its score of 0 (a student may be that weak); ``check_answers`` makes that an error.
    """
    part = None if run is None else run.file("rows.jsonl.part")
    if part is not None:
        part.unlink(missing_ok=True)
    system = system_on(task, program, lm, name, session)
    on = Split(split, task.split(split), task.metric)
    report = replace(measure(system, on, samples_of(samples), concurrency, part), task=task.name)
    if run is not None and part is not None:
        report.save(run)
        part.unlink(missing_ok=True)
    return report


def system_on(
    task: Task, program: dspy.Module | Artifact | System, lm: Model | None, name: str | None, session: Session | None
) -> System:
    """``system_of`` a program; a bare module gets the task's adapter."""
    adapter = task.adapter if isinstance(program, dspy.Module) else None
    return system_of(program, lm, name=name, adapter=adapter, session=session)


def measure(system: System, split: Split, samples: Samples, concurrency: int | None, rows: Path | None) -> Report:
    """A system on all examples of a split; ``rows`` is a file for a line per example as it completes."""
    with Measuring(system, split, samples, concurrency).watched(rows) as measuring:
        found = measuring.rows(range(len(split.examples)))
    return report_of_rows(system, split, samples, found, measuring.failures)


def report_of_rows(
    system: System,
    split: Split,
    samples: Samples,
    rows: Sequence[Row],
    failures: Mapping[tuple[Status, str], int],
) -> Report:
    """The report of rows whose index is their example's place in the split, and of how their answers failed."""
    asked = tuple(fields_of(split.examples[row.index]) for row in rows)
    notes = [samples.note, *gaps(rows)] if samples != ONE else []
    if samples.count > 1:
        notes += failing(failures, len(rows) * samples.count)
    asking = sum((row.scoring for row in rows), Scoring())
    if asking.calls:
        tokens = asking.tokens_in + asking.tokens_out
        notes.append(
            f"scored by a model: {asking.calls:,} calls of the metric, {tokens:,} tokens, ${asking.usd:,.4g}, in no "
            "figure of the system"
        )
    metric, parameters = name_of(split.metric), parameters_of(system)
    return Report(system.name, "", split.name, metric, tuple(rows), parameters, tuple(notes), asked)


def check_answers(name: str, rows: Sequence[Row]) -> None:
    """Raises BadInput if no example brought a prediction, saying why the first did not."""
    if all(row.failure is not None and row.failure.kind != "abstained" for row in rows):
        failure = rows[0].failure
        assert failure is not None
        advice = {
            "parse": "the model answers in no form that the adapter can read: try another adapter or a stronger model",
            "context": "its prompts are longer than the model's context",
            "lm": "the model cannot be reached, or fails on every call",
            "program": "the program fails on every example",
        }[failure.kind]
        if "No LM is loaded" in failure.message:  # DSPy's own advice would lead past journal and budget
            advice = "threads that forward starts do not know of the model: take dspy.Parallel or copy_context().run"
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
