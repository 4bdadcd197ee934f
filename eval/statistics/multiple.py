"""P-values of many comparisons, adjusted for their number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import BadInput
from .values import Scores, as_scores


def holm(p: Sequence[float | None] | Scores) -> Scores:
    """Holm's step-down adjustment: those at or below 0.05 hold together with at most 5 % chance of one false alarm,
    whatever the dependence (Holm, Scand. J. Statist. 6, 1979).

    Args:
        p: p-values of one family of tests, shape ``(m,)``. A test that was not made is ``None`` or nan; it stays nan
            and does not count into the family.
    """
    values, order = _sorted(p)
    m = order.size
    steps = values[order] * (m - np.arange(m))
    return _put(values, order, np.maximum.accumulate(steps))


def benjamini_hochberg(p: Sequence[float | None] | Scores) -> Scores:
    """Benjamini and Hochberg's adjustment: of those at or below 0.05, at most 5 % are expected to be false alarms, if
    the tests are independent or positively dependent (Benjamini and Hochberg, JRSS-B 57, 1995).

    Args:
        p: as for ``holm``.
    """
    values, order = _sorted(p)
    m = order.size
    steps = values[order] * m / np.arange(1, m + 1)
    return _put(values, order, np.minimum.accumulate(steps[::-1])[::-1])


def _sorted(p: Sequence[float | None] | Scores) -> tuple[Scores, NDArray[np.intp]]:
    """The p-values, and the places of those that are there, the smallest first."""
    values = as_scores(p, what="p-values")
    wrong = values[(values < 0) | (values > 1)]
    if wrong.size:
        raise BadInput(f"p-values: expected numbers from 0 to 1, got {wrong[0]}")
    order = np.argsort(values, kind="stable")
    return values, order[: int((~np.isnan(values)).sum())]


def _put(values: Scores, order: NDArray[np.intp], adjusted: Scores) -> Scores:
    found = np.full(values.shape, np.nan)
    found[order] = np.minimum(1.0, adjusted)
    return found
