"""Who may still be the best: what setting a candidate aside is expected to cost, from scores on the same examples.

A candidate is worth going on with for as long as it may still raise the score of the best: its value is the mean of
``max(0, its true mean - the best of the others' true means)``, the expected opportunity cost of ranking and selection
(Chick and Inoue, "New two-stage and sequential procedures for selecting the best simulated system", Operations
Research 49, 2001). The maximum is over all others and not over the leader alone, so one of many equals is soon set
aside, while the better of two is told from the worse with care. With examples still to come, the true means are taken
to be normal around what was seen, with the spread of the paired differences to the leader and two disagreements more
(Bonett and Price, J. Educ. Behav. Stat. 37, 2012), and less of it the more of all examples were met (Cochran, Sampling
Techniques, 3rd ed., 1977, section 2.6). Errors that several candidates share through the examples are drawn together,
each example with one normal multiplier (Chernozhukov, Chetverikov and Kato, Annals of Statistics 41, 2013).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..eval.statistics.values import Scores
from ..runtime.derive import derive_int

DRAWS = 256
"""Joint draws of all true means; half of them mirror the others."""
_NONE = 1e-12


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the candidates of a race stand."""

    leader: int
    """Who is ahead of everybody on the examples that both have met."""
    behind: Scores
    """(A,): the mean by which the leader's score is higher, on the examples that both have met."""
    shared: NDArray[np.intp]
    """(A,): how many examples those are."""
    value: Scores
    """(A,): what each is expected to add to the best true mean of those kept with it; nan for the leader."""
    keep: NDArray[np.bool_]
    """(A,): who is worth going on with; the leader always is."""


def standing(scores: Scores, rows: int, *, worth: float, seed: int) -> Standing:
    """Who leads, and who is to be set aside.

    The one of least value goes first, and with it others whose values together stay below what is worth going on for;
    then the values of those left are taken anew, since of two equals only one is dispensable. Going on is dearer the
    more are in the field, so the bar rises with the root of their number (benchmarks/optimizers/matrices.py).

    Args:
        scores: ``(A, n)`` in [0, 1] by candidate and place in the common order; nan where not met or unscored. Of
            equals the first is preferred.
        rows: examples in the whole order, at least ``n``.
        worth: the least value that is worth going on for where two are left.
        seed: of the draws.
    """
    there = ~np.isnan(scores)
    filled = np.where(there, scores, 0.0)
    leader, apart, shared = _leader(filled, there)
    common = there & there[leader]
    rest = np.where(common, filled - filled[leader] - apart[:, None], 0.0)
    left = np.sqrt(np.maximum(0.0, 1 - shared / rows))
    spread = np.sqrt(((rest**2).sum(axis=1) + 2) / (np.maximum(shared, 1) * (shared + 2))) * left
    by_example, by_candidate = _draws(rows, seed), _own(len(scores), seed)
    drawn = rest @ by_example[: rest.shape[1]] + (by_candidate - by_candidate[leader])
    size = np.sqrt((drawn**2).mean(axis=1))
    truth = apart[:, None] + drawn * (spread / np.where(size > 0, size, 1.0))[:, None]
    truth[leader] = 0.0
    value, keep = _values(truth, leader, worth)
    return Standing(leader, 0.0 - apart, shared, value, keep)


def _leader(filled: Scores, there: NDArray[np.bool_]) -> tuple[int, Scores, NDArray[np.intp]]:
    """From the one that has met most, step by step to somebody who is ahead of it on what both have met."""
    met = there.sum(axis=1)
    means = filled.sum(axis=1) / np.maximum(met, 1)
    leader = int(np.lexsort((-means, -met))[0])
    seen: set[int] = set()
    while True:
        shared = (there & there[leader]).sum(axis=1)
        apart = (filled @ there[leader] - there @ filled[leader]) / np.maximum(shared, 1)
        apart[shared == 0] = 0.0
        seen.add(leader)
        ahead = int(np.argmax(apart))
        if apart[ahead] <= _NONE or ahead in seen:
            return leader, apart, shared
        leader = ahead


def _values(truth: Scores, leader: int, worth: float) -> tuple[Scores, NDArray[np.bool_]]:
    """(A,) values of those kept, and those dropped at the time; and who is kept."""
    count = len(truth)
    value, keep = np.full(count, math.nan), np.ones(count, dtype=np.bool_)
    live = np.arange(count)
    while live.size > 1:
        drawn = truth[live]
        columns = np.arange(drawn.shape[1])
        first = drawn.argmax(axis=0)
        best = drawn[first, columns]
        drawn[first, columns] = -np.inf
        second = drawn.max(axis=0)
        drawn[first, columns] = best
        lacking = best - drawn
        lacking[first, columns] = second - best
        mean, sd = lacking.mean(axis=1), np.maximum(lacking.std(axis=1), 1e-9)
        worths = sd * _excess(mean / sd)
        value[live] = worths
        worths[live == leader] = np.inf
        order = np.argsort(worths, kind="stable")
        going = order[: int(np.searchsorted(np.cumsum(worths[order]), worth * math.sqrt(live.size / 2)))]
        if going.size == 0:
            break
        keep[live[going]] = False
        live = np.delete(live, going)
    value[leader] = math.nan
    return value, keep


def _excess(z: Scores) -> Scores:
    """The mean of ``max(0, Z - z)`` for a standard normal Z."""
    from scipy.special import ndtr

    found: Scores = np.maximum(0.0, np.exp(-z * z / 2) / math.sqrt(2 * math.pi) - z * ndtr(-z))
    return found


@lru_cache(maxsize=4)
def _draws(rows: int, seed: int) -> Scores:
    """(rows, DRAWS) multipliers, one for each example."""
    return _mirrored(rows, derive_int(seed, "multipliers"))


@lru_cache(maxsize=64)
def _own(count: int, seed: int) -> Scores:
    """(count, DRAWS) errors of each candidate's own: the two disagreements more."""
    return _mirrored(count, derive_int(seed, "own errors"))


def _mirrored(count: int, seed: int) -> Scores:
    half = np.random.default_rng(seed).standard_normal((count, DRAWS // 2))
    both = np.concatenate([half, -half], axis=1)
    found: Scores = both / np.sqrt((both**2).mean(axis=1, keepdims=True))
    found.flags.writeable = False
    return found
