"""Evidence that may be looked at after every example: betting on the sign of a mean.

A gambler who bets a fixed share of its capital that bounded outcomes have a positive mean cannot expect to gain if
they have not; capital beyond 1/alpha has probability at most alpha at any time whatever (Ville's inequality). The
capital of a grid of bettors is averaged (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by
betting", JRSS-B 86, 2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

BETS = np.linspace(0.05, 0.95, 10)
"""Shares of the capital that the bettors stake on each outcome."""


def log_capital(outcomes: Sequence[float]) -> float:
    """The log of the averaged capital after outcomes in [-1, 1], against the hypothesis that their mean is <= 0."""
    if not len(outcomes):
        return 0.0
    values = np.asarray(outcomes, dtype=np.float64)
    if float(np.abs(values).max()) > 1.0:
        raise ValueError(f"outcomes must lie in [-1, 1], got {values[np.abs(values).argmax()]}")
    logs = np.log1p(BETS[:, None] * values[None, :]).sum(axis=1)
    top = float(logs.max())
    return top + math.log(float(np.exp(logs - top).mean()))


def is_ahead(ours: Sequence[float], theirs: Sequence[float], alpha: float) -> bool:
    """Whether paired scores in [0, 1] show, at level ``alpha`` and at any time, that ours have the higher mean."""
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    return log_capital(differences) >= -math.log(alpha)
