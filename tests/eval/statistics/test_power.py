"""Numbers of examples against the textbook and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from dstill.eval.statistics.intervals import bonett_price_bounds
from dstill.eval.statistics.power import (
    detectable_effect,
    detectable_effect_single,
    examples_needed,
    examples_needed_single,
)
from dstill.runtime.errors import BadInput
from scipy import stats


def test_examples_needed_is_the_textbook_formula() -> None:
    """The n at which (z / effect)^2 times the interval's variance is 1, and near the textbook's without adjustment."""
    z = stats.norm.ppf(0.95) + stats.norm.ppf(0.8)
    n = examples_needed(0.2, 0.05)
    assert n is not None
    assert (z / 0.05) ** 2 * (0.2 / n + 2 / n**2) <= 1 < (z / 0.05) ** 2 * (0.2 / (n - 1) + 2 / (n - 1) ** 2)
    assert n == pytest.approx(0.2 * (z / 0.05) ** 2, rel=0.03)
    assert examples_needed(0.0, 0.05) is None


@pytest.mark.parametrize(("n", "spread"), [(50, 0.3), (1300, 0.1), (200, 0.01)])
def test_the_detectable_effect_is_the_inverse_of_the_examples_needed(n: int, spread: float) -> None:
    effect = detectable_effect(n, spread)
    assert examples_needed(spread, effect * (1 - 1e-9)) == pytest.approx(n, abs=1)
    assert detectable_effect(n, spread, power=0.95) > effect


def test_the_detectable_effect_is_seen_as_often_as_stated() -> None:
    """Right-or-wrong pairs that disagree on a fifth of the examples, judged by the one-sided paired interval."""
    n, spread = 400, 0.2
    effect = detectable_effect(n, spread, level=0.95, power=0.8)
    chance = np.random.default_rng(0)
    drawn = chance.multinomial(n, [(spread + effect) / 2, (spread - effect) / 2, 1 - spread], 4000)
    low, _ = bonett_price_bounds(drawn[:, 0], drawn[:, 1], n, 0.9)
    assert (low > 0).mean() == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize(("bar", "accuracy"), [(0.5, 0.6), (0.9, 0.93), (0.7, 0.6)])
def test_the_examples_for_one_system_give_the_exact_tests_power(bar: float, accuracy: float) -> None:
    """The power of the exact one-sided binomial test, computed from the distribution; it jumps with n."""
    n = examples_needed_single(bar, accuracy)
    assert n is not None
    side = 1 if accuracy > bar else -1
    powers = []
    for m in range(n, n + 20):
        k = np.arange(m + 1)
        tail = stats.binom.sf(k - 1, m, bar) if side > 0 else stats.binom.cdf(k, m, bar)
        powers.append(stats.binom.pmf(k, m, accuracy)[tail <= 0.05].sum())
    assert np.mean(powers) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(("n", "bar"), [(100, 0.5), (1000, 0.9)])
def test_the_detectable_effect_of_one_system_is_the_inverse(n: int, bar: float) -> None:
    effect = detectable_effect_single(n, bar)
    assert effect is not None
    assert examples_needed_single(bar, bar + effect) == n


def test_what_cannot_be_seen_and_what_is_no_input() -> None:
    assert detectable_effect_single(3, 0.9) is None
    assert examples_needed_single(0.8, 0.8) is None
    assert detectable_effect(2, 0.5) > 1
    for wrong in (lambda: detectable_effect(0, 0.1), lambda: detectable_effect_single(5, 1.2)):
        with pytest.raises(BadInput, match="at least one example"):
            wrong()
    with pytest.raises(BadInput, match=r"bar=90: expected a share of 1"):
        examples_needed_single(90, 0.95)
    for wrong in (
        lambda: examples_needed(0.2, 0.05, power=1.0),
        lambda: detectable_effect(100, 0.2, power=1.0),
        lambda: examples_needed_single(0.8, 0.9, power=1.0),
    ):
        with pytest.raises(BadInput, match=r"power=1\.0: expected a number between 0 and 1"):
            wrong()
    with pytest.raises(BadInput, match="level=95"):
        examples_needed(0.2, 0.05, level=95)
