"""Tests of the hypothesis that two systems score alike, on the same examples or on different ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ...runtime.derive import derive_int
from ...runtime.errors import BadInput
from .intervals import RESAMPLES
from .values import Scores, all_scored, is_binary

_EXACT = 8_192
"""Most patterns or partitions to go through one by one."""


def mcnemar(wins: int, losses: int) -> float:
    """The exact two-sided McNemar test (a binomial test on the disagreements; McNemar, Psychometrika 12, 1947)."""
    n, k = wins + losses, min(wins, losses)
    tail = sum(math.comb(n, i) for i in range(k + 1))
    return min(1.0, float(2 * tail / 2**n))


def mcnemar_many(wins: ArrayLike, losses: ArrayLike) -> Scores:
    """``mcnemar`` of many pairs of systems at once; shapes broadcast."""
    from scipy.special import bdtr

    won, lost = np.broadcast_arrays(np.asarray(wins, dtype=np.int64), np.asarray(losses, dtype=np.int64))
    tail: Scores = bdtr(np.minimum(won, lost).astype(np.float64), won + lost, 0.5)
    return np.minimum(1.0, 2 * tail)


def sign_flip(differences: Scores, *, seed: int = 0) -> float:
    """The two-sided sign-flip permutation test of a zero mean (Fisher, The Design of Experiments, 1935).

    All sign patterns for up to 13 differences, else a random sample that counts the observed one.
    """
    values = all_scored(differences, what="differences")
    values = values[values != 0]
    if values.size == 0:
        return 1.0
    observed = abs(float(values.sum())) * (1 - 1e-12)
    if 2**values.size <= _EXACT:
        signs = 1 - 2 * ((np.arange(2**values.size)[:, None] >> np.arange(values.size)) & 1)
        return float((np.abs(signs @ values) >= observed).mean())
    chance = np.random.default_rng(derive_int(seed, "sign flip", values.size))
    hits = 0
    for size in [1000] * (RESAMPLES // 1000) + [RESAMPLES % 1000]:
        signs = chance.integers(0, 2, (size, values.size)) * 2 - 1
        hits += int((np.abs(signs @ values) >= observed).sum())
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
