"""Every pair of systems, on the examples both were scored on, by one paired bootstrap.

Examples are drawn, and all systems keep their scores on them (Koehn, EMNLP 2004), so one set of draws serves all pairs.
A pair's interval is the percentile interval of its difference; its p-value is the smallest level at which a
percentile interval would leave out zero (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 15).
The p-values adjusted for the number of pairs come from the largest standardised deviation over all pairs (the
single-step max-t of Westfall and Young, Resampling-Based Multiple Testing, 1993; Romano and Wolf, JASA 100, 2005):
they know how the pairs depend on each other, and 10,000 resamples are enough for any number of them.

Where examples stand in clusters, whole clusters are drawn (Davison and Hinkley, Bootstrap Methods and their
Application, 1997, section 3.8), and standard errors are those of ``clusters.cluster_difference``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import BadInput
from .intervals import Interval
from .resample import Units, clusters_as_units, units_of, weight_blocks
from .values import Holed, Labels, Scores, as_scores, check_level, is_binary, places_of

MEMORY = 100_000_000
"""Bytes for the largest array of a block of pairs; the whole takes about four times as many."""


@dataclass(frozen=True, slots=True)
class AllPairs:
    """The P = S (S - 1) / 2 pairs of S systems in the order (0, 1), (0, 2), ... (1, 2), ...; nan where two systems
    share fewer than two examples, or clusters."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    """(P,): the systems of each pair."""
    difference: Scores
    """(P,): mean of first - second over the shared examples."""
    low: Scores
    high: Scores
    """(P,): percentile interval of that pair alone."""
    error: Scores
    """(P,): standard error of the difference."""
    p: Scores
    """(P,): two-sided, of that pair alone."""
    adjusted: Scores
    """(P,): two-sided, for all pairs together: at most 5 % chance that any at or below 0.05 is a false alarm."""
    n: NDArray[np.intp]
    """(P,): examples that both systems were scored on."""
    unscored: NDArray[np.intp]
    """(S,): examples that each system was not scored on."""
    level: float

    @property
    def systems(self) -> int:
        """S."""
        return self.unscored.size

    def interval(self, a: int, b: int) -> Interval:
        """The mean of ``a - b`` with the interval of that pair alone."""
        place, sign = self.place(a, b)
        value, low, high = (float(x[place]) for x in (self.difference, self.low, self.high))
        return Interval(value, low, high, self.level) if sign > 0 else Interval(-value, -high, -low, self.level)

    def place(self, a: int, b: int) -> tuple[int, int]:
        """Where a pair stands, and 1, or -1 if it stands there as (b, a)."""
        if a == b or not (0 <= a < self.systems and 0 <= b < self.systems):
            raise BadInput(f"no pair of systems ({a}, {b}): expected two different numbers below {self.systems}")
        i, j = min(a, b), max(a, b)
        return i * self.systems - i * (i + 1) // 2 + j - i - 1, 1 if a < b else -1

    def better(self, level: float = 0.95) -> NDArray[np.bool_]:
        """(S, S): the row is established to be better than the column, for all pairs together at this level."""
        check_level(level)
        found = np.zeros((self.systems, self.systems), dtype=np.bool_)
        sure = self.adjusted <= 1 - level + 1e-12
        found[self.first, self.second] = sure & (self.difference > 0)
        found[self.second, self.first] = sure & (self.difference < 0)
        return found


def all_pairs(
    scores: Holed | Sequence[Holed],
    level: float = 0.95,
    *,
    clusters: Labels | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> AllPairs:
    """All pairs of S systems on n examples.

    Args:
        scores: ``(S, n)``, the examples in one order for all systems; ``None`` or nan where unscored.
        clusters: for every example what it shares with others; each stands alone by default.

    Raises:
        BadInput: for fewer than two systems, or clusters of another number of examples.
    """
    check_level(level)
    table = as_scores(scores, dims=2)
    if len(table) < 2 or table.shape[1] < 1:
        raise BadInput(f"scores of shape {table.shape}: expected at least 2 systems (rows) and an example (columns)")
    places = places_of(clusters, table.shape[1])
    there = ~np.isnan(table)
    # Sums of drawn zeros and ones are whole numbers, which single precision holds exactly.
    exact = is_binary(table[there]) and table.shape[1] < 1 << 24
    alone = clusters_as_units(places, table.shape[1])
    units = units_of(table.shape[1], seed=seed, stream="pairs", clusters=places)
    sampler = _Sampler(np.where(there, table, 0.0), there, resamples, seed, np.float32 if exact else np.float64, units)
    first, second = np.triu_indices(len(table), 1)
    columns: list[NDArray[Any]] = []
    largest = np.zeros(resamples)
    for block in pair_blocks(first.size, max(resamples, table.shape[1])):
        i, j = first[block], second[block]
        n, value, error, changed, apart = _observed(sampler.filled, there, i, j, alone)
        drawn = sampler.differences(i, j, value)
        tie = 0.0 if exact else 1e-12
        below, above = (drawn <= tie).sum(axis=1), (drawn >= -tie).sum(axis=1)
        p = 2 * (np.minimum(below, above) + 1) / (resamples + 1)
        # No test of the signs of m differences that are not zero can go below this, and the bootstrap of few does.
        floor = 2.0 ** (1 - np.minimum(changed, 1000))
        ends = np.quantile(drawn, (0.5 - level / 2, 0.5 + level / 2), axis=1)
        columns.append(np.array([n, value, *ends, error, np.maximum(p, floor), floor, apart]))
        spread = (error > 0) & (apart > 1)
        drawn -= value[:, None]
        np.abs(drawn, out=drawn)
        drawn /= np.where(spread, error, np.inf)[:, None]
        np.maximum(largest, drawn.max(axis=0), out=largest)
    n, value, low, high, error, p, floor, apart = np.concatenate(columns, axis=1)
    adjusted = np.maximum(_adjusted(value, error, apart, largest), np.maximum(p, floor))
    few = apart < 2
    for column in (low, high, error, p, adjusted):
        column[few] = np.nan
    value[few] = np.nan
    return AllPairs(
        first, second, value, low, high, error, np.minimum(1.0, p), np.minimum(1.0, adjusted), n.astype(np.intp),
        (~there).sum(axis=1), level,
    )  # fmt: skip


def pair_blocks(pairs: int, width: int) -> Iterator[slice]:
    """So many pairs at a time that an array of ``width`` numbers for each stays within ``MEMORY``."""
    size = max(1, MEMORY // (8 * width))
    for start in range(0, pairs, size):
        yield slice(start, min(pairs, start + size))


def _observed(
    filled: Scores, there: NDArray[np.bool_], i: NDArray[np.intp], j: NDArray[np.intp], alone: Units
) -> tuple[NDArray[np.intp], Scores, Scores, NDArray[np.intp], NDArray[np.intp]]:
    """Shared examples, mean difference, its standard error, units with a difference, and shared units, of each pair."""
    both = there[i] & there[j]
    n = both.sum(axis=1)
    apart = np.where(both, filled[i] - filled[j], 0.0)
    value = apart.sum(axis=1) / np.maximum(n, 1)
    changed = np.count_nonzero(alone.sums(apart), axis=1)
    apart -= value[:, None]
    apart *= both
    groups = np.count_nonzero(alone.sums(both.astype(np.intp)), axis=1)
    factor = groups / np.maximum(groups - 1, 1) / np.maximum(n, 1) ** 2
    error = np.sqrt((alone.sums(apart) ** 2).sum(axis=1) * factor)
    error[error < 1e-12] = 0.0  # a constant difference, but for rounding
    return n, value, error, changed, groups


def _adjusted(value: Scores, error: Scores, n: Scores, largest: Scores) -> Scores:
    """The share of resamples whose largest deviation, in standard errors, reaches that of each pair.

    A mean in its own standard errors strays like Student's t, but a resampled mean in the errors of the data like a
    normal variable, and by ``(n - 1) / n`` less in variance. What was observed is put on the resamples' scale: for few
    examples, or clusters of them, this is most of the difference between the stated level and the true one.
    """
    from scipy.special import ndtri, stdtr

    far = np.where(value == 0, 0.0, np.inf)
    np.divide(np.abs(value), error, out=far, where=error > 0)
    freedom = np.maximum(n - 1, 1)
    far = -ndtri(stdtr(freedom, -far)) * np.sqrt(freedom / (freedom + 1))
    order = np.sort(largest)
    # Differences of single precision that are equal but for rounding count as reached.
    reached = order.size - np.searchsorted(order, far * (1 - 1e-5), side="left")
    share: Scores = (reached + 1) / (order.size + 1)
    return share


@dataclass(frozen=True, slots=True)
class _Sampler:
    """Resampled differences of any pairs, always under the same draws."""

    filled: Scores
    there: NDArray[np.bool_]
    resamples: int
    seed: int
    dtype: type
    units: Units

    def differences(self, i: NDArray[np.intp], j: NDArray[np.intp], plain: Scores) -> NDArray[Any]:
        """(pairs, resamples): the mean difference; ``plain`` where a draw holds no shared example."""
        found: NDArray[Any] = np.empty((i.size, self.resamples), dtype=self.dtype)
        blocks = weight_blocks(self.units.n, self.resamples, seed=self.seed, stream="pairs", dtype=self.dtype)
        if self.there.all():
            scores: NDArray[Any] = self.units.sums(self.filled).T.astype(self.dtype)
            sizes = self.units.sums(np.ones((1, self.filled.shape[1]), dtype=self.dtype))[0]
            for rows, weights in blocks:
                sums = (weights @ scores).T
                np.subtract(sums[i], sums[j], out=found[:, rows])
                found[:, rows] /= weights @ sizes
            return found
        apart: NDArray[Any] = np.where(self.there[i] & self.there[j], self.filled[i] - self.filled[j], 0.0)
        apart = self.units.sums(apart).astype(self.dtype)
        masks, place = self._masks(i, j)
        for rows, weights in blocks:
            drawn = (masks @ weights.T)[place]
            empty = drawn == 0
            np.divide(apart @ weights.T, np.where(empty, 1, drawn), out=found[:, rows])
            found[:, rows][empty] = np.broadcast_to(plain[:, None], empty.shape)[empty]
        return found

    def _masks(self, i: NDArray[np.intp], j: NDArray[np.intp]) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """The different sets of shared examples, as rows of 0 and 1, and which of them each pair has.

        Systems mostly miss the same examples or none, so there are far fewer sets than pairs.
        """
        kinds, kind = np.unique(self.there, axis=0, return_inverse=True)
        pairs, place = np.unique(np.sort([kind[i], kind[j]], axis=0), axis=1, return_inverse=True)
        shared = (kinds[pairs[0]] & kinds[pairs[1]]).astype(self.dtype)
        return self.units.sums(shared), place.ravel()
