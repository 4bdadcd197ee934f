"""Intervals for a mean score, and for the difference of two systems scored on the same examples.

Scores lie in [0, 1]. Where all of them are 0 or 1 the methods for proportions are used, otherwise those for means of
bounded numbers. None of these functions has a place for an unscored example: they refuse nan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...runtime.errors import BadInput
from .values import Scores, all_scored, check_level
from .values import is_binary as is_binary

END_OF_SCORES, END_OF_DIFFERENCES = 0.5, 0.25
"""Examples that ``bounded_mean`` adds at each end: of scores in [0, 1], and of their differences in [-1, 1].

Half an example keeps 95 % intervals at some 94 % or more for graded scores of many shapes, from 10 examples on; a
quarter does so for differences, whose range is twice as wide (``benchmarks/eval/graded.py``)."""


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
    """Wilson's score interval for a proportion (Wilson, JASA 22, 1927).

    It has its level on average over proportions, not at each: it swings around it, most where few successes or few
    failures are to be expected (Brown, Cai and DasGupta, "Interval estimation for a binomial proportion", Statistical
    Science 16, 2001). ``clopper_pearson`` never has less than its level.
    """
    _check_counts(successes, n)
    check_level(level)
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
    _check_counts(successes, n)
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


def bounded_mean(
    values: Sequence[float] | Scores,
    level: float = 0.95,
    *,
    low: float = 0.0,
    high: float = 1.0,
    ends: float = END_OF_SCORES,
    skewed: bool = False,
) -> Interval:
    """The mean of numbers that lie between ``low`` and ``high``: Student's t, with a little of both ends added.

    The spread of a few numbers near an end of their range says next to nothing of the rare ones far from it, and both
    Student's t and the bootstrap take it at its word. So ``ends`` examples are added at each end before mean and
    spread are taken, as Agresti and Caffo (American Statistician 54, 2000) and Bonett and Price (2012) do it for
    right-or-wrong scores. What was added fades as the examples grow many. The value is the plain mean.

    With ``skewed`` the interval is shifted towards the longer tail by the first term of Student's t in the skewness
    (Hall, The Bootstrap and Edgeworth Expansion, 1992, section 3.10), at most by half of its reach: a one-sided bound
    of differences that are mostly nothing and sometimes a loss would else promise too much. It suits differences, whose
    range is symmetric; scores near an end have their skewness from what was added.

    Raises:
        BadInput: without a number, if one is missing, or if one lies outside the range.
    """
    found = all_scored(values)
    check_level(level)
    if found.size == 0:
        raise BadInput("no scored example: a mean needs at least one")
    least, most = float(found.min()), float(found.max())
    if least < low - 1e-9 or most > high + 1e-9:  # a mean of means may be off by a rounding
        worst = least if least < low - 1e-9 else most
        raise BadInput(f"a score of {worst}: expected numbers between {low:g} and {high:g}")
    total, squares = float(found.sum()), float(found @ found)
    cubes = float((found**2) @ found) if skewed else None
    below, above = bounded_bounds(total, squares, found.size, level, low=low, high=high, ends=ends, cubes=cubes)
    return Interval(float(found.mean()), float(below), float(above), level)


def bounded_bounds(
    total: ArrayLike,
    squares: ArrayLike,
    n: ArrayLike,
    level: float = 0.95,
    *,
    low: float = 0.0,
    high: float = 1.0,
    ends: float = END_OF_SCORES,
    cubes: ArrayLike | None = None,
) -> tuple[Scores, Scores]:
    """The ends of ``bounded_mean`` for many means at once, from the sums of the numbers, of their squares and, where
    the interval is to follow the skewness, of their cubes.

    The whole range where there is only one number, which says nothing of its spread.
    """
    from scipy.special import stdtrit

    total, squares, n = (np.asarray(x, dtype=np.float64) for x in (total, squares, n))
    many, plain = n + 2 * ends, total / n
    mean, second = (total + ends * (low + high)) / many, (squares + ends * (low**2 + high**2)) / many
    spread = np.maximum(0.0, second - mean**2)
    reach = stdtrit(np.maximum(n - 1, 1), 0.5 + level / 2)
    shift: Scores = np.zeros_like(mean)
    if cubes is not None:
        third = (np.asarray(cubes, dtype=np.float64) + ends * (low**3 + high**3)) / many
        skewness = (third - 3 * mean * second + 2 * mean**3) / np.maximum(spread, 1e-30) ** 1.5
        shift = np.clip(skewness * (2 * reach**2 + 1) / (6 * np.sqrt(many)), -reach / 2, reach / 2)
    error = np.where(n > 1, np.sqrt(spread / many), high - low)
    below, above = mean - (reach - shift) * error, mean + (reach + shift) * error
    return np.maximum(low, np.minimum(plain, below)), np.minimum(high, np.maximum(plain, above))


def mean_interval(scores: Sequence[float] | Scores, level: float = 0.95) -> Interval:
    """The mean score with its interval: Wilson's for right-or-wrong scores, else ``bounded_mean``.

    Raises:
        BadInput: without a score, if one is unscored, or outside [0, 1].
    """
    values = all_scored(scores)
    if values.size == 0:
        raise BadInput("no scored example: a mean needs at least one")
    if is_binary(values):
        return wilson(float(values.sum()), values.size, level)
    return bounded_mean(values, level)


def paired_interval(a: Sequence[float] | Scores, b: Sequence[float] | Scores, level: float = 0.95) -> Interval:
    """The mean of ``a - b`` over the same examples, with its interval.

    Right-or-wrong scores: Wald with Bonett and Price's adjustment of the discordant pairs (Bonett and Price,
    "Adjusted Wald confidence interval for a difference of binomial proportions based on paired data", J. Educ.
    Behav. Stat. 37, 2012). Other scores: ``bounded_mean`` of the differences, which follows their skewness.
    """
    left, right = pair(a, b)
    if is_binary(left) and is_binary(right):
        n = left.size
        wins, losses = int(((left == 1) & (right == 0)).sum()), int(((left == 0) & (right == 1)).sum())
        low, high = bonett_price_bounds(wins, losses, n, level)
        return Interval((wins - losses) / n, float(low), float(high), level)
    return bounded_mean(left - right, level, low=-1.0, ends=END_OF_DIFFERENCES, skewed=True)


def bonett_price_bounds(wins: ArrayLike, losses: ArrayLike, n: ArrayLike, level: float = 0.95) -> tuple[Scores, Scores]:
    """The ends of Bonett and Price's interval for many pairs of systems at once; see ``paired_interval``."""
    wins, losses, n = (np.asarray(x, dtype=np.float64) for x in (wins, losses, n))
    z = normal_quantile(0.5 + level / 2)
    up, down = (wins + 1) / (n + 2), (losses + 1) / (n + 2)
    half = z * np.sqrt((up + down - (up - down) ** 2) / (n + 2))
    return np.maximum(-1.0, up - down - half), np.minimum(1.0, up - down + half)


def _check_counts(successes: float, n: int) -> None:
    if not 0 <= successes <= n or n < 1:
        raise BadInput(f"{successes} successes of {n}: expected at least one example, and from none to all successes")


def pair(a: Sequence[float] | Scores, b: Sequence[float] | Scores) -> tuple[Scores, Scores]:
    """Scores of two systems on the same examples, as arrays.

    Raises:
        BadInput: for unequal numbers, or none, or if one is unscored.
    """
    left, right = all_scored(a), all_scored(b)
    if left.shape != right.shape or left.size == 0:
        raise BadInput(f"paired scores must be of equal number and not empty: got {left.size} and {right.size}")
    return left, right
