"""Do stated confidences mean what they say?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import BadInput
from .intervals import normal_quantile, wilson_bounds
from .values import Holed, Scores, as_scores, check_level, is_binary


@dataclass(frozen=True, slots=True)
class Calibration:
    """Confidences against outcomes, over n examples in K bins that are not empty.

    ``brier = reliability - resolution + uncertainty + within``.
    """

    confidence: Scores
    """(K,): the mean confidence in each bin, rising. With ``accuracy`` the points of a reliability diagram."""
    accuracy: Scores
    """(K,): the share that is right."""
    low: Scores
    high: Scores
    """(K,): Wilson's interval of the accuracy."""
    count: NDArray[np.intp]
    """(K,): examples."""
    ece: float
    """Expected calibration error: the mean distance of confidence and accuracy, by examples."""
    brier: float
    """The mean squared distance of confidence and outcome; 0 is perfect."""
    reliability: float
    """The part of it that calibration would mend."""
    resolution: float
    """How far the bins' accuracies differ; the larger the better."""
    uncertainty: float
    """The variance of the outcomes, which no confidence can change."""
    within: float
    """What the confidences do inside their bins; 0 if all in a bin are equal."""
    n: int
    unscored: int
    """Examples left out because they have no confidence or no outcome."""


def calibration(
    confidence: Holed,
    correct: Holed,
    *,
    bins: int = 10,
    kind: Literal["width", "mass"] = "width",
    level: float = 0.95,
) -> Calibration:
    """Calibration error, Brier score with its parts, and the points of a reliability diagram.

    The calibration error goes back to Naeini, Cooper and Hauskrecht, AAAI 2015, and Guo et al., arXiv 1706.04599; it is
    too large for few examples, because chance alone moves each bin. The parts of the Brier score are Murphy's (J.
    Applied Meteorology 12, 1973) with the part inside the bins of Stephenson, Coelho and Jolliffe (Weather and
    Forecasting 23, 2008).

    Args:
        confidence: for every example a probability in [0, 1]; ``None`` or nan where there is none.
        correct: 0 or 1; ``None`` or nan where unscored.
        bins: how many, before empty ones are left out.
        kind: ``width``: equally wide, each with its upper edge. ``mass``: about equally many examples in each, between
            quantiles; equal confidences stay together.
    """
    check_level(level)
    stated, outcome = as_scores(confidence, what="confidence"), as_scores(correct, what="correct")
    if stated.shape != outcome.shape:
        raise BadInput(f"expected one confidence for each outcome: got {stated.size} and {outcome.size}")
    there = ~np.isnan(stated) & ~np.isnan(outcome)
    f, o = stated[there], outcome[there]
    if f.size == 0 or bins < 1:
        raise BadInput(f"{f.size} examples with confidence and outcome, {bins} bins: expected at least one of both")
    if f.min() < 0 or f.max() > 1:
        raise BadInput(f"confidence {f.max() if f.max() > 1 else f.min()}: expected a probability from 0 to 1")
    if not is_binary(o):
        raise BadInput("correct: expected 0 or 1 for every example; turn other scores into right or wrong first")
    place = np.searchsorted(_edges(f, bins, kind), f, side="left")
    _, place, count = np.unique(place, return_inverse=True, return_counts=True)
    mean, right = np.bincount(place, f) / count, np.bincount(place, o) / count
    low, high = wilson_bounds(right * count, count, normal_quantile(0.5 + level / 2))
    share, base = count / f.size, float(o.mean())
    inside = (f - mean[place]) ** 2 - 2 * (f - mean[place]) * (o - right[place])
    return Calibration(
        mean, right, low, high, count, float(share @ np.abs(right - mean)), float(((f - o) ** 2).mean()),
        float(share @ (right - mean) ** 2), float(share @ (right - base) ** 2), base * (1 - base),
        float(inside.mean()), f.size, stated.size - f.size,
    )  # fmt: skip


def _edges(f: Scores, bins: int, kind: str) -> Scores:
    """The edges between bins."""
    inner = np.linspace(0, 1, bins + 1)[1:-1]
    if kind == "width":
        return inner
    if kind == "mass":
        return np.quantile(f, inner)
    raise BadInput(f"kind={kind!r}: expected 'width' or 'mass'")
