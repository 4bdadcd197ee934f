"""Other ways to find the best of many candidates on shared examples, each for many settings of its knob at once.

Every method takes one order of the examples, ``table`` of shape (candidates, examples) with nan where an outcome is
missing, and gives for each setting the candidate that it picks and the evaluations that it spent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr
from scipy.stats import binom

Array = NDArray[np.float64]
Picks = list[tuple[int, int]]
"""For each setting: the candidate picked, and evaluations."""

SMALL = 13
"""Pairs up to which SciPy's test counts permutations where there are ties."""


def uniform(table: Array, shares: Sequence[float]) -> Picks:
    """All candidates on the same first examples; knob: their share."""
    means, counts = _running(table)
    found = []
    for share in shares:
        n = max(1, round(share * table.shape[1]))
        found.append((int(means[:, n - 1].argmax()), int(counts[:, n - 1].sum())))
    return found


def halving(table: Array, shares: Sequence[float]) -> Picks:
    """Successive halving (Karnin, Koren and Somekh, ICML 2013): equal budgets for rounds of half as many candidates
    each, scores of earlier rounds kept; knob: the whole budget as a share of a full pass."""
    means, counts = _running(table)
    size, rows = table.shape
    rounds = math.ceil(math.log2(size))
    found = []
    for share in shares:
        live, met = np.arange(size), np.zeros(size, dtype=int)
        for _ in range(rounds):
            each = int(share * size * rows / (live.size * rounds))
            met[live] = np.minimum(rows, met[live] + max(1, each))
            order = np.argsort(-means[live, met[live] - 1], kind="stable")
            live = live[order[: math.ceil(live.size / 2)]]
        found.append((int(live[0]), int(counts[np.arange(size), met - 1].sum())))
    return found


def t_race(table: Array, alphas: Sequence[float], block: int) -> Picks:
    """Racing as in CAPO (Zehle et al., 2504.16005): after every block of examples a candidate drops out if a paired
    t-test says at ``alpha``, without regard to how often it is made, that another one is better; knob: ``alpha``."""
    size, rows = table.shape
    means, counts = _running(table)
    ends = [*range(block, rows, block), rows]
    there = (~np.isnan(table)).astype(float)
    filled = np.where(there > 0, table, 0.0)
    worse, start = [], 0
    n, apart, square = np.zeros((size, size)), np.zeros((size, size)), np.zeros((size, size))
    for end in ends:
        x, t = filled[:, start:end], there[:, start:end]
        n += t @ t.T
        ours = x @ t.T
        apart += ours - ours.T
        squares = (x * x) @ t.T
        square += squares + squares.T - 2 * x @ x.T
        some = np.maximum(n, 2)
        mean = apart / some
        error = np.sqrt(np.maximum(square - some * mean**2, 0) / (some - 1) / some)
        z = np.where(error > 0, mean / np.where(error > 0, error, 1), np.sign(mean) * 1e9)
        worse.append(stdtr(some - 1, -z))  # [i, j]: p of "i is not better than j"
        start = end
    found = []
    for alpha in alphas:
        live, met = np.arange(size), np.zeros(size, dtype=int)
        for end, p in zip(ends, worse, strict=True):
            met[live] = end
            if end < rows:
                live = live[~(p[np.ix_(live, live)] < alpha).any(axis=0)]
            if live.size == 1:
                break
        pick = live[means[live, met[live] - 1].argmax()]
        found.append((int(pick), int(counts[np.arange(size), met - 1].sum())))
    return found


def wilcoxon(table: Array, thresholds: Sequence[float]) -> Picks:
    """Optuna's WilcoxonPruner on candidates one after another, every score reported; knob: ``p_threshold``."""
    rows = table.shape[1]
    means, counts = _running(table)
    found = []
    for threshold in thresholds:
        best, spent = 0, int(counts[0, -1])
        for index in range(1, len(table)):
            stops = prunes(table[index], table[best], threshold)
            at = int(stops[0]) + 1 if stops.size else rows
            spent += int(counts[index, at - 1])
            if not stops.size and means[index, -1] > means[best, -1]:
                best = index
        found.append((best, spent))
    return found


def prunes(own: Array, best: Array, threshold: float, startup: int = 2) -> NDArray[np.intp]:
    """Steps at which ``optuna.pruners.WilcoxonPruner`` would prune, for right-or-wrong scores.

    In closed form: the normal approximation of the signed-rank test with ``zero_method="zsplit"``, which is what SciPy
    takes where there are ties, but for up to 13 pairs, where it counts permutations: with two scores, a sign test.
    """
    apart = own - best
    known = ~np.isnan(apart)
    wins, losses = np.cumsum(apart > 0), np.cumsum(apart < 0)
    n = np.cumsum(known)
    zeros, others = n - wins - losses, wins + losses
    nought, rank = (zeros + 1) / 2, zeros + (others + 1) / 2
    positive = wins * rank + zeros * nought / 2
    spread = n * (n + 1) * (2 * n + 1) - (zeros**3 - zeros + others**3 - others) / 2
    error = np.sqrt(np.maximum(spread, 1e-9) / 24)
    p = ndtr((positive - n * (n + 1) / 4) / error)
    few = int(np.searchsorted(n, SMALL, side="right"))
    p[:few] = binom.cdf(wins[:few], others[:few], 0.5)
    mean = np.cumsum(np.where(np.isnan(own), 0.0, own)) / np.maximum(np.cumsum(~np.isnan(own)), 1)
    return np.flatnonzero((p < threshold) & (n >= startup) & known & ~(np.nanmean(best) <= mean))


def _running(table: Array) -> tuple[Array, NDArray[np.intp]]:
    """(K, N) means and counts of the outcomes so far."""
    counts = np.cumsum(~np.isnan(table), axis=1)
    return np.cumsum(np.where(np.isnan(table), 0.0, table), axis=1) / np.maximum(counts, 1), counts
