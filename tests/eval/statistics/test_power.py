"""Numbers of examples against the textbook and by simulation."""

from __future__ import annotations

import pytest
from dstill.eval.statistics.power import examples_needed
from scipy import stats


def test_examples_needed_is_the_textbook_formula() -> None:
    """The n at which (z / effect)^2 times the interval's variance is 1, and near the textbook's without adjustment."""
    z = stats.norm.ppf(0.95) + stats.norm.ppf(0.8)
    n = examples_needed(0.2, 0.05)
    assert n is not None
    assert (z / 0.05) ** 2 * (0.2 / n + 2 / n**2) <= 1 < (z / 0.05) ** 2 * (0.2 / (n - 1) + 2 / (n - 1) ** 2)
    assert n == pytest.approx(0.2 * (z / 0.05) ** 2, rel=0.03)
    assert examples_needed(0.0, 0.05) is None
