"""Do stated confidences mean what they say?"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...runtime.derive import derive_int
from ...runtime.errors import BadInput
from .clusters import cluster_difference, cluster_mean
from .intervals import Interval, bounded_mean, normal_quantile, paired_interval, wilson_bounds
from .resample import RESAMPLES
from .values import Holed, Scores, as_scores, check_level, groups_of, is_binary


@dataclass(frozen=True, slots=True)
class Calibration:
    """Confidences against outcomes, over n answers in K bins that are not empty.

    ``brier.value = reliability - resolution + uncertainty + within``.
    """

    confidence: Scores
    """(K,): the mean confidence in each bin, rising. With ``accuracy`` the points of a reliability diagram."""
    accuracy: Scores
    """(K,): the share that is right."""
    low: Scores
    high: Scores
    """(K,): Wilson's interval of the accuracy, which takes the answers for independent."""
    count: NDArray[np.intp]
    """(K,): answers."""
    ece: Interval
    """Expected calibration error: the mean distance of confidence and accuracy, by answers; 0 is perfect. The value is
    too large for few answers, because chance alone moves each bin; the interval allows for that."""
    brier: Interval
    """The mean squared distance of confidence and outcome; 0 is perfect."""
    overconfidence: Interval
    """The mean confidence less the share that is right; below 0 the confidences are too modest."""
    reliability: float
    """The part of the Brier score that calibration would mend."""
    resolution: float
    """How far the bins' accuracies differ; the larger the better."""
    uncertainty: float
    """The variance of the outcomes, which no confidence can change."""
    within: float
    """What the confidences do inside their bins; 0 if all in a bin are equal."""
    n: int
    unscored: int
    """Answers left out because they have no confidence or no outcome."""

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        bins = zip(self.confidence, self.accuracy, self.low, self.high, self.count, strict=True)
        return {
            "n": self.n, "unscored": self.unscored, "ece": self.ece.dump(), "brier": self.brier.dump(),
            "overconfidence": self.overconfidence.dump(), "reliability": self.reliability,
            "resolution": self.resolution, "uncertainty": self.uncertainty, "within": self.within,
            "bins": [
                {"confidence": float(f), "accuracy": float(o), "low": float(low), "high": float(high), "n": int(n)}
                for f, o, low, high, n in bins
            ],
        }  # fmt: skip


def calibration(
    confidence: Holed,
    correct: Holed,
    *,
    bins: int = 10,
    kind: Literal["width", "mass"] = "width",
    level: float = 0.95,
    groups: Sequence[Hashable] | NDArray[Any] | None = None,
    seed: int = 0,
) -> Calibration:
    """Calibration error, Brier score with its parts, and the points of a reliability diagram.

    The calibration error goes back to Naeini, Cooper and Hauskrecht, AAAI 2015, and Guo et al., arXiv 1706.04599. The
    parts of the Brier score are Murphy's (J. Applied Meteorology 12, 1973) with the part inside the bins of Stephenson,
    Coelho and Jolliffe (Weather and Forecasting 23, 2008).

    Args:
        confidence: for every answer a probability in [0, 1]; ``None`` or nan where there is none.
        correct: 0 or 1; ``None`` or nan where unscored.
        bins: how many, before empty ones are left out.
        kind: ``width``: equally wide, each with its upper edge. ``mass``: about equally many answers in each, between
            quantiles; equal confidences stay together.
        groups: for every answer what it shares with others, e.g. its example's id; each is independent if ``None``.
        seed: of the draws by which the interval of the calibration error is found.

    Raises:
        BadInput: for confidences outside [0, 1], outcomes other than 0 and 1, or none of both.
    """
    check_level(level)
    stated, outcome = as_scores(confidence, what="confidence"), as_scores(correct, what="correct")
    if stated.shape != outcome.shape:
        raise BadInput(f"expected one confidence for each outcome: got {stated.size} and {outcome.size}")
    there = ~np.isnan(stated) & ~np.isnan(outcome)
    f, o = stated[there], outcome[there]
    if f.size == 0 or bins < 1:
        raise BadInput(f"{f.size} answers with confidence and outcome, {bins} bins: expected at least one of both")
    if f.min() < 0 or f.max() > 1:
        raise BadInput(f"confidence {f.max() if f.max() > 1 else f.min()}: expected a probability from 0 to 1")
    if not is_binary(o):
        raise BadInput("correct: expected 0 or 1 for every answer; turn other scores into right or wrong first")
    shared = None if groups is None else groups_of(groups, stated.size, what="groups")[1][there]
    place = np.searchsorted(_edges(f, bins, kind), f, side="left")
    _, place, count = np.unique(place, return_inverse=True, return_counts=True)
    mean, right = np.bincount(place, f) / count, np.bincount(place, o) / count
    low, high = wilson_bounds(right * count, count, normal_quantile(0.5 + level / 2))
    share, base = count / f.size, float(o.mean())
    inside = (f - mean[place]) ** 2 - 2 * (f - mean[place]) * (o - right[place])
    brier, over = _means(f, o, shared, level)
    return Calibration(
        mean, right, low, high, count, _error(f, o, place, shared, level, seed), brier, over,
        float(share @ (right - mean) ** 2), float(share @ (right - base) ** 2), base * (1 - base),
        float(inside.mean()), f.size, stated.size - f.size,
    )  # fmt: skip


def _means(f: Scores, o: Scores, groups: NDArray[np.intp] | None, level: float) -> tuple[Interval, Interval]:
    """The Brier score, and the mean confidence less the share that is right."""
    if groups is None:
        return bounded_mean((f - o) ** 2, level), paired_interval(f, o, level)
    brier, over = cluster_mean((f - o) ** 2, groups, level).interval, cluster_difference(f, o, groups, level).interval
    return _within(brier, 0.0), _within(over, -1.0)


def _error(
    f: Scores, o: Scores, place: NDArray[np.intp], groups: NDArray[np.intp] | None, level: float, seed: int
) -> Interval:
    """The calibration error, the sum of the bins' errors without their signs, with its interval.

    Let a bin's error be the mean over all answers of outcome less confidence, for answers in that bin, else 0. By the
    triangle inequality the sum strays upwards by no more than the bins' own deviations together, of which normal draws
    give the quantile; downwards by no more than the sum does with the signs that are true. Both are bounds, so it holds
    the truth more often than its level where the errors are small. Outcomes are taken to vary as much as they did, or
    as much as the confidences say, whichever is more: a few answers that are all right have not shown that they vary.
    """
    n, off, said = f.size, o - f, np.sqrt(f * (1 - f))
    group = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    cell, into = np.unique(place * (int(group.max()) + 1) + group, return_inverse=True)
    bin_of = cell // (int(group.max()) + 1)
    apart = [np.bincount(bin_of, np.bincount(into, each) ** 2) for each in (off, said)]
    spread = np.sqrt(np.maximum(*apart)) / n
    draws = np.random.default_rng(derive_int(seed, "calibration", spread.size)).standard_normal(
        (RESAMPLES, spread.size)
    )
    down = float(np.quantile(np.abs(draws) @ spread, 0.5 + level / 2))
    together = max(float((np.bincount(group, np.abs(each)) ** 2).sum()) for each in (off, said))
    value = float(np.abs(np.bincount(place, off)).sum()) / n
    up = normal_quantile(0.5 + level / 2) * together**0.5 / n
    return Interval(value, max(0.0, value - down), min(1.0, value + up), level)


def _within(found: Interval, low: float) -> Interval:
    return Interval(found.value, max(low, found.low), min(1.0, found.high), found.level)


def _edges(f: Scores, bins: int, kind: str) -> Scores:
    """The edges between bins."""
    inner = np.linspace(0, 1, bins + 1)[1:-1]
    if kind == "width":
        return inner
    if kind == "mass":
        return np.quantile(f, inner)
    raise BadInput(f"kind={kind!r}: expected 'width' or 'mass'")
