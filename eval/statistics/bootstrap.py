"""The bootstrap of a mean: how it would stray if the examples were drawn again from those at hand.

It knows only the spread that it sees: for a few scores near an end of their range it is far too sure. ``bounded_mean``
is not; what is here serves for many examples, and for comparison with what others publish.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...runtime.errors import BadInput
from .intervals import Interval, normal_quantile, pair
from .resample import RESAMPLES, resampled_means
from .values import Scores, all_scored, check_level


def bca(values: Scores, level: float = 0.95, *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """The bias-corrected and accelerated bootstrap interval of a mean (Efron, JASA 82, 1987)."""
    values = all_scored(values)
    check_level(level)
    if values.size == 0:
        raise BadInput("no scored example: a mean needs at least one")
    n, mean = values.size, float(values.mean())
    if n == 1 or float(np.ptp(values)) == 0.0:
        return Interval(mean, mean, mean, level)
    means = resampled_means(values[None, :], resamples, seed=seed, stream="bca")[:, 0]
    equal = np.abs(means - mean) <= 1e-12 * float(np.abs(values).max())  # but for rounding
    below = (np.count_nonzero(means[~equal] < mean) + np.count_nonzero(equal) / 2) / resamples
    bias = normal_quantile(min(max(below, 1 / (2 * resamples)), 1 - 1 / (2 * resamples)))
    off = values - mean  # what leaving one out moves the mean by, but for a factor
    off /= np.abs(off).max()
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
    means = resampled_means(values[None, :], resamples, seed=seed, stream="percentile")[:, 0]
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


def _normal_cdf(z: float) -> float:
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))
