"""Tests of the hypothesis that two systems score alike, on the same examples or on different ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...runtime.derive import derive_int
from ...runtime.errors import BadInput
from .resample import RESAMPLES
from .values import Scores, all_scored, is_binary

_EXACT = 8_192
"""Most partitions to go through one by one."""
MOST_SIGNS = 10_000
"""Most differences whose signs are flipped one by one."""


def mcnemar(wins: int, losses: int) -> float:
    """The exact two-sided McNemar test (a binomial test on the disagreements; McNemar, Psychometrika 12, 1947)."""
    if min(wins, losses) < 0:
        raise BadInput(f"{wins} wins and {losses} losses: expected counts of 0 or more")
    return float(mcnemar_many(wins, losses))


def mcnemar_many(wins: ArrayLike, losses: ArrayLike) -> Scores:
    """``mcnemar`` of many pairs of systems at once; shapes broadcast."""
    from scipy.special import bdtr

    won, lost = np.broadcast_arrays(np.asarray(wins, dtype=np.int64), np.asarray(losses, dtype=np.int64))
    tail: Scores = bdtr(np.minimum(won, lost).astype(np.float64), won + lost, 0.5)
    return np.minimum(1.0, 2 * tail)


def sign_flip(differences: Scores, *, seed: int = 0) -> float:
    """The two-sided sign-flip permutation test of a zero mean (Fisher, The Design of Experiments, 1935).

    All sign patterns for up to 13 differences that are not zero. Else a random sample of them that counts the observed
    one; or the normal distribution, once so many differences share in the sum that it could not be told from it.
    """
    values = all_scored(differences, what="differences")
    return float(sign_flips(values[None, :], seed=seed)[0])


def sign_flips(differences: Scores, *, seed: int = 0) -> Scores:
    """``sign_flip`` of every row of ``(P, n)``, all under the same signs."""
    found, open_ = flips_without_chance(differences)
    n = differences.shape[1]
    if n > MOST_SIGNS:
        for place in np.flatnonzero(open_):
            found[place] = _flip_the_largest(differences[place], seed)
        return found
    if open_.any():
        rows = differences[open_]
        reached = np.abs(rows.sum(axis=1)) * (1 - 1e-9)
        hits = sum((np.abs(rows @ signs.T) >= reached[:, None]).sum(axis=1) for signs in sign_blocks(n, seed))
        found[open_] = (hits + 1) / (RESAMPLES + 1)
    return found


def flips_without_chance(differences: Scores) -> tuple[Scores, NDArray[np.bool_]]:
    """The p-values of ``(P, n)`` that need no random signs, nan for the others, and which those are.

    A sum of flipped numbers is symmetric, so what it is off from a normal variable is of the order of their fourth
    moment over the squared second, which is at most the largest square over the sum of squares: under a thousandth
    here, and less than 9,999 random patterns would be off by.
    """
    from scipy.special import ndtr

    squares, most = (differences**2).sum(axis=1), (differences**2).max(axis=1, initial=0.0)
    changed = np.count_nonzero(differences, axis=1)
    normal, few = squares > 1_000 * most, changed <= 13
    found = np.full(len(differences), np.nan)
    far = np.abs(differences[normal].sum(axis=1)) / np.sqrt(squares[normal])
    found[normal] = 2 * ndtr(-far)
    for place in np.flatnonzero(few):
        found[place] = _all_flips(differences[place][differences[place] != 0])
    return found, ~(normal | few)


def sign_blocks(n: int, seed: int) -> Iterator[Scores]:
    """The random signs of ``RESAMPLES`` patterns of ``n`` differences, (patterns of the block, n); always the same."""
    size = max(1, min(RESAMPLES, 4_000_000 // n))
    for number, start in enumerate(range(0, RESAMPLES, size)):
        chance = np.random.default_rng(derive_int(seed, "sign flip", n, number))
        rows = min(size, RESAMPLES - start)
        signs: Scores = chance.integers(0, 2, (rows, n), dtype=np.int8).astype(np.float64)
        signs *= 2
        signs -= 1
        yield signs


def _all_flips(values: Scores) -> float:
    if values.size == 0:
        return 1.0
    signs = 1 - 2 * ((np.arange(2**values.size)[:, None] >> np.arange(values.size)) & 1)
    return float((np.abs(signs @ values) >= abs(float(values.sum())) * (1 - 1e-9)).mean())


def _flip_the_largest(values: Scores, seed: int) -> float:
    """The largest differences are flipped one by one; the rest, each of which is smaller, sum to a normal variable."""
    order = np.argsort(-np.abs(values), kind="stable")
    largest, rest = values[order[:MOST_SIGNS]], values[order[MOST_SIGNS:]]
    chance = np.random.default_rng(derive_int(seed, "the rest", values.size))
    reached, hits = abs(float(values.sum())) * (1 - 1e-9), 0
    for signs in sign_blocks(largest.size, seed):
        sums = signs @ largest + chance.normal(0.0, float(np.sqrt(rest @ rest)), len(signs))
        hits += int((np.abs(sums) >= reached).sum())
    return (hits + 1) / (RESAMPLES + 1)


def two_sample(a: Sequence[float] | Scores, b: Sequence[float] | Scores, *, seed: int = 0) -> float:
    """The two-sided permutation test that two sets of different examples have one mean (Pitman, Suppl. JRSS 4, 1937).

    Exact for right-or-wrong scores (the hypergeometric distribution) and for up to 8,192 partitions of the pooled
    scores; otherwise 9,999 random partitions and the observed one. For scores of the same examples use ``sign_flip``
    or ``mcnemar``: they see more.

    Raises:
        BadInput: without a score on a side, or if one is unscored.
    """
    left, right = all_scored(a), all_scored(b)
    n, m = left.size, right.size
    if n == 0 or m == 0:
        raise BadInput(f"two samples must not be empty: got {n} and {m} scores")
    pool = np.concatenate([left, right])
    expected = n * float(pool.mean())
    # what a sum of rounded numbers may be off by; a partition as extreme as the observed one must count
    observed = abs(float(left.sum()) - expected) - 1e-9 * max(1.0, float(np.abs(pool).sum()))
    if is_binary(pool):
        return _hypergeometric(int(pool.sum()), n, m, observed, expected)
    if math.comb(n + m, n) <= _EXACT:
        parts = np.array(list(itertools.combinations(range(n + m), n)))
        return float((np.abs(pool[parts].sum(axis=1) - expected) >= observed).mean())
    chance = np.random.default_rng(derive_int(seed, "two samples", n, m))
    hits, done = 0, 0
    while done < RESAMPLES:
        size = min(RESAMPLES - done, max(1, 2_000_000 // (n + m)))
        drawn = chance.permuted(np.broadcast_to(pool, (size, n + m)), axis=1)[:, :n].sum(axis=1)
        hits, done = hits + int((np.abs(drawn - expected) >= observed).sum()), done + size
    return (hits + 1) / (RESAMPLES + 1)


def _hypergeometric(ones: int, n: int, m: int, observed: float, expected: float) -> float:
    """The chance that ``n`` of ``n + m`` scores, ``ones`` of them 1, sum to something as far from the expected."""
    from scipy.special import gammaln

    def log_comb(total: ArrayLike, some: ArrayLike) -> Scores:
        total, some = np.asarray(total, dtype=np.float64), np.asarray(some, dtype=np.float64)
        found: Scores = gammaln(total + 1) - gammaln(some + 1) - gammaln(total - some + 1)
        return found

    k = np.arange(max(0, ones - m), min(n, ones) + 1)
    logs = log_comb(ones, k) + log_comb(n + m - ones, n - k) - log_comb(n + m, n)
    return min(1.0, float(np.exp(logs)[np.abs(k - expected) >= observed].sum()))
