"""Examples that are not independent: several questions on one text, several samples of one question.

The standard error is robust to any dependence within a cluster (Liang and Zeger, Biometrika 73, 1986), with the factor
``G / (G - 1)`` for ``G`` clusters and Student's t with ``G - 1`` degrees of freedom (Cameron and Miller, "A
practitioner's guide to cluster-robust inference", J. Human Resources 50, 2015, section VI; for evaluations of language
models: Miller, "Adding error bars to evals", arXiv 2411.00640).

Right-or-wrong scores near 0 or 1 show too little spread, or none. A mean of them gets Wilson's interval for as many
independent examples as the clusters are worth (Korn and Graubard, Survey Methodology 24, 1998; Franco, Little, Louis
and Slud, J. Survey Statistics and Methodology 7, 2019), and a difference of them two disagreements more (Bonett and
Price, J. Educ. Behav. Stat. 37, 2012). Where a few clusters hold most of the wrong answers, or most of the examples,
all of these are still too short.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import BadInput
from .intervals import Interval, t_quantile, wilson_bounds
from .resample import Units
from .values import Holed, Labels, Scores, as_scores, check_level, groups_of, is_binary


@dataclass(frozen=True, slots=True)
class ClusterMean:
    """A mean over examples, or of differences, with an interval that knows of the clusters."""

    interval: Interval
    """Its ends may lie outside the scores' range, but not for a mean of right-or-wrong scores."""
    error: float
    """The cluster-robust standard error, in score."""
    clusters: int
    n: int
    """Scored examples."""
    unscored: int
    """Examples left out because they were unscored (for a difference: in either system)."""
    design_effect: float
    """How many times the variance of independent examples; nan where all scores are equal."""


def cluster_mean(scores: Sequence[float | None] | Scores, clusters: Labels, level: float = 0.95) -> ClusterMean:
    """The mean score, every example counting alike, with its cluster-robust interval.

    Args:
        scores: of ``n`` examples, ``None`` or nan where unscored.
        clusters: for every example what it shares with others, e.g. the id of its document.

    Raises:
        BadInput: with fewer than two clusters that have a scored example.
    """
    values = as_scores(scores)
    return _cluster(values, clusters, level, "proportion" if is_binary(values[~np.isnan(values)]) else "mean")


def cluster_difference(
    a: Sequence[float | None] | Scores,
    b: Sequence[float | None] | Scores,
    clusters: Labels,
    level: float = 0.95,
) -> ClusterMean:
    """The mean of ``a - b`` over the same examples with its cluster-robust interval; see ``cluster_mean``."""
    left, right = as_scores(a), as_scores(b)
    if left.shape != right.shape:
        raise BadInput(f"paired scores must be of equal number: got {left.size} and {right.size}")
    apart = left - right
    both = ~np.isnan(apart)
    binary = is_binary(left[both]) and is_binary(right[both])
    return _cluster(apart, clusters, level, "difference" if binary else "mean")


def cluster_score(scores: Holed, clusters: Labels, level: float = 0.95) -> Interval | None:
    """``cluster_mean``'s interval for scores in [0, 1], within that range.

    Of examples that all stand in one cluster nothing is known beyond them: then it is the whole range. ``None`` if
    nothing was scored.
    """
    values = as_scores(scores)
    there = ~np.isnan(values)
    _, index = groups_of(clusters, values.size, what="clusters")
    if not there.any():
        return None
    if len(np.unique(index[there])) < 2:
        return Interval(float(values[there].mean()), 0.0, 1.0, level)
    found = cluster_mean(values, clusters, level).interval
    return Interval(found.value, max(0.0, found.low), min(1.0, found.high), level)


def difference_bounds(
    apart: Scores, both: NDArray[np.bool_], clusters: Units, binary: NDArray[np.bool_], level: float
) -> Scores:
    """The ends of ``cluster_difference``'s interval for many pairs of systems at once, within [-1, 1].

    Args:
        apart: ``(P, n)``, the differences of the pairs, 0 where they do not share an example.
        both: ``(P, n)``, whether they do.
        clusters: the clusters as units.
        binary: ``(P,)``, whether both are scored right or wrong.

    Returns:
        ``(2, P)``; the whole range where the shared examples stand in one cluster, nan where none is shared.
    """
    from scipy.special import stdtrit

    n, sizes = both.sum(axis=1), clusters.sums(both.astype(np.float64))
    value = np.divide(apart.sum(axis=1), n, out=np.full(len(n), np.nan), where=n > 0)
    squares = ((clusters.sums(apart) - np.where(n > 0, value, 0.0)[:, None] * sizes) ** 2).sum(axis=1)
    groups = np.count_nonzero(sizes, axis=1)
    freedom = np.maximum(groups - 1, 1)
    error = np.sqrt((squares + 2 * binary) * groups / freedom) / np.maximum(n, 1)
    half = np.where(groups > 1, stdtrit(freedom, 0.5 + level / 2) * error, 2.0)
    ends: Scores = np.array([np.maximum(value - half, -1.0), np.minimum(value + half, 1.0)])
    return ends


def _cluster(
    holed: Scores,
    clusters: Labels,
    level: float,
    kind: Literal["mean", "proportion", "difference"],
) -> ClusterMean:
    check_level(level)
    there = ~np.isnan(holed)
    _, index = groups_of(clusters, holed.size, what="clusters")
    values, (_, place) = holed[there], np.unique(index[there], return_inverse=True)
    groups, n = int(place.max(initial=-1)) + 1, values.size
    if groups < 2:
        raise BadInput(f"{groups} cluster(s) with a scored example: an interval needs at least two")
    mean = float(values.mean())
    squares = float((np.bincount(place, weights=values - mean) ** 2).sum())
    factor = groups / (groups - 1) / n**2
    alone = float(values.var(ddof=1)) / n
    effect = squares * factor / alone if alone > 0 else math.nan
    t = t_quantile(0.5 + level / 2, groups - 1)
    if kind == "proportion":
        # Where all are right nothing tells how far a cluster's examples go together: then it is worth one example.
        worth = float(groups) if alone == 0 else n / max(1.0, effect)
        ends = wilson_bounds(mean * worth, worth, t)
        interval = Interval(mean, float(ends[0]), float(ends[1]), level)
    else:
        half = t * math.sqrt((squares + (2 if kind == "difference" else 0)) * factor)
        interval = Interval(mean, mean - half, mean + half, level)
    return ClusterMean(interval, math.sqrt(squares * factor), groups, n, holed.size - n, effect)
