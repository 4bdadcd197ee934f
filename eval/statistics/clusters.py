"""Examples that are not independent: several questions on one text, several samples of one question.

The standard error is robust to any dependence within a cluster (Liang and Zeger, Biometrika 73, 1986), with the factor
``G / (G - 1)`` for ``G`` clusters and Student's t with ``G - 1`` degrees of freedom (Cameron and Miller, "A
practitioner's guide to cluster-robust inference", J. Human Resources 50, 2015, section VI; for evaluations of language
models: Miller, "Adding error bars to evals", arXiv 2411.00640). With few clusters, or very unequal ones, it is still
too short.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import BadInput
from .intervals import Interval, t_quantile
from .values import Scores, as_scores, check_level, groups_of


@dataclass(frozen=True, slots=True)
class ClusterMean:
    """A mean over examples, or of differences, with an interval that knows of the clusters."""

    interval: Interval
    """Its ends may lie outside the scores' range."""
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
    check_level(level)
    values = as_scores(scores)
    there = ~np.isnan(values)
    labels = [label for label, kept in zip(_checked(clusters, values.size), there, strict=True) if kept]
    return _cluster(values[there], labels, int((~there).sum()), level)


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
    return cluster_mean(left - right, clusters, level)


def _checked(clusters: Sequence[Hashable] | NDArray[Any], n: int) -> list[Any]:
    names, index = groups_of(clusters, n, what="clusters")
    return [names[i] for i in index]


def _cluster(values: Scores, labels: list[Any], unscored: int, level: float) -> ClusterMean:
    names, index = groups_of(labels, values.size, what="clusters")
    groups, n = len(names), values.size
    if groups < 2:
        raise BadInput(f"{groups} cluster(s) with a scored example: an interval needs at least two")
    mean = float(values.mean())
    sums = np.bincount(index, weights=values - mean, minlength=groups)
    variance = groups / (groups - 1) * float((sums**2).sum()) / n**2
    half = t_quantile(0.5 + level / 2, groups - 1) * math.sqrt(variance)
    alone = float(values.var(ddof=1)) / n
    effect = variance / alone if alone > 0 else math.nan
    return ClusterMean(
        Interval(mean, mean - half, mean + half, level), math.sqrt(variance), groups, n, unscored, effect
    )
