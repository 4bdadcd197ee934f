"""Intervals for a mean score, and for the difference of two systems scored on the same examples.

Scores lie in [0, 1]. Where all of them are 0 or 1 the methods for proportions are used, otherwise the bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.derive import derive_int

Scores = NDArray[np.float64]
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


def wilson(successes: float, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval for a proportion (Wilson, JASA 22, 1927)."""
    z = normal_quantile(0.5 + level / 2)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Interval(p, max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half)), level)


def mean_interval(scores: Sequence[float] | Scores, level: float = 0.95, *, seed: int = 0) -> Interval:
    """The mean score with its interval: Wilson's for right-or-wrong scores, else the BCa bootstrap.

    Raises:
        ValueError: without a score.
    """
    values = np.asarray(scores, dtype=np.float64)
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
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if left.shape != right.shape or left.size == 0:
        raise ValueError(f"paired scores must be of equal number and not empty: got {left.size} and {right.size}")
    if is_binary(left) and is_binary(right):
        n = left.size
        wins, losses = int(((left == 1) & (right == 0)).sum()), int(((left == 0) & (right == 1)).sum())
        z = normal_quantile(0.5 + level / 2)
        up, down = (wins + 1) / (n + 2), (losses + 1) / (n + 2)
        half = z * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
        value = (wins - losses) / n
        return Interval(value, max(-1.0, up - down - half), min(1.0, up - down + half), level)
    return bca(left - right, level, seed=seed)


def bca(values: Scores, level: float = 0.95, *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """The bias-corrected and accelerated bootstrap interval of a mean (Efron, JASA 82, 1987)."""
    n, mean = values.size, float(values.mean())
    if n == 1 or float(np.ptp(values)) == 0.0:
        return Interval(mean, mean, mean, level)
    chance = np.random.default_rng(derive_int(seed, "bca", n))
    means = np.concatenate([values[chance.integers(0, n, (size, n))].mean(axis=1) for size in _batches(resamples, n)])
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


def is_binary(values: Scores) -> bool:
    """Whether every score is 0 or 1."""
    return bool(np.all((values == 0.0) | (values == 1.0)))


def _normal_cdf(z: float) -> float:
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


def _batches(total: int, width: int, most: int = 4_000_000) -> list[int]:
    size = max(1, min(total, most // max(1, width)))
    return [min(size, total - start) for start in range(0, total, size)]
