"""Evidence that may be looked at after every example: betting on the sign of a mean; see ``monitor`` in statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..eval.statistics.monitor import log_capital

BETS = np.linspace(0.05, 0.95, 10)
"""Shares of the capital that the bettors stake on each outcome; large ones, since a race is over few examples."""


def is_ahead(ours: Sequence[float], theirs: Sequence[float], alpha: float) -> bool:
    """Whether paired scores in [0, 1] show, at level ``alpha`` and at any time, that ours have the higher mean."""
    differences = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    return bool(differences.size) and bool(log_capital(differences, 0.0, "at most", BETS)[-1] >= -math.log(alpha))
