"""What a reader reads into, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, overload

from ...runtime.errors import BadInput
from ..report import Report
from .keep import MOST
from .part import Part, Source
from .sample import Reading


@dataclass(frozen=True)
class Results(Sequence[Report]):
    """What was read: a report for each system, task, split and metric."""

    path: Path
    form: str
    """The name of the form that it was read as."""
    reports: tuple[Report, ...]
    left_out: tuple[str, ...] = ()
    """Metrics that are no scores, each with the place and why."""

    def __len__(self) -> int:
        return len(self.reports)

    @overload
    def __getitem__(self, place: int) -> Report: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Report]: ...
    def __getitem__(self, place: int | slice) -> Report | Sequence[Report]:
        return self.reports[place]

    def __iter__(self) -> Iterator[Report]:
        return iter(self.reports)


class Collector:
    """Takes samples from a reader, by system, task and split."""

    def __init__(self, path: Path, reading: Reading, most: int = MOST) -> None:
        self.path, self.reading = path, reading
        self._most = most
        self._parts: dict[tuple[str, str, str], Part] = {}
        self._passed: dict[str, None] = {}

    def wants(self, task: str) -> bool:
        """Whether a task was asked for, by the name that the file has for it."""
        name = self.reading.name(task)
        if self.reading.tasks and name not in self.reading.tasks:
            self._passed[name] = None
            return False
        return True

    def part(self, source: Source) -> Part:
        """The part of a system, task and split; made when first asked for.

        Raises:
            BadInput: where another file holds the same.
        """
        name = self.reading.name
        source = replace(source, task=name(source.task), split=name(source.split))
        key = (source.system, source.task, source.split)
        if key not in self._parts:
            self._parts[key] = Part(source, self.reading, self._most)
        part = self._parts[key]
        if part.source.file != source.file:
            raise BadInput(
                f"{part.source.file} and {source.file} hold {source.system} on {source.task} twice: name the one that "
                "is meant"
            )
        return part

    def known(self, source: Source) -> Part | None:
        """The part of a system, task and split, where there is one."""
        name = self.reading.name
        return self._parts.get((source.system, name(source.task), name(source.split)))

    def results(self, form: str) -> Results:
        """What was read.

        Raises:
            BadInput: where there is nothing of what was asked for, and as ``Part.reports``.
        """
        if not self._parts and self._passed:
            raise BadInput(
                f"{self.path} has no task {' or '.join(self.reading.tasks)}; expected some of: "
                f"{', '.join(self._passed)}"
            )
        if not self._parts:
            raise BadInput(f"{self.path} is empty: it has no examples")
        reports = [report for part in self._parts.values() for report in part.reports()]
        left_out = [said for part in self._parts.values() for said in part.left_out]
        if not reports and left_out:
            raise BadInput(left_out[0])
        found = Results(self.path, form, tuple(reports), tuple(left_out))
        return chosen(found, self.reading, [name for part in self._parts.values() for name in part.metrics])


def chosen(results: Results, reading: Reading, metrics: Sequence[str] = ()) -> Results:
    """The reports that were asked for, under the system's name that was given.

    Raises:
        BadInput: if there are none, or the name fits several systems.
    """
    kept = [report for report in results if reading.wants(report.metric)]
    if not kept:
        there = dict.fromkeys([*metrics, *(report.metric for report in results)])
        if not there:
            raise BadInput(f"{results.path} holds no score at all; expected some samples that have one")
        raise BadInput(
            f"{results.path} has no metric {' or '.join(reading.metrics)}; expected one of: {', '.join(there)}"
        )
    systems = list(dict.fromkeys(report.system for report in kept))
    if reading.system is None:
        return replace(results, reports=tuple(kept))
    if len(systems) > 1 and reading.system not in systems:
        raise BadInput(
            f"{results.path} holds several systems, which cannot all be called {reading.system!r}; expected one of "
            f"them: {', '.join(systems)}"
        )
    if reading.system in systems:
        kept = [report for report in kept if report.system == reading.system]
    return replace(results, reports=tuple(replace(report, system=reading.system) for report in kept))


class Reader(Protocol):
    """Reads one tool's results.

    A reader hands every sample of every system, task and split to the collector, in the file's order, whatever was
    asked for; choosing, naming and checking are the collector's. It reads as a stream: what it holds at a time does
    not grow with the number of samples. It leaves nothing out in silence: an error becomes a sample with a failure.

    Raises:
        BadInput: for files that are missing, empty, of an unknown version, or not of its form, naming the file and the
            place.
    """

    @property
    def name(self) -> str:
        """Of the form, as ``read_results(form=...)`` takes it."""
        ...

    def read(self, path: Path, into: Collector) -> None:
        """Hand over the samples of the results at a path."""
        ...
