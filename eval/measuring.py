"""Measuring: a system on examples of a split, whichever are asked for, with a row per example as it completes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import dspy

from ..programs.metrics import Metric
from ..runtime.canonical import canonical
from ..runtime.errors import BadInput
from ..runtime.lm import LM
from ..runtime.progress import Bar, progress
from .rows import Row, Status
from .runner import Job, Runner, id_of
from .samples import Samples, merged


@dataclass(frozen=True)
class System:
    """A program, ready to run."""

    name: str
    program: dspy.Module
    lm: LM | None
    """The model of predictors that have none of their own."""
    adapter: str


@dataclass(frozen=True)
class Split:
    """What systems are measured on."""

    name: str
    examples: Sequence[dspy.Example]
    metric: Metric


class Measuring:
    """One system on one split, while it lasts.

    Args:
        system: made by ``system_of``; its program is changed to the samples' temperature.
        split: at least one example.
        samples: answers to each.
        concurrency: engine calls in flight.

    Raises:
        BadInput: for no examples, two of one id, a concurrency that is none, or samples that would all be the same.
    """

    def __init__(self, system: System, split: Split, samples: Samples, concurrency: int | None) -> None:
        if not split.examples:
            raise BadInput("no examples to evaluate on: expected at least one")
        ids = Counter(id_of(example, split.name, place) for place, example in enumerate(split.examples))
        if twice := [repr(id) for id, count in ids.items() if count > 1]:
            shown = ", ".join(twice[:5]) + (f" and {len(twice) - 5:,} more" if len(twice) > 5 else "")
            raise BadInput(f"several examples share the id {shown}: give each an id of its own, or leave the ids out")
        samples.prepare(system.name, system.program, system.lm)
        self._system, self._split, self._samples = system, split, samples
        self._runner = Runner(system.lm, split.metric, adapter=system.adapter, concurrency=concurrency)
        self._ledger = None if system.lm is None else system.lm.door.session.ledger
        self.failures: Counter[tuple[Status, str]] = Counter()
        """How many answers came to nothing, by status and kind; a row of several answers keeps their scores alone."""
        self._parts: dict[int, dict[int, Row]] = {}
        self._total, self._scored = 0.0, 0
        self._bar: Bar | None = None
        self._sink: IO[bytes] | None = None

    @contextmanager
    def watched(self, rows: Path | None) -> Iterator[Measuring]:
        """Progress for somebody who looks on, and a line in a file for every example that has completed."""
        with ExitStack() as stack:
            self._sink = None if rows is None else stack.enter_context(_sink(rows))
            self._bar = stack.enter_context(progress(f"evaluate {self._system.name}", len(self._split.examples)))
            yield self

    def rows(self, places: Sequence[int]) -> list[Row]:
        """The rows of the examples at some places of the split, in that order.

        Raises:
            Stop: if a budget, the journal, the model or the metric ended the run.
        """
        count = self._samples.count
        jobs = [
            Job(self._system.program, self._split.examples[place], place, self._split.name, sample)
            for place in places
            for sample in range(count)
        ]
        found = [outcome.row for outcome in self._runner.run(jobs, on_row=self._on_row)]
        self.failures.update((row.status, row.failure.kind) for row in found if row.failure is not None)
        return [merged(found[start : start + count]) for start in range(0, len(found), count)]

    def _on_row(self, job: Job, row: Row) -> None:
        parts = self._parts.setdefault(job.index, {})
        parts[job.sample] = row
        if len(parts) < self._samples.count:
            return
        row = merged([parts[sample] for sample in range(self._samples.count)])
        del self._parts[job.index]
        if self._sink is not None:
            self._sink.write(canonical(row.dump()) + b"\n")
        self._total, self._scored = self._total + (row.score or 0.0), self._scored + (row.score is not None)
        if self._bar is not None:
            spent = "" if self._ledger is None else f"; {self._ledger.status}"
            self._bar.advance()
            self._bar.note(f"score {100 * self._total / max(1, self._scored):.1f}{spent}")


def _sink(path: Path) -> IO[bytes]:
    try:
        return path.open("ab", buffering=0)
    except OSError as error:
        raise BadInput(f"cannot write rows to {path}: {error.strerror}") from None
