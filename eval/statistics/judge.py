"""A judge's scores made valid by a few human labels.

A judge scores many examples, and is wrong in ways that no interval over its scores shows. Humans label a random part of
them. Prediction-powered inference takes the judge's mean over all and corrects it by what the judge gets wrong on the
labelled part (Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, "Prediction-powered inference", arXiv 2301.09633). With
the judge weighted by its use (Angelopoulos, Duchi and Zrnic, "PPI++", arXiv 2311.01453) it does not lose, for many
labels, to the labels alone.

The papers' intervals are made for many labels, and too short for some dozens of them, the more so if the judge is
seldom wrong. Three things mend that here: each label meets a weight found from the other labels, so that no
label helps to explain itself; two errors of the largest size are added to the spread, as in Bonett and Price's interval
of a paired difference (J. Educ. Behav. Stat. 37, 2012); and Student's t takes the place of the normal distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...runtime.errors import BadInput
from .intervals import Interval, mean_interval, normal_quantile, t_quantile
from .values import Holed, Scores, as_scores, check_level


@dataclass(frozen=True, slots=True)
class Judged:
    """A mean score from a judge and humans."""

    interval: Interval
    """The mean of what humans would have said; its ends may lie outside the scores' range."""
    weight: float
    """How much the judge counts, on average over the labels: 0 not at all, 1 as in plain prediction-powered
    inference."""
    human: Interval
    """The labels alone, for comparison."""
    judge: float
    """The judge's plain mean, which may be off by any amount."""
    labelled: int
    unlabelled: int
    unscored: int
    """Examples left out because the judge did not score them, labelled or not."""


def judged_mean(human: Holed, judge: Holed, level: float = 0.95, *, tuned: bool = True) -> Judged:
    """The mean human score over all examples, from a judge's scores of all and human labels of some.

    The labelled examples must be a random part: labels of the hard ones alone give an answer about hard ones. Scores
    lie in [0, 1].

    Args:
        human: for every example its label as a score; ``None`` or nan where nobody labelled it.
        judge: for every example the judge's score; ``None`` or nan where it gave none.
        tuned: weigh the judge by what it is worth (PPI++), else count it fully.

    Raises:
        BadInput: with fewer than two examples that both scored.
    """
    check_level(level)
    y, f, rest, unscored = _divided(human, judge)
    weights = _weighed(y, f, rest, tuned)
    weight, errors = float(weights.mean()), y - weights * f
    value, variance = float(errors.mean()), float(_spread(errors, y.size)) / (y.size + 2)
    if weight:
        value += weight * float(rest.mean())
        variance += weight**2 * float(rest.var(ddof=1)) / rest.size
    half = t_quantile(0.5 + level / 2, y.size - 1) * math.sqrt(variance)
    return Judged(
        Interval(value, value - half, value + half, level), weight, mean_interval(y, level),
        float(np.concatenate([f, rest]).mean()), y.size, rest.size, unscored,
    )  # fmt: skip


def labels_needed(human: Holed, judge: Holed, half_width: float, level: float = 0.95) -> int | None:
    """How many labels in all would make the interval of ``judged_mean`` reach ``half_width`` to each side, if judge and
    people go on as on the labels that are there.

    Args:
        human, judge: as for ``judged_mean``.
        half_width: in score, above 0.

    Returns:
        ``None`` where no number of labels does it on these examples.
    """
    if not half_width > 0:
        raise BadInput(f"half_width={half_width!r}: expected a number above 0, in score")
    check_level(level)
    y, f, rest, _ = _divided(human, judge)
    weights = _weighed(y, f, rest, True)
    weight, total = float(weights.mean()), y.size + rest.size
    labels = np.arange(2, total + 1)
    left = np.maximum(total - labels, 1)
    scatter = weight**2 * float(np.concatenate([f, rest]).var(ddof=1))
    with_judge = _spread(y - weights * f, labels) / (labels + 2) + scatter / left
    with_judge[labels == total] = np.inf if weight else with_judge[-1]
    alone = _spread(y, labels) / (labels + 2)  # the judge can always be put aside
    reach = np.sqrt(np.minimum(with_judge, alone))
    enough = np.flatnonzero(normal_quantile(0.5 + level / 2) * reach <= half_width)
    for place in enough:  # Student's t is wider than the normal distribution, and hardly so for many labels
        if t_quantile(0.5 + level / 2, int(labels[place]) - 1) * float(reach[place]) <= half_width:
            return int(labels[place])
    return None


def _divided(human: Holed, judge: Holed) -> tuple[Scores, Scores, Scores, int]:
    """Labels, the judge's scores of the labelled, its scores of the others, and how many it did not score."""
    said, scored = as_scores(human, what="human"), as_scores(judge, what="judge")
    if said.shape != scored.shape:
        raise BadInput(f"expected a label (or None) for each judged example: got {said.size} and {scored.size}")
    there = ~np.isnan(scored)
    known = there & ~np.isnan(said)
    y, f, rest = said[known], scored[known], scored[there & ~known]
    seen = np.concatenate([y, f, rest])
    if seen.size and not 0 <= seen.min() <= seen.max() <= 1:
        raise BadInput(f"scores from {seen.min():g} to {seen.max():g}: expected them in [0, 1]")
    if y.size < 2:
        raise BadInput(f"{y.size} example(s) with a label and a judge's score: expected at least two")
    return y, f, rest, int((~there).sum())


def _weighed(y: Scores, f: Scores, rest: Scores, tuned: bool) -> Scores:
    """What the judge counts for each label."""
    return np.zeros(y.size) if rest.size < 2 else _weights(y, f, rest) if tuned else np.ones(y.size)


def _spread(errors: Scores, labels: ArrayLike) -> Scores:
    """The variance of errors like these, for a number of labels; shapes as ``labels``.

    Two errors more, of the largest size: a judge that is seldom wrong shows too few errors to tell their spread by.
    """
    n = np.asarray(labels, dtype=np.float64)
    found: Scores = (float(((errors - errors.mean()) ** 2).mean()) * n + 2) / (n + 2)
    return found


def _weights(y: Scores, f: Scores, rest: Scores) -> Scores:
    """For each labelled example the weight that makes the variance least (PPI++, example 6.1), from the others'
    labels, and kept between 0 and 1."""
    m = y.size
    spread = float(np.concatenate([f, rest]).var(ddof=1))
    if spread == 0 or m < 3:
        return np.zeros(m)
    products, ours, theirs = (y * f).sum() - y * f, y.sum() - y, f.sum() - f
    shared = (products - ours * theirs / (m - 1)) / (m - 2)
    weights: Scores = np.clip(shared / ((1 + m / rest.size) * spread), 0.0, 1.0)
    return weights
