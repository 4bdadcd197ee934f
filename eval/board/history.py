"""History: how the systems of a board have moved from version to version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..compare import Comparison, compare_scores
from ..report import Report
from ..statistics.intervals import Interval


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a system, and what it gained over the one before it."""

    name: str
    """Such as ``v2`` or ``#7``."""
    number: int
    """Its place in the history of the whole board, from 1 on; later is larger."""
    added: str
    """When it was added; the day alone is shown in tables."""
    n: int
    """Examples it was run on."""
    score: Interval | None
    gain: Comparison | None
    """Over the version before, paired on the examples that both were scored on; ``None`` for the first, and where they
    share none."""

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        gain = self.gain
        return {
            "version": self.name, "number": self.number, "added": self.added, "n": self.n,
            "score": self.score and self.score.dump(),
            "gain": gain and {**gain.difference.dump(), "p": gain.p, "n": gain.n, "verdict": gain.verdict},
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Track:
    """The versions of one system, the oldest first."""

    system: str
    versions: tuple[Version, ...]

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {"system": self.system, "versions": [version.dump() for version in self.versions]}


@dataclass(frozen=True, slots=True)
class Past:
    """A version's evaluation."""

    report: Report
    name: str
    number: int
    added: str


def tracks(past: Sequence[Past]) -> tuple[Track, ...]:
    """The tracks of all systems that have more than one version, in the order in which the systems first appear.

    Args:
        past: evaluations of one task, split and metric, the oldest first.
    """
    systems: dict[str, list[Past]] = {}
    for one in past:
        systems.setdefault(one.report.system, []).append(one)
    return tuple(Track(system, _versions(own)) for system, own in systems.items() if len(own) > 1)


def _versions(own: Sequence[Past]) -> tuple[Version, ...]:
    before = [None, *(one.report for one in own[:-1])]
    return tuple(
        Version(
            one.name, one.number, one.added, len(one.report.rows), one.report.score,
            None if old is None else _gain(one.report, old),
        )
        for one, old in zip(own, before, strict=True)
    )  # fmt: skip


def _gain(new: Report, old: Report) -> Comparison | None:
    """The paired difference on the examples that both have under one id, asked alike, and were scored on."""
    asked = {row.id: example for row, example in zip(old.rows, old.examples or (), strict=old.examples is not None)}
    scores = {row.id: row.score for row in old.rows}
    ours, theirs, places = [], [], []
    for place, row in enumerate(new.rows):
        theirs_ = scores.get(row.id)
        alike = new.examples is None or asked.get(row.id, new.examples[place]) == new.examples[place]
        if row.score is not None and theirs_ is not None and alike:
            ours.append(row.score)
            theirs.append(theirs_)
            places.append(place)
    clusters = None if new.clusters is None else [new.clusters[place] for place in places]
    return compare_scores(ours, theirs, clusters=clusters) if ours else None
