"""Evidence that a candidate is not the best, which may be looked at at any time: bettors against it.

Against "nobody is better than this one" each rival stakes a capital on its own advantage, example by example
(``log_capital`` in statistics; Waudby-Smith and Ramdas, JRSS-B 86, 2024). If the candidate is the best, no rival's
capital can be expected to grow, nor can their mean. So the mean exceeds ``1 / alpha`` at any time whatever with
probability ``alpha`` at the most (Ville's inequality). Only the best can be ruled out wrongly, so this is the
family-wise error: the probability that a race of many candidates ever rules out its best one.
"""

from __future__ import annotations

import math

import numpy as np

from ..eval.statistics.monitor import log_capital
from ..eval.statistics.values import Scores

BETS = np.linspace(0.05, 0.95, 10)
"""Shares of the capital that the bettors stake on each outcome; large ones, since a race is over few examples."""


def against(own: Scores, rivals: Scores, family: int) -> float:
    """The capital, from 1, against "no rival is better than this one".

    Args:
        own: ``(n,)`` scores in [0, 1] in the order in which the examples were met; nan where unscored.
        rivals: ``(A, n)`` on the same examples; nan where not met or unscored.
        family: rivals that there may be at the most, those still to come included; they share the first stake.
    """
    if not rivals.size:
        return 1.0
    apart = rivals - own
    apart[np.isnan(apart)] = 0.0
    logs = log_capital(apart, 0.0, "at most", BETS)[:, -1]
    idle = max(0, family - len(rivals))  # the stakes of those who have not come
    top = max(0.0, float(logs.max()))
    capital = float(np.exp(logs - top).sum()) + idle * math.exp(-top)
    return math.exp(min(700.0, top + math.log(capital / max(family, len(rivals)))))
