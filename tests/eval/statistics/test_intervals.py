"""Intervals against independent implementations, and their coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from dstill.eval.statistics.intervals import Interval, bca, mean_interval, normal_quantile, paired_interval, wilson
from scipy import stats
from statsmodels.stats.proportion import proportion_confint


@pytest.mark.parametrize(("k", "n"), [(0, 5), (1, 20), (50, 100), (99, 100), (100, 100), (7, 1000)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_wilson_is_statsmodels(k: int, n: int, level: float) -> None:
    found = wilson(k, n, level)
    low, high = proportion_confint(k, n, alpha=1 - level, method="wilson")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize("p", [0.001, 0.025, 0.5, 0.8, 0.975])
def test_the_normal_quantile_is_scipys(p: float) -> None:
    assert normal_quantile(p) == pytest.approx(stats.norm.ppf(p), abs=1e-9)


def test_bca_is_scipys() -> None:
    values = np.random.default_rng(0).beta(0.5, 2, 80)
    found = bca(values, resamples=20_000)
    expected = stats.bootstrap((values,), np.mean, n_resamples=20_000, rng=np.random.default_rng(1)).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.004)


@pytest.mark.parametrize("p", [0.3, 0.9])
def test_wilson_covers(p: float) -> None:
    chance = np.random.default_rng(0)
    hits = sum(found.low <= p <= found.high for k in chance.binomial(60, p, 4000) for found in [wilson(k, 60)])
    assert 0.93 < hits / 4000 < 0.97


@pytest.mark.parametrize(("n", "shared", "gain"), [(40, 0.5, 0.0), (100, 0.8, 0.05), (300, 0.3, 0.1)])
def test_the_paired_interval_covers(n: int, shared: float, gain: float) -> None:
    """Two systems right with probability 0.6 and 0.6 + gain that agree on a share of the examples."""
    chance = np.random.default_rng(1)
    hits, runs = 0, 1500
    for _ in range(runs):
        u = chance.random(n)
        v = np.where(chance.random(n) < shared, u, chance.random(n))
        found = paired_interval((u < 0.6 + gain).astype(float), (v < 0.6).astype(float))
        hits += found.low <= gain <= found.high
    assert 0.935 < hits / runs < 0.985


def test_means_of_anything() -> None:
    assert mean_interval([0.0, 1.0, 1.0]).value == pytest.approx(2 / 3)
    assert mean_interval([0.5]) == Interval(0.5, 0.5, 0.5)
    assert mean_interval([0.25, 0.25, 0.25]).low == 0.25
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])
    with pytest.raises(ValueError, match="3 and 2"):
        paired_interval([1, 0, 1], [1, 0])
