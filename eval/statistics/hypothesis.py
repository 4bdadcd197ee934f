"""Tests of the hypothesis that two systems score alike."""

from __future__ import annotations

import math

import numpy as np

from ...runtime.derive import derive_int
from .intervals import RESAMPLES


def mcnemar(wins: int, losses: int) -> float:
    """The exact two-sided McNemar test (a binomial test on the disagreements; McNemar, Psychometrika 12, 1947)."""
    n, k = wins + losses, min(wins, losses)
    tail = sum(math.comb(n, i) for i in range(k + 1))
    return min(1.0, float(2 * tail / 2**n))


def sign_flip(differences: np.ndarray, *, seed: int = 0) -> float:
    """The two-sided sign-flip permutation test of a zero mean (Fisher, The Design of Experiments, 1935).

    All sign patterns for up to 13 differences, else a random sample that counts the observed one.
    """
    values = differences[differences != 0]
    if values.size == 0:
        return 1.0
    observed = abs(float(values.sum())) * (1 - 1e-12)
    if values.size <= 13:
        signs = 1 - 2 * ((np.arange(2**values.size)[:, None] >> np.arange(values.size)) & 1)
        return float((np.abs(signs @ values) >= observed).mean())
    chance = np.random.default_rng(derive_int(seed, "sign flip", values.size))
    hits = 0
    for size in [1000] * (RESAMPLES // 1000) + [RESAMPLES % 1000]:
        signs = chance.integers(0, 2, (size, values.size)) * 2 - 1
        hits += int((np.abs(signs @ values) >= observed).sum())
    return (hits + 1) / (RESAMPLES + 1)
