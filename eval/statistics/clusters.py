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
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import BadInput
from .intervals import Interval, t_quantile, wilson_bounds
from .values import Scores, as_scores, check_level, groups_of, is_binary


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


def cluster_mean(
    scores: Sequence[float | None] | Scores, clusters: Sequence[Hashable] | NDArray[Any], level: float = 0.95
) -> ClusterMean:
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
    clusters: Sequence[Hashable] | NDArray[Any],
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


def _cluster(
    holed: Scores,
    clusters: Sequence[Hashable] | NDArray[Any],
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
