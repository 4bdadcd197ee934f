"""A part: one system on one split of one task, from samples to reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...runtime.errors import BadInput
from ..report import Report, Spent
from ..rows import Failure, Row, Status
from ..samples import gaps, merged
from .keep import Keep, Twice
from .sample import Mark, NoScore, Reading, Sample, score_of


@dataclass(frozen=True, slots=True)
class Source:
    """What stands behind a part: whose, on what, and where it was read."""

    system: str
    task: str
    split: str
    file: Path


class Part:
    """Takes samples as they come in, and makes a report for each metric."""

    def __init__(self, source: Source, reading: Reading, most: int) -> None:
        self.source = source
        self.strict = bool(reading.metrics)
        """Whether every value must be a score; else a metric whose values are none is left out, with a note."""
        self.expected: tuple[str, ...] = ()
        """Metrics that were to be measured; needed where no sample has one."""
        self.planned: Sequence[str] = ()
        """Ids of the examples that were to be answered, in order; those without a sample become unscored rows."""
        self.means: dict[str, tuple[int, float]] = {}
        """By metric: samples with a score, and the sum of these."""
        self._reading, self._keep = reading, Keep(most)
        self._notes: list[str] = []
        self._refused: dict[str, tuple[str, str]] = {}
        self._names: dict[str, str | None] = {}
        self._plain: dict[str | float, Mark] = {}

    def note(self, text: str) -> None:
        """Something that a reader of the reports should know."""
        if text not in self._notes:
            self._notes.append(text)

    @property
    def examples(self) -> int:
        """How many examples have a sample, as far as they are kept."""
        return len(self._keep)

    @property
    def metrics(self) -> list[str]:
        """Every metric that came, asked for or not."""
        return [self._reading.name(name) for name in self._names]

    def lower(self, metric: str) -> None:
        """Say that a metric is better when it is lower; it is no score until a scale turns it round.

        Raises:
            BadInput: where it was asked for without a scale.
        """
        name = self._reading.name(metric)
        if self._reading.scale is None and self._reading.wants(name) and name not in self._refused:
            self._refuse(name, str(self.source.file), "lower is better; read it with scale=(WORST, 0), on the command "
                         "line --scale WORST:0")  # fmt: skip

    def add(self, sample: Sample) -> None:
        """Take a sample.

        Raises:
            BadInput: for an id without text, a second record of the same answer, and values that are no scores.
        """
        if not sample.id:
            raise BadInput(f"{self._where(sample)}: the id is empty; expected one for every example")
        marks = {}
        for given, mark in sample.marks.items():
            name = self._name(given)
            if name is not None and name not in self._refused:
                found = self._mark(name, mark, sample)
                if found is not None:
                    marks[name] = found
                    count, total = self.means.get(name, (0, 0.0))
                    self.means[name] = (count, total) if found.value is None else (count + 1, total + found.value)
        sample.marks = marks
        try:
            self._keep.add(sample)
        except Twice as error:
            raise BadInput(f"{self._where(sample)}: {error}") from None

    def reports(self) -> list[Report]:
        """A report for each metric that was asked for; none if there are none of these, or none has scores.

        Raises:
            BadInput: where no sample came, or an id came twice.
        """
        if not self._keep.seen:
            raise BadInput(f"{self.source.file} is empty: it has no examples")
        twice = self._keep.duplicate()
        if twice is not None:
            raise BadInput(f"{self.source.file}, {twice[0]} and {twice[1]} have the same id; expected it once")
        self._keep.prune()
        expected = [self._reading.name(name) for name in self.expected]
        names = list(self.means) or [
            name for name in expected if self._reading.wants(name) and name not in self._refused
        ]
        if self._reading.scale is not None and len(names) > 1:
            raise BadInput(
                f"scale={self._reading.scale!r} for several metrics, {', '.join(names)}: choose one with metric=, on "
                "the command line --metric"
            )
        return [self._report(name) for name in names]

    @property
    def left_out(self) -> list[str]:
        """The metrics that are no scores, each with the place and why."""
        return [f"{where}: {said}" for where, said in self._refused.values()]

    def _where(self, sample: Sample) -> str:
        return f"{self.source.file}, {sample.unit} {sample.place}"

    def _mark(self, name: str, given: Mark, sample: Sample) -> Mark | None:
        """A mark with its score; ``None`` if the metric has none. Most are but a value, and of few values; these are
        made once."""
        plain = not given.feedback and given.failure is None and isinstance(given.value, str | int | float)
        known = self._plain.get(given.value) if plain else None
        if known is not None:
            return known
        try:
            found = Mark(score_of(given.value, self._reading.scale), given.feedback, given.failure)
        except NoScore as error:
            self._refuse(name, f"{self._where(sample)}, id {sample.id!r}", str(error))
            return None
        if plain and len(self._plain) < 10_000:
            self._plain[given.value] = found
        return found

    def _refuse(self, name: str, where: str, why: str) -> None:
        said = f"{name}: {why}"
        if self.strict:
            raise BadInput(f"{where}: {said}")
        self._refused[name] = where, said
        self.means.pop(name, None)

    def _name(self, given: str) -> str | None:
        """What a metric is called; ``None`` if it was not asked for."""
        if given not in self._names:
            name = self._reading.name(given)
            self._names[given] = name if self._reading.wants(name) else None
        return self._names[given]

    @property
    def _each(self) -> bool:
        """Whether each of several answers to an example is a row."""
        return self._reading.repeats == "each" and self._keep.repeats > 1

    def _report(self, metric: str) -> Report:
        answers = list(self._answers())
        rows = [row_of(index, id, samples, metric) for index, (id, samples) in enumerate(answers)]
        if self._each:
            rows = [replace(row, cluster=samples[0].id) for row, (_, samples) in zip(rows, answers, strict=True)]
        there = {samples[0].id for _, samples in answers} if self.planned else set()
        missing = [id for id in self.planned if id not in there]
        rows += [
            Row(index, id, "unscored", None, "", {}, MISSING, 0, 0, 0, 0.0, 0.0)
            for index, id in enumerate(missing, len(rows))
        ]
        asked = [samples[0].asked for _, samples in answers] + [{} for _ in missing]
        source = self.source
        return Report(
            source.system, source.task, source.split, metric, tuple(rows), None, self._said(metric, rows),
            tuple(asked) if any(asked) else None, recorded=_recorded(rows),
        )  # fmt: skip

    def _answers(self) -> Iterator[tuple[str, list[Sample]]]:
        """What becomes a row, with its id: the examples in the planned order, or else in the file's."""
        order = {id: place for place, id in enumerate(self.planned)}
        for samples in sorted(self._keep, key=lambda samples: order.get(samples[0].id, len(order))):
            if self._each:
                yield from ((f"{sample.id}#{sample.repeat}", [sample]) for sample in samples)
            else:
                yield samples[0].id, samples

    def _said(self, metric: str, rows: Sequence[Row]) -> tuple[str, ...]:
        """Notes: the reader's, and what was done with what was read."""
        found = [*self._notes, *(f"left out {said}" for _, said in self._refused.values())]
        if self._keep.repeats > 1:
            each = "each is a row, and those to one example are a cluster"
            how = each if self._each else "a row is their mean"
            found.append(f"up to {self._keep.repeats} answers to an example: {how}")
            found += gaps(rows)
        if self._keep.untexted:
            found.append(f"the texts of {self._keep.untexted:,} samples were left out, to save memory")
        if self._keep.dropped:
            count, total = self.means.get(metric, (0, 0.0))
            whole = f"; the mean of all is {100 * total / count:.3f}" if count else ""
            found.append(
                f"{self._keep.seen:,} samples, of which those of {len(self._keep):,} examples were kept, by a digest "
                f"of their ids (the same examples in every file){whole}"
            )
        return tuple(found)


MISSING = Failure("error", "Missing", "the example was to be answered, and there is no sample of it")


def _recorded(rows: Sequence[Row]) -> tuple[Spent, ...]:
    """What of costs a tool has kept: where it has nothing but zeros, it has kept none."""
    found: dict[Spent, bool] = {
        "usd": any(row.usd for row in rows), "seconds": any(row.seconds for row in rows),
        "tokens": any(row.tokens_in for row in rows),
    }  # fmt: skip
    return tuple(what for what, there in found.items() if there)


def row_of(index: int, id: str, samples: Sequence[Sample], metric: str) -> Row:
    """The row of an example, of all its answers."""
    return merged([_row(index, id, sample, sample.marks.get(metric)) for sample in samples])


def _row(index: int, id: str, sample: Sample, mark: Mark | None) -> Row:
    score: float | None = None if mark is None else mark.value
    failure = sample.failure if mark is None else mark.failure or (None if mark.value else sample.failure)
    status: Status = "unscored" if score is None else "failed" if score == 0 and failure else "scored"
    if score is None and failure is None:
        failure = Failure("abstained", "", "there is no score")
    return Row(
        index, id, status, score, mark.feedback if mark else "", sample.outputs,
        None if status == "scored" else failure, sample.calls, sample.tokens_in, sample.tokens_out, sample.usd,
        sample.seconds,
    )  # fmt: skip
