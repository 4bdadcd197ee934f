"""Who is worth going on with while new candidates still come: whoever promises more for its evaluations than a new one.

As long as a search can propose, the next evaluations may go to a candidate that is there or to one that is not. The
true means of candidates are taken to be normal around a common mean, both estimated from those tried (empirical Bayes;
the variance between them by DerSimonian and Laird, Controlled Clinical Trials 7, 1986). All are compared with the one
that has met most examples, on those that both have met, and what is seen there is drawn towards the common mean. What
further examples promise is the expected rise of the best posterior mean for each of them, at the number of examples
that makes it highest (the knowledge gradient KG(*): Frazier and Powell, "Paradoxes in learning and the marginal value
of information", Decision Analysis 7, 2010). Of a new candidate nothing is known, so it promises what the common mean
and variance do. Whoever promises less than half of that makes room for one. Simulated searches of 40 to 1,600
evaluations (``benchmarks/optimizers/searches.py``) say: where candidates lie anywhere a half is best, where they lie
near the best one a quarter; from 240 evaluations on a half is ahead of going on with whoever may still be the best.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..eval.statistics.values import Scores

RECENT = 16
"""Candidates from whose scores it is estimated how good a new one is."""
BETWEEN, WEIGHT, LEAST = 0.1, 16.0, 0.05
"""The standard deviation between true means, in score, that is taken for granted; the number of candidates that it
counts for; and the least there may be."""
ALIKE = 8.0
"""Examples that the usual variance of a difference counts for, beside those that a candidate has met."""
AHEAD = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of further examples that are looked at."""
HOLD = 0.5
"""Whoever promises less than this share of what a new candidate does makes room."""
_NONE = 1e-12
Counts = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Prospects:
    """Where candidates stand, and a new one would."""

    leader: int
    """Whose true mean is expected to be the highest."""
    behind: Scores
    """(A,): the mean by which the leader's score is higher, on the examples that both have met."""
    shared: Counts
    """(A,): how many examples those are."""
    promise: Scores
    """(A,): by how much an evaluation of each is expected to raise the best mean; nan for the leader."""
    new: float
    """And one of a new candidate."""
    keep: NDArray[np.bool_]
    """(A,): who makes no room; the leader never does."""


def prospects(tried: Scores, field: Sequence[int], rows: int) -> Prospects:
    """Who leads, and who makes room for a new one.

    Args:
        tried: ``(B, n)`` scores in [0, 1] of all that were tried, in order, by place in the common order; nan where not
            met or unscored.
        field: ``(A,)`` rows of those that were not dropped. Of equals the first is preferred.
        rows: examples in the whole order, at least ``n``.
    """
    everyone = ~np.isnan(tried)
    whole = np.where(everyone, tried, 0.0)
    there, filled = everyone[list(field)], whole[list(field)]
    met = there.sum(axis=1)
    means = filled.sum(axis=1) / np.maximum(met, 1)
    first = int(np.lexsort((-means, -met))[0])  # all are compared with the one that has met most
    others = np.arange(len(tried)) != field[first]
    ahead, between, usual, common = _population(
        *_against(whole[others], everyone[others], filled[first], there[first]), rows
    )
    luck = float(_noise(usual / 2, common, rows))  # of this one on the examples that the others have met
    new = -ahead * between / (between + luck)
    apart, shared, squares = _against(filled, there, filled[first], there[first])
    each = (squares + ALIKE * usual) / (shared + ALIKE)
    noise = _noise(each, shared, rows)
    weight = between / (between + noise)
    mean, spread = weight * apart + (1 - weight) * new, between * (1 - weight)
    mean[first], spread[first] = 0.0, 0.0
    leader = int(np.argmax(mean))
    best = mean[leader]
    promise = _promise(mean - best, spread, each, shared, between, rows)
    one = np.ones(1)
    fresh = float(_promise((new - best) * one, between * one, usual * one, 0 * one, between, rows)[0])
    promise[leader] = math.nan
    apart, shared, _ = _against(filled, there, filled[leader], there[leader])
    return Prospects(leader, 0.0 - apart, shared, promise, fresh, ~(promise < HOLD * fresh))


def _population(apart: Scores, shared: Counts, squares: Scores, rows: int) -> tuple[float, float, float, float]:
    """How far one is ahead of recent others; variances: between true means, and of a difference on one example; and
    how many examples the others have met, as they count for the first.

    Means over different examples are not compared: each of the others is, with this one, on what both have met.
    """
    apart, shared, squares = apart[shared > 0], shared[shared > 0], squares[shared > 0]
    if not len(apart):
        return 0.0, BETWEEN**2, 0.5, 1.0
    usual = float((squares.sum() + 2) / (shared.sum() + 2))
    noise = _noise(usual / 2, shared, rows) + _NONE  # the other half is this one's, and the same for all
    weights = 1 / noise
    centre = weights @ apart / weights.sum()
    scale = weights.sum() - (weights**2).sum() / weights.sum()
    found = float((weights @ (apart - centre) ** 2 - (len(apart) - 1)) / scale) if scale > 0 else 0.0
    count = len(apart) - 1
    between = max(LEAST**2, (count * found + WEIGHT * BETWEEN**2) / (count + WEIGHT))
    weights = 1 / (noise + between)[-RECENT:]
    ahead, common = (float(weights @ each[-RECENT:] / weights.sum()) for each in (-apart, shared))
    return ahead, between, usual, common


def _against(
    filled: Scores, there: NDArray[np.bool_], other: Scores, known: NDArray[np.bool_]
) -> tuple[Scores, Counts, Scores]:
    """(A,) mean differences to another on common examples, how many those are, and the squares around the means."""
    common = there & known
    shared = common.sum(axis=1)
    apart = np.where(common, filled - other, 0.0).sum(axis=1) / np.maximum(shared, 1)
    rest = np.where(common, filled - other - apart[:, None], 0.0)
    return apart, shared, (rest**2).sum(axis=1)


def _noise(variance: Scores | float, met: Scores | Counts | float, rows: int) -> Scores:
    """The variance of a mean over the first of all rows, about the mean over all."""
    count = np.maximum(met, _NONE)
    found: Scores = np.asarray(variance) / count * np.maximum(0.0, 1 - count / rows)
    return found


def _promise(mean: Scores, spread: Scores, each: Scores, met: Scores | Counts, between: float, rows: int) -> Scores:
    """(A,) the expected rise of the best mean for each further evaluation, at the best number of them.

    Args:
        mean: expected distance to the leader, negative where behind.
        spread: its variance.
        each: variance of a difference on one example.
        met: examples so far.
    """
    from scipy.special import ndtr

    best = np.zeros(len(mean))
    for more in AHEAD:
        after = _noise(each, np.minimum(met + more, rows), rows)
        sd = np.sqrt(np.maximum(spread - between * after / (between + after), _NONE))
        z = mean / sd
        rise = mean * ndtr(z) + sd * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        best = np.maximum(best, np.where(met < rows, rise / more, 0.0))
    return best
