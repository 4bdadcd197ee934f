"""Thresholds with a promise: which of a student's answers may stand, so that together they cost at most so much.

A loss for each calibration example falls as the threshold rises, since fewer answers are then the student's. Two
promises can be made of the threshold that is chosen, neither of which asks anything of the student's confidence but
that calibration and future examples are exchangeable:

- ``mean``: the loss of a further example is at most ``harm`` on average, over calibration sets too (conformal risk
  control, Angelopoulos, Bates, Fisch, Lei and Schuster, "Conformal Risk Control", 2208.02814, theorem 1);
- ``likely``: with probability ``level`` the loss over the next examples, as many as were calibrated on, is at most
  ``harm``. Thresholds are tried from the most cautious one on, and the first that cannot be shown to hold ends the
  search, so that trying many costs no confidence (fixed-sequence testing, as in Angelopoulos et al., "Learn then Test",
  2110.01052). Each is shown by a prediction limit: hypergeometric for losses of 0 and 1, else by Hoeffding's bounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np

from ..runtime.errors import BadInput

Promise: TypeAlias = Literal["mean", "likely"]


@dataclass(frozen=True)
class Threshold:
    """From which confidence on the student's answer stands."""

    value: float
    """Above 1 where no answer of the student may stand."""
    kept: float
    """Share of the calibration examples that the student answers."""
    loss: float
    """Mean loss on them."""
    bound: float
    """What is promised of further examples; at most ``harm``."""

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {"value": self.value, "kept": self.kept, "loss": self.loss, "bound": self.bound}


NOBODY = 2.0
"""A threshold that no confidence reaches."""


def calibrate(
    confidence: Sequence[float],
    losses: Sequence[float],
    harm: float,
    *,
    promise: Promise = "likely",
    level: float = 0.975,
    ahead: int | None = None,
) -> Threshold:
    """The lowest threshold that keeps the promise.

    Args:
        confidence: the student's, in [0, 1], for each calibration example.
        losses: what is lost where the student answers instead of the teacher, in [0, 1]; 0 where nothing is.
        harm: the promised loss per example, of all examples, those of the teacher included (they lose nothing).
        level: of ``likely``.
        ahead: over how many further examples ``likely`` is to hold; as many as there are here by default.

    Raises:
        BadInput: for values out of range, or no examples.
    """
    sure, lost = np.asarray(confidence, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if sure.size == 0 or sure.shape != lost.shape:
        raise BadInput(f"{sure.size} confidences and {lost.size} losses: expected one of each for every example")
    if not (((lost >= 0) & (lost <= 1)).all() and ((sure >= 0) & (sure <= 1)).all()):
        raise BadInput("confidences and losses: expected numbers from 0 to 1")
    if not 0 < harm < 1 or not 0 < level < 1:
        raise BadInput(f"harm={harm}, level={level}: expected both between 0 and 1")
    n = sure.size
    order = np.argsort(-sure, kind="stable")
    values, running = sure[order], np.cumsum(lost[order])
    ends = [at for at in range(n) if at + 1 == n or values[at + 1] < values[at]]  # equal confidences go together
    binary = bool(np.isin(lost, (0.0, 1.0)).all())
    found = Threshold(NOBODY, 0.0, 0.0, 0.0)
    for at in ends:
        total = float(running[at])
        bound = _bound(total, n, ahead or n, promise, level, binary)
        if bound > harm:
            break
        found = Threshold(float(values[at]), (at + 1) / n, total / n, bound)
    return found


def _bound(total: float, n: int, ahead: int, promise: Promise, level: float, binary: bool) -> float:
    """What may be promised of the mean loss, given a sum over ``n``."""
    if promise == "mean":
        return (total + 1) / (n + 1)
    if binary:
        return prediction_limit(round(total), n, ahead, level) / ahead
    # Both means are within Hoeffding's distance of the same truth; the level is split between them.
    slack: float = math.sqrt(-math.log((1 - level) / 2) / 2) * (n**-0.5 + ahead**-0.5)
    return min(1.0, total / n + slack)


@lru_cache(maxsize=4096)
def prediction_limit(count: int, n: int, ahead: int, level: float) -> int:
    """Of ``ahead`` further examples, how many at most will be hits if ``count`` of ``n`` were, with this confidence.

    Given all hits together, how they fall into the two exchangeable sets is hypergeometric (Hahn and Meeker,
    Statistical Intervals, 1991, section 6.3); the limit is the largest number that is not rejected.
    """
    from scipy.stats import hypergeom

    further = np.arange(ahead + 1)
    # The chance of so few hits here, had there been as many as count + further in both sets.
    chance = hypergeom.cdf(count, n + ahead, count + further, n)
    return int(further[chance > 1 - level].max())
