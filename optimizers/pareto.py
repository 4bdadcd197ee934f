"""Fronts: who is dominated by nobody, who may be dropped from a race for several objectives, and hypervolume.

Candidates are compared pair by pair on the examples that both have met. A race for several objectives drops a
candidate when somebody who is no worse in any other objective makes it dispensable by the score, as S-Race does with a
sign test (Zhang, Georgiopoulos and Anagnostopoulos, "S-Race: a multi-objective racing algorithm", GECCO 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..eval.statistics.values import Scores
from .standing import standing

_EQUAL = 1e-9
"""Means that differ by less, relative to the largest value, count as equal."""
SLACK = 0.01
"""The same in a race for all objectives but the score: a price lower by less is not worth a place of its own."""


@dataclass(frozen=True, slots=True)
class Outdone:
    """Why a candidate may be dropped."""

    by: int
    """Who is ahead of it in score and no worse in anything else."""
    behind: float
    """The mean by which that one's score is higher, on the examples that both have met."""
    shared: int
    """How many these are."""
    value: float
    """What the candidate is expected to add to the best score of those that are no worse in anything else."""


def no_worse(tables: Sequence[Scores], slack: float = _EQUAL) -> NDArray[np.bool_]:
    """(A, A): whether the row is no worse than the column in any of the objectives, on the examples both have met.

    Args:
        tables: of each objective ``(A, n)``, the more the better; nan where not met. Nobody is compared with somebody
            with whom no example is shared.
        slack: what counts as equal, as a share of the largest value.
    """
    each = [_apart(table) >= -slack * float(np.nanmax(np.abs(table), initial=0.0)) for table in tables]
    return np.asarray(np.all(each, axis=0), dtype=np.bool_)


def nondominated(tables: Sequence[Scores]) -> NDArray[np.bool_]:
    """(A,): who is dominated by nobody; of those that are equal in everything the first stays.

    Args:
        tables: as of ``no_worse``.
    """
    at_least = no_worse(tables)
    better = at_least & ~at_least.T
    equal = at_least & at_least.T
    return np.asarray(~(better.any(axis=0) | np.triu(equal, 1).any(axis=0)), dtype=np.bool_)


def outdone(
    scores: Scores, others: Sequence[Scores], live: Sequence[int], rows: int, *, worth: float, seed: int
) -> dict[int, Outdone]:
    """Which of the live candidates of a race may be dropped; the lowest scores are looked at first.

    Args:
        scores: ``(A, n)`` by candidate and place in the common order; nan where not met. Of equals the first is
            preferred.
        others: the other objectives in the same form, the more the better.
        live: indices of those that may be dropped.
        rows, worth, seed: as of ``standing``.
    """
    at_least = no_worse(others, SLACK)
    there = ~np.isnan(scores)
    means = np.where(there, scores, 0.0).sum(axis=1) / np.maximum(1, there.sum(axis=1))
    kept, found = set(range(len(scores))), {}
    for index in sorted(live, key=lambda i: (means[i], -i)):
        rivals = [other for other in kept if other != index and at_least[other, index]]
        if not rivals:
            continue
        group = sorted([*rivals, index])
        said, at = standing(scores[group], rows, worth=worth, seed=seed), group.index(index)
        if not said.keep[at]:
            kept.discard(index)
            found[index] = Outdone(
                group[said.leader], float(said.behind[at]), int(said.shared[at]), float(said.value[at])
            )
    return found


def hypervolume(points: Sequence[Sequence[float]]) -> float:
    """The volume between the origin and the points that dominate it, the more the better in every coordinate.

    Exact, by slicing along the last coordinate (While, Hingston, Barone and Huband, IEEE Transactions on Evolutionary
    Computation 10, 2006); meant for some dozens of points in two to four dimensions.
    """
    inside = [tuple(point) for point in points if all(x > 0 for x in point)]
    if not inside:
        return 0.0
    if len(inside[0]) == 1:
        return max(point[0] for point in inside)
    heights = sorted({point[-1] for point in inside})
    total, below = 0.0, 0.0
    for height in heights:
        total += (height - below) * hypervolume([point[:-1] for point in inside if point[-1] >= height])
        below = height
    return total


def _apart(table: Scores) -> Scores:
    """(A, A): the mean of row - column on what both have met; nan where that is nothing."""
    there = ~np.isnan(table)
    filled, met = np.where(there, table, 0.0), there.astype(np.float64)
    shared = met @ met.T
    return np.where(shared > 0, (filled @ met.T - met @ filled.T) / np.maximum(shared, 1), np.nan)
