"""Every pair of systems on the examples both were scored on: difference, interval and test of that pair alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .clusters import difference_bounds
from .hypothesis import MOST_SIGNS, flips_without_chance, mcnemar_many, sign_blocks, sign_flips
from .intervals import END_OF_DIFFERENCES, bonett_price_bounds, bounded_bounds
from .pairs import pair_blocks
from .resample import RESAMPLES, clusters_as_units
from .values import Holed, Labels, Scores, as_scores, check_level, places_of

Counts = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Paired:
    """Pairs of S systems; in every matrix (S, S) the row against the column, nan where they share no scored example."""

    value: Scores
    """The mean of row - column."""
    low: Scores
    high: Scores
    """As ``paired_interval``, or ``cluster_difference`` where there are clusters, within [-1, 1]."""
    p: Scores
    """Two-sided: exact McNemar for right-or-wrong scores, else the sign-flip test; always that where there are
    clusters, whose signs are flipped as a whole."""
    n: Counts
    """Examples that both were scored on."""
    wins: Counts
    """Examples on which the row scores higher; its transpose are the losses."""


def paired(
    scores: Holed | Sequence[Holed],
    level: float = 0.95,
    *,
    clusters: Labels | None = None,
    tests: bool = True,
    seed: int = 0,
) -> Paired:
    """All pairs at once, each as it would be alone; for all of them together see ``all_pairs``.

    Args:
        scores: ``(S, n)`` in [0, 1], the examples in one order for all systems; ``None`` or nan where unscored.
        clusters: for every example what it shares with others; each stands alone by default.
        tests: whether to make the tests; else ``p`` is nan throughout.
    """
    check_level(level)
    table = as_scores(scores, dims=2)
    places = places_of(clusters, table.shape[1])
    units = clusters_as_units(places, table.shape[1])
    there = ~np.isnan(table)
    filled, graded = np.where(there, table, 0.0), there & (table != 0) & (table != 1)
    size = len(table)
    value, low, high, p = (np.full((size, size), np.nan) for _ in range(4))
    n, wins = np.zeros((size, size), dtype=np.intp), np.zeros((size, size), dtype=np.intp)
    first, second = np.triu_indices(size, 1)
    for block in pair_blocks(first.size, table.shape[1]):
        i, j = first[block], second[block]
        both = there[i] & there[j]
        apart = np.where(both, filled[i] - filled[j], 0.0)
        count, won, lost = both.sum(axis=1), (apart > 0).sum(axis=1), (apart < 0).sum(axis=1)
        n[i, j] = n[j, i] = count
        wins[i, j], wins[j, i] = won, lost
        some, by_parts = count > 0, ((graded[i] | graded[j]) & both).any(axis=1)
        total, ends, test = apart.sum(axis=1), np.empty((2, i.size)), np.full(i.size, np.nan)
        right = ~by_parts
        total[right] = won[right] - lost[right]
        if places is not None:
            ends = difference_bounds(apart, both, units, right, level)
            test = sign_flips(units.sums(apart), seed=seed) if tests else test
        else:
            ends[:, right] = bonett_price_bounds(won[right], lost[right], np.maximum(count[right], 1), level)
            graded_apart = apart[by_parts]
            squares = graded_apart**2
            ends[:, by_parts] = bounded_bounds(
                total[by_parts], squares.sum(axis=1), count[by_parts], level, low=-1.0, ends=END_OF_DIFFERENCES,
                cubes=(squares * graded_apart).sum(axis=1),
            )  # fmt: skip
            if tests:
                test[right] = mcnemar_many(won[right], lost[right])
                test[by_parts] = _flips(filled, there, i[by_parts], j[by_parts], graded_apart, seed)
        i, j, total, ends, test, count = i[some], j[some], total[some], ends[:, some], test[some], count[some]
        value[i, j], value[j, i] = total / count, -total / count
        (low[i, j], high[i, j]), (high[j, i], low[j, i]) = ends, -ends
        p[i, j] = p[j, i] = test
    return Paired(value, low, high, p, n, wins)


def _flips(filled: Scores, there: NDArray[np.bool_], i: Counts, j: Counts, apart: Scores, seed: int) -> Scores:
    """``sign_flips`` of ``apart``; where nothing is missing, the flipped sums of two systems are subtracted, so that
    50 systems cost 50 products with the signs and not 1,225."""
    n = filled.shape[1]
    whole = there[i].all(axis=1) & there[j].all(axis=1)
    if n > MOST_SIGNS or whole.sum() < len(filled):
        return sign_flips(apart, seed=seed)
    found, open_ = flips_without_chance(apart)
    rest = open_ & ~whole
    found[rest] = sign_flips(apart[rest], seed=seed)
    open_ &= whole
    i, j, reached = i[open_], j[open_], np.abs(apart[open_].sum(axis=1)) * (1 - 1e-9)
    hits = np.zeros(i.size, dtype=np.intp)
    for signs in sign_blocks(n, seed) if i.size else ():
        sums = (signs @ filled.T).T
        for place in range(i.size):  # one by one: all differences at once would be a gigabyte
            hits[place] += np.count_nonzero(np.abs(sums[i[place]] - sums[j[place]]) >= reached[place])
    found[open_] = (hits + 1) / (RESAMPLES + 1)
    return found
