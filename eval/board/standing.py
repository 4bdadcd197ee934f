"""Who is better than whom: every pair of systems on the examples both were scored on, ranks with intervals, groups of
ties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..compare import Comparison
from ..report import Report
from ..statistics.hypothesis import mcnemar_many
from ..statistics.intervals import bonett_price_bounds
from ..statistics.pairs import AllPairs, all_pairs
from ..statistics.ranks import compact_letters

Matrix = NDArray[np.float64]
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Rank:
    """The ranks that a system could hold, 1 the best."""

    low: int
    """1 + the systems that are established to be better."""
    high: int
    """The scored systems on the board less those established to be worse."""

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}–{self.high}"


@dataclass(frozen=True)
class Standing:
    """All pairs of S systems, in the order in which the board shows them; nan where no example was scored for both."""

    value: Matrix
    """(S, S): the mean of row - column."""
    low: Matrix
    high: Matrix
    """(S, S): ends of the paired 95 % interval of that pair alone."""
    p: Matrix
    """(S, S): two-sided, of that pair alone."""
    better: NDArray[np.bool_]
    """(S, S): row is established to be better than column, at 95 % for all pairs of the board together."""
    ranks: tuple[Rank | None, ...]
    """``None`` for a system of which nothing was scored."""
    groups: tuple[int | None, ...]
    """Groups of ties from 1 on: nobody in a group is established to be worse than the group's first."""
    letters: tuple[str, ...]
    """Two systems share a letter if and only if their order is not established."""

    @property
    def pairs(self) -> int:
        """Pairs that could be compared."""
        return int(np.isfinite(self.value[np.triu_indices(len(self.value), 1)]).sum())

    @property
    def undecided(self) -> int:
        """Pairs of them whose order is not established."""
        return self.pairs - int(self.better.sum())


def standing(reports: Sequence[Report], baseline: int, gains: Sequence[Comparison | None]) -> Standing:
    """Every pair of systems; reports and their gains over the baseline are in the board's order.

    Of right-or-wrong scores, a pair's interval and test are those of ``compare``. Of other scores they are too where
    one of the two is the baseline; elsewhere they come from one paired bootstrap of all systems, since a thousand
    pairs one by one would take minutes. What is established stands on that bootstrap, for all pairs together; ranks
    and groups follow (``statistics.pairs``, ``statistics.ranks``).
    """
    scores = np.array([[np.nan if row.score is None else row.score for row in report.rows] for report in reports])
    alive = np.isfinite(scores).any(axis=1)
    size = len(reports)
    better = np.zeros((size, size), dtype=np.bool_)
    value, low, high, p = (np.full((size, size), np.nan) for _ in range(4))
    if size > 1:
        pairs = all_pairs(scores, LEVEL)
        better = pairs.better(LEVEL)
        for matrix, column, sign in ((value, pairs.difference, -1), (p, pairs.p, 1)):
            matrix[pairs.first, pairs.second], matrix[pairs.second, pairs.first] = column, sign * column
        low[pairs.first, pairs.second], low[pairs.second, pairs.first] = pairs.low, -pairs.high
        high[pairs.first, pairs.second], high[pairs.second, pairs.first] = pairs.high, -pairs.low
        _right_or_wrong(scores, pairs, (value, low, high, p))
        _gains(gains, baseline, (value, low, high, p))
    total = int(alive.sum())
    ranks = tuple(
        Rank(1 + int(better[:, i].sum()), total - int(better[i].sum())) if alive[i] else None for i in range(size)
    )
    letters = compact_letters(better | better.T, range(size))
    return Standing(value, low, high, p, better, ranks, _groups(better, alive), letters)


def _right_or_wrong(scores: Matrix, pairs: AllPairs, found: tuple[Matrix, Matrix, Matrix, Matrix]) -> None:
    """Bonett and Price's interval and the exact McNemar test, for all pairs of right-or-wrong scores at once."""
    here = np.isfinite(scores)
    right = np.where(here, scores, 0.0)
    binary = ((right == 0) | (right == 1)).all(axis=1)
    there = here.astype(np.float64)
    n = there @ there.T
    wins = np.round(right @ (there - right).T)
    low, high = bonett_price_bounds(wins, wins.T, n)
    ours = binary[:, None] & binary & (n > 0) & ~np.eye(len(scores), dtype=np.bool_)
    exact = ((wins - wins.T) / np.maximum(n, 1), low, high, mcnemar_many(wins, wins.T))
    for matrix, column in zip(found, exact, strict=True):
        matrix[ours] = column[ours]


def _gains(gains: Sequence[Comparison | None], baseline: int, found: tuple[Matrix, Matrix, Matrix, Matrix]) -> None:
    """The pairs with the baseline as ``compare`` has them."""
    for i, one in enumerate(gains):
        if one is None:
            continue
        gain = one.difference
        forth, back = (gain.value, gain.low, gain.high, one.p), (-gain.value, -gain.high, -gain.low, one.p)
        for matrix, here, there in zip(found, forth, back, strict=True):
            matrix[i, baseline], matrix[baseline, i] = here, there


def _groups(better: NDArray[np.bool_], alive: NDArray[np.bool_]) -> tuple[int | None, ...]:
    groups: list[int | None] = []
    first, number = -1, 0
    for i in range(len(alive)):
        if not alive[i]:
            groups.append(None)
            continue
        if first < 0 or better[first, i]:
            first, number = i, number + 1
        groups.append(number)
    return tuple(groups)
