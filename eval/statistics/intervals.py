"""Intervals for a mean score, and for the difference of two systems scored on the same examples.

Scores lie in [0, 1]. Where all of them are 0 or 1 the methods for proportions are used, otherwise the bootstrap.
None of these functions has a place for an unscored example: they refuse nan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...runtime.derive import derive_int
from ...runtime.errors import BadInput
from .values import Scores, all_scored, check_level
from .values import is_binary as is_binary

RESAMPLES = 9_999
"""Resamples of a bootstrap or a permutation test."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A point estimate with the ends of its interval."""

    value: float
    low: float
    high: float
    level: float = 0.95

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"

    def dump(self) -> dict[str, float]:
        """As JSON."""
        return {"value": self.value, "low": self.low, "high": self.high, "level": self.level}


def normal_quantile(p: float) -> float:
    """The quantile of the standard normal distribution."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(p)


def t_quantile(p: float, freedom: float) -> float:
    """The quantile of Student's t distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, p))


def wilson(successes: float, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval for a proportion (Wilson, JASA 22, 1927)."""
    low, high = wilson_bounds(successes, n, normal_quantile(0.5 + level / 2))
    return Interval(successes / n, float(low), float(high), level)


def wilson_bounds(successes: ArrayLike, n: ArrayLike, z: ArrayLike) -> tuple[Scores, Scores]:
    """The ends of Wilson's interval for many proportions at once.

    Args:
        successes: between 0 and n; whatever shapes broadcast.
        n: examples, at least 1.
        z: the critical value, 1.96 for 95 %.
    """
    k, n, z = (np.asarray(x, dtype=np.float64) for x in (successes, n, z))
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return np.maximum(0.0, np.minimum(p, centre - half)), np.minimum(1.0, np.maximum(p, centre + half))


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Interval:
    """The exact interval for a proportion: never less than its level, often more (Clopper and Pearson, Biometrika 26,
    1934)."""
    low, high = clopper_pearson_bounds(successes, n, level)
    return Interval(successes / n, float(low), float(high), level)


def clopper_pearson_bounds(successes: ArrayLike, n: ArrayLike, level: float = 0.95) -> tuple[Scores, Scores]:
    """The ends of Clopper and Pearson's interval for many proportions at once; shapes broadcast."""
    from scipy.special import betaincinv

    check_level(level)
    k, n = np.broadcast_arrays(np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64))
    tail = 0.5 - level / 2
    # max(..., 1) keeps the unused branch of a where within the function's domain
    low = np.where(k > 0, betaincinv(np.maximum(k, 1), n - k + 1, tail), 0.0)
    high = np.where(k < n, betaincinv(k + 1, np.maximum(n - k, 1), 1 - tail), 1.0)
    return low, high


def mean_interval(scores: Sequence[float] | Scores, level: float = 0.95, *, seed: int = 0) -> Interval:
    """The mean score with its interval: Wilson's for right-or-wrong scores, else the BCa bootstrap.

    Raises:
        ValueError: without a score.
        BadInput: if one is unscored.
    """
    values = all_scored(scores)
    if values.size == 0:
        raise ValueError("no scored example: a mean needs at least one")
    if is_binary(values):
        return wilson(float(values.sum()), values.size, level)
    return bca(values, level, seed=seed)


def paired_interval(
    a: Sequence[float] | Scores, b: Sequence[float] | Scores, level: float = 0.95, *, seed: int = 0
) -> Interval:
    """The mean of ``a - b`` over the same examples, with its interval.

    Right-or-wrong scores: Wald with Bonett and Price's adjustment of the discordant pairs (Bonett and Price,
    "Adjusted Wald confidence interval for a difference of binomial proportions based on paired data", J. Educ.
    Behav. Stat. 37, 2012). Other scores: the BCa bootstrap of the differences.
    """
    left, right = pair(a, b)
    if is_binary(left) and is_binary(right):
        n = left.size
        wins, losses = int(((left == 1) & (right == 0)).sum()), int(((left == 0) & (right == 1)).sum())
        low, high = bonett_price_bounds(wins, losses, n, level)
        return Interval((wins - losses) / n, float(low), float(high), level)
    return bca(left - right, level, seed=seed)


def bonett_price_bounds(wins: ArrayLike, losses: ArrayLike, n: ArrayLike, level: float = 0.95) -> tuple[Scores, Scores]:
    """The ends of Bonett and Price's interval for many pairs of systems at once; see ``paired_interval``."""
    wins, losses, n = (np.asarray(x, dtype=np.float64) for x in (wins, losses, n))
    z = normal_quantile(0.5 + level / 2)
    up, down = (wins + 1) / (n + 2), (losses + 1) / (n + 2)
    half = z * np.sqrt((up + down - (up - down) ** 2) / (n + 2))
    return np.maximum(-1.0, up - down - half), np.minimum(1.0, up - down + half)


def bca(values: Scores, level: float = 0.95, *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """The bias-corrected and accelerated bootstrap interval of a mean (Efron, JASA 82, 1987)."""
    values = all_scored(values)
    n, mean = values.size, float(values.mean())
    if n == 1 or float(np.ptp(values)) == 0.0:
        return Interval(mean, mean, mean, level)
    means = _resampled_means(values, resamples, derive_int(seed, "bca", n))
    below = (np.count_nonzero(means < mean) + np.count_nonzero(means == mean) / 2) / resamples
    bias = normal_quantile(min(max(below, 1 / (2 * resamples)), 1 - 1 / (2 * resamples)))
    left_out = (values.sum() - values) / (n - 1)
    off = left_out.mean() - left_out
    acceleration = float((off**3).sum() / (6 * ((off**2).sum()) ** 1.5))
    ends = []
    for p in (0.5 - level / 2, 0.5 + level / 2):
        z = bias + normal_quantile(p)
        ends.append(_normal_cdf(bias + z / (1 - acceleration * z)))
    low, high = np.quantile(means, ends)
    return Interval(mean, float(low), float(high), level)


def percentile(values: Scores, level: float = 0.95, *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """The percentile bootstrap interval of a mean (Efron and Tibshirani, An Introduction to the Bootstrap, 1993).

    Too short for few examples: it takes no account of the skew, nor of the degree of freedom spent on the mean.
    """
    values = all_scored(values)
    check_level(level)
    if values.size == 0:
        raise BadInput("no scored example: a mean needs at least one")
    means = _resampled_means(values, resamples, derive_int(seed, "percentile", values.size))
    low, high = np.quantile(means, (0.5 - level / 2, 0.5 + level / 2))
    return Interval(float(values.mean()), float(low), float(high), level)


def paired_bootstrap(
    a: Sequence[float] | Scores,
    b: Sequence[float] | Scores,
    level: float = 0.95,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """The percentile interval of the mean of ``a - b``: examples are drawn, and both systems keep their scores on them
    (Koehn, "Statistical significance tests for machine translation evaluation", EMNLP 2004)."""
    left, right = pair(a, b)
    return percentile(left - right, level, seed=seed, resamples=resamples)


def pair(a: Sequence[float] | Scores, b: Sequence[float] | Scores) -> tuple[Scores, Scores]:
    """Scores of two systems on the same examples, as arrays.

    Raises:
        ValueError: for unequal numbers, or none.
        BadInput: if one is unscored.
    """
    left, right = all_scored(a), all_scored(b)
    if left.shape != right.shape or left.size == 0:
        raise ValueError(f"paired scores must be of equal number and not empty: got {left.size} and {right.size}")
    return left, right


def _resampled_means(values: Scores, resamples: int, seed: int) -> Scores:
    n, chance = values.size, np.random.default_rng(seed)
    return np.concatenate([values[chance.integers(0, n, (size, n))].mean(axis=1) for size in _batches(resamples, n)])


def _normal_cdf(z: float) -> float:
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


def _batches(total: int, width: int, most: int = 4_000_000) -> list[int]:
    size = max(1, min(total, most // max(1, width)))
    return [min(size, total - start) for start in range(0, total, size)]
