"""Who is better than whom: every pair of systems on the examples both were scored on, ranks with intervals, groups of
ties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..statistics.paired import Paired, paired
from ..statistics.pairs import all_pairs
from ..statistics.ranks import compact_letters
from ..statistics.values import Labels

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
    """All pairs of S systems, in the order in which the board shows them."""

    alone: Paired
    """Each pair by itself: difference, 95 % interval, test."""
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
        return int((self.alone.n[np.triu_indices(len(self.better), 1)] > 0).sum())

    @property
    def undecided(self) -> int:
        """Pairs of them whose order is not established."""
        return self.pairs - int(self.better.sum())


def standing(scores: Matrix, clusters: Labels | None = None) -> Standing:
    """Every pair of systems.

    A pair's interval and test are those of ``compare``, whichever of the two is the baseline. What is established
    stands on one paired bootstrap of all systems, for all pairs together; ranks and groups follow
    (``statistics.pairs``, ``statistics.ranks``).

    Args:
        scores: ``(S, n)`` in the board's order, nan where unscored.
        clusters: what each example shares with others.
    """
    alive: NDArray[np.bool_] = np.asarray(np.isfinite(scores).any(axis=1))
    size = len(scores)
    alone = paired(scores, LEVEL, clusters=clusters)
    better: NDArray[np.bool_] = np.zeros((size, size), dtype=np.bool_)
    if size > 1:
        better = all_pairs(scores, LEVEL, clusters=clusters).better(LEVEL)
    total = int(alive.sum())
    ranks = tuple(
        Rank(1 + int(better[:, i].sum()), total - int(better[i].sum())) if alive[i] else None for i in range(size)
    )
    letters = compact_letters(better | better.T, range(size))
    return Standing(alone, better, ranks, _groups(better, alive), letters)


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
