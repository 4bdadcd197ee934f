"""Leaderboards: systems on one task, side by side on the same examples, with intervals, ranks, gains and costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...runtime.atomic import write_bytes
from ...runtime.canonical import pretty
from ...runtime.errors import BadInput
from ..clusters import clustered
from ..compare import Comparison, check_clusters, comparison, on_others
from ..order import aligned
from ..report import Report
from ..statistics.intervals import Interval
from .asked import Asked, Example, asked_of
from .history import Track
from .slices import Slicing, slicings
from .standing import Rank, Standing, standing


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a board."""

    report: Report
    gain: Comparison | None
    """Against the baseline, example by example; ``None`` for the baseline itself, or where nothing was scored."""
    rank: Rank | None = None
    """The ranks it could hold; ``None`` where nothing was scored."""
    group: int | None = None
    """Its group of ties, from 1 on."""
    letters: str = ""
    """Two systems share a letter if and only if their order is not established."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What the systems of a board score by another metric of the same task and split."""

    metric: str
    scores: tuple[Interval | None, ...]
    """In the board's order; ``None`` for a system that was not scored by it."""


@dataclass(frozen=True)
class Board:
    """Systems on one task, best first. It displays itself in a notebook and at a prompt."""

    task: str
    split: str
    metric: str
    baseline: str
    """The system that gains are measured against."""
    entries: tuple[Entry, ...]
    standing: Standing
    """Every pair of systems, in the order of the entries."""
    examples: Asked | None = None
    """What the systems were asked, a mapping for each row, where it was given."""
    slicings: tuple[Slicing, ...] = ()
    """Scores by the values of the examples' fields."""
    left_out: int = 0
    """Examples that not all systems were run on, and that are therefore not on the board."""
    beside: tuple[Beside, ...] = ()
    """Other metrics, where it is one of several boards; each has a board of its own."""
    history: tuple[Track, ...] = ()
    """How systems have moved from version to version, where earlier ones are known."""

    @cached_property
    def lines(self) -> list[dict[str, str]]:
        """The board's cells as text, by column; columns in which nothing was recorded are left out."""
        from .text import lines

        return lines(self)

    @property
    def place(self) -> int:
        """Where the baseline stands among the entries."""
        return next(i for i, entry in enumerate(self.entries) if entry.report.system == self.baseline)

    @property
    def title(self) -> str:
        """What the board shows, in a line."""
        n, clusters = len(self.entries[0].report.rows), self.clusters
        name = " ".join(part for part in (self.task, self.split) if part)
        within = f" in {clusters:,} clusters" if clusters else ""
        return f"{name}, {n:,} example{'s' * (n > 1)}{within}, {self.metric}; points with 95 % intervals"

    @property
    def clusters(self) -> int:
        """Clusters that the examples stand in; 0 where each stands alone."""
        return len(set(self.entries[0].report.clusters or ()))

    @property
    def notes(self) -> list[str]:
        """What a reader should know: the baseline, ties, failures, and every system's own notes."""
        from .text import notes

        return notes(self)

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        from .data import dump

        return dump(self)

    def csv(self) -> str:
        """A line for each system, with the figures as plain numbers."""
        from .data import csv

        return csv([self])

    def markdown(self) -> str:
        """A Markdown table under a line that says what it shows."""
        from .text import markdown

        return markdown(self)

    def html(self, *, live: str = "") -> str:
        """One page that needs nothing from outside; ``live`` as ``page``."""
        from .page import page

        return page([self], live=live)

    def save(self, folder: Path | str, *, live: str = "") -> dict[str, Path]:
        """Write ``leaderboard.{html,md,json,csv}`` into a folder; where each lies. ``live`` as ``page``."""
        return save(Path(folder), self.html(live=live), self.markdown(), self.dump(), self.csv())

    def __str__(self) -> str:
        from .text import terminal

        return terminal(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from .page import frame

        return frame([self])


def leaderboard(
    reports: Sequence[Report],
    *,
    baseline: str | None = None,
    examples: Sequence[Example] | None = None,
    slices: Sequence[str] | None = None,
    cluster: str | None = None,
    shared: bool = False,
) -> Board:
    """A board of reports on the same examples; those in another order are put into the baseline's.

    Args:
        reports: one a system.
        baseline: the system that gains are measured against; the first one by default.
        examples: what was asked, in the order of the baseline's rows; the page shows it beside the outputs and slices
            by it. What the reports have kept themselves by default.
        slices: fields of the examples to slice by; those with few values by default.
        cluster: a field of the examples by whose values they stand together, e.g. a document with several questions;
            every interval, test, rank and slice allows for it (``clustered``). What the rows say by default.
        shared: of reports on different examples, take those that all of them have; how many were left out is noted.

    Raises:
        BadInput: for no reports, two of one name, an unknown baseline, reports on different examples (how many they
            share is said) or in different clusters, of several tasks or metrics, rows that ``Report.check`` refuses,
            or examples that are not those of the rows.
    """
    if not reports:
        raise BadInput("an empty board: expected at least one report")
    names = [report.system for report in reports]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInput(f"two systems are called {twice[0]!r}: give each report's system a name of its own")
    if baseline is not None and baseline not in names:
        raise BadInput(f"baseline {baseline!r} is not on the board; expected one of: {', '.join(names)}")
    base = reports[names.index(baseline)] if baseline is not None else reports[0]
    for report in reports:
        _check_kind(report, base)
    reports = [aligned(report, base) for report in reports]
    asked = asked_of(reports, base, examples)
    left_out = 0
    if shared:
        reports, asked, left_out = _shared(reports, base, asked)
        base = reports[names.index(base.system)]
    for report in reports:
        _check_same(report, base)
    if cluster is not None:
        reports = [clustered(report, cluster, asked) for report in reports]
        base = reports[names.index(base.system)]
    for report in reports:
        check_clusters(report, base)
    order = sorted(reports, key=lambda report: -report.score.value if report.score else 1.0)
    scores = np.array([[np.nan if row.score is None else row.score for row in report.rows] for report in order])
    found = standing(scores, base.clusters)
    place = next(i for i, report in enumerate(order) if report is base)
    gains = [
        comparison(found.alone, i, place) if i != place and found.alone.n[i, place] else None for i in range(len(order))
    ]
    entries = tuple(map(Entry, order, gains, found.ranks, found.groups, found.letters))
    cuts = () if asked is None else slicings(scores, asked, slices, base.clusters)
    return Board(base.task, base.split, base.metric, base.system, entries, found, asked, cuts, left_out)


def save(folder: Path, html: str, markdown: str, dump: dict[str, Any], csv: str) -> dict[str, Path]:
    """Write the four forms of a board; where each lies."""
    pages = {"html": html.encode(), "md": markdown.encode(), "json": pretty(dump), "csv": csv.encode()}
    for kind, data in pages.items():
        write_bytes(folder / f"leaderboard.{kind}", data)
    return {kind: folder / f"leaderboard.{kind}" for kind in pages}


def _check_kind(report: Report, base: Report) -> None:
    """One task, one metric, and rows that can be counted."""
    for what, own, other in (("task", report.task, base.task), ("metric", report.metric, base.metric)):
        if own and other and own != other:
            raise BadInput(
                f"{report.system} was scored on the {what} {own!r} and {base.system} on {other!r}: expected one "
                f"{what}; boards(...) takes several"
            )
    report.check()


def _check_same(report: Report, base: Report) -> None:
    mine, theirs = [row.id for row in report.rows], [row.id for row in base.rows]
    if mine != theirs:
        raise BadInput(
            f"{on_others((report.system, mine), (base.system, theirs))}; evaluate both on the same split, or take the "
            "shared ones: leaderboard(..., shared=True), on the command line --shared"
        )


def _shared(reports: Sequence[Report], base: Report, asked: Asked | None) -> tuple[list[Report], Asked | None, int]:
    """The reports cut to the examples that all have, in the baseline's order, and how many examples were left out."""
    places = [{row.id: row for row in report.rows} for report in reports]
    kept = [i for i, row in enumerate(base.rows) if all(row.id in own for own in places)]
    if not kept:
        raise BadInput(f"the {len(reports)} reports share no example: expected some that all were run on")
    ids = [base.rows[i].id for i in kept]
    cut = [
        replace(report, rows=tuple(replace(own[id], index=index) for index, id in enumerate(ids)), examples=None)
        for report, own in zip(reports, places, strict=True)
    ]
    every = {id for own in places for id in own}
    return cut, None if asked is None else tuple(asked[i] for i in kept), len(every) - len(kept)
