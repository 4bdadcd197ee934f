"""The score of a system that was picked because it scored best: corrected for having been the luckiest of many.

The lower bound holds for whichever system is picked, because it holds for all of them together: the projection
interval of Andrews, Kitagawa and McCloskey ("Inference on winners", Quarterly J. Economics 139, 2024), with a critical
value from the bootstrap of the largest standardised error, which knows how the systems depend on each other. The upper
bound needs no such correction: the picked system is at most as good as the truly best, whichever that is, so the
largest of the systems' own one-sided bounds holds for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import BadInput
from .intervals import Interval, clopper_pearson_bounds, normal_quantile, t_quantile, wilson_bounds
from .resample import resampled_means
from .values import Holed, Scores, as_scores, check_level, is_binary

_RARE = 10
"""Fewer right answers than these leave most of ten equally weak systems without any: the bootstrap then sees nothing of
their luck, and the exact bound for all systems (Bonferroni's) takes its place."""


@dataclass(frozen=True, slots=True)
class Best:
    """The best of many, and what its score is worth."""

    system: int
    """Its row; of equals the first."""
    score: float
    """Its plain mean, which is too good."""
    interval: Interval
    """Around the corrected score: the plain one less the optimism, and never outside the interval."""
    optimism: float
    """By how much the mean of the best is expected to be too good, from the bootstrap."""
    n: int
    """Examples it was scored on."""
    unscored: NDArray[np.intp]
    """(S,): examples that each system was not scored on."""


def best_of_many(
    scores: Holed | Sequence[Holed],
    level: float = 0.95,
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Best:
    """The system with the highest mean, with an interval that is valid although it was picked.

    The interval holds at its level for the picked system's true mean, whatever the number of systems and their
    dependence. For the gain over a baseline hand in each system's differences to it. The optimism is the bootstrap's
    (the mean over resamples of what the best of the resample scores there and not in the data; Tibshirani and
    Tibshirani, "A bias correction for the minimum error rate in cross-validation", Annals of Applied Statistics 3,
    2009).

    Args:
        scores: ``(S, n)``, ``None`` or nan where unscored; each system's mean is over its own scored examples.

    Raises:
        BadInput: if a system has fewer than two scored examples.
    """
    check_level(level)
    table = as_scores(scores, dims=2)
    there = ~np.isnan(table)
    n = there.sum(axis=1)
    if table.size == 0 or n.min() < 2:
        raise BadInput(f"scores of shape {table.shape}: expected at least 2 scored examples of every system, got {n}")
    low, high = float(np.nanmin(table)), float(np.nanmax(table))
    if low < -1 or high > 1:
        raise BadInput(f"a score of {high if high > 1 else low}: expected scores in [0, 1], or differences of such")
    means = np.where(there, table, 0.0).sum(axis=1) / n
    pick = int(np.argmax(means))
    drawn = resampled_means(table, resamples, seed=seed, stream="best")
    picked = drawn.argmax(axis=1)
    optimism = max(0.0, float((drawn[np.arange(resamples), picked] - means[picked]).mean()))
    low, high = _bounds(table, there, means, drawn, 0.5 + level / 2, pick)
    value = min(max(float(means[pick]) - optimism, low), high)
    return Best(
        pick, float(means[pick]), Interval(value, low, high, level), optimism, int(n[pick]), (~there).sum(axis=1)
    )


def _bounds(
    table: Scores, there: NDArray[np.bool_], means: Scores, drawn: Scores, side: float, pick: int
) -> tuple[float, float]:
    """Lower and upper bound, each one-sided at ``side``."""
    n = there.sum(axis=1)
    off = np.where(there, table - means[:, None], 0.0)
    error = np.sqrt((off**2).sum(axis=1) / (n - 1) / n)
    error[error < 1e-12] = 0.0
    # Systems without spread do not move under the bootstrap: the critical value never goes below that of one system.
    moved = (drawn - means) / np.where(error > 0, error, np.inf)
    critical = float(np.quantile(moved.max(axis=1), side))
    if is_binary(table[there]):
        # Wilson's bounds hold near 0 and 1, and where a system is right on everything.
        z = normal_quantile(side)
        right = float(means[pick] * n[pick])
        low, _ = wilson_bounds(right, n[pick], max(critical, z))
        if right < _RARE:
            low = np.minimum(low, clopper_pearson_bounds(right, n[pick], 1 - 2 * (1 - side) / len(n))[0])
        _, high = wilson_bounds(means * n, n, z)
        return float(low), float(high.max())
    t = np.array([t_quantile(side, int(count) - 1) for count in n])
    return float(means[pick] - max(critical, t[pick]) * error[pick]), float((means + t * error).max())
