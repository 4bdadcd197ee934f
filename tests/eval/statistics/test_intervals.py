"""Intervals against independent implementations, and their coverage by simulation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from dstill.eval.statistics.bootstrap import bca, paired_bootstrap, percentile
from dstill.eval.statistics.intervals import (
    Interval,
    bonett_price_bounds,
    bounded_bounds,
    bounded_mean,
    clopper_pearson,
    clopper_pearson_bounds,
    mean_interval,
    normal_quantile,
    paired_interval,
    t_quantile,
    wilson,
    wilson_bounds,
)
from dstill.eval.statistics.resample import RESAMPLES, resampled_means
from dstill.runtime.errors import BadInput
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


@pytest.mark.parametrize(("method", "stream"), [(bca, "bca"), (percentile, "percentile")])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_bootstraps_are_scipys_of_the_same_draws(method: Any, stream: str, level: float) -> None:
    """scipy makes an interval of the means that we have drawn; and of means of its own it is close."""
    values = np.random.default_rng(0).beta(0.5, 2, 80)
    found = method(values, level)
    means = resampled_means(values[None, :], RESAMPLES, seed=0, stream=stream)[:, 0]
    name = {"bca": "BCa"}.get(stream, stream)
    options = {"confidence_level": level, "method": name}
    own = stats.bootstrap((values,), np.mean, rng=np.random.default_rng(1), **options)
    ends = own.confidence_interval
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), abs=0.006)
    drawn = replace(own, bootstrap_distribution=means)
    ends = stats.bootstrap((values,), np.mean, n_resamples=0, bootstrap_result=drawn, **options).confidence_interval
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), abs=1e-9)


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
    assert mean_interval([0.5]) == Interval(0.5, 0.0, 1.0)  # one example says nothing of the spread
    same = mean_interval([0.25, 0.25, 0.25])
    assert same.low < 0.25 == same.value < same.high
    with pytest.raises(BadInput, match="at least one"):
        mean_interval([])
    with pytest.raises(BadInput, match="3 and 2"):
        paired_interval([1, 0, 1], [1, 0])


@pytest.mark.parametrize(("k", "n"), [(0, 5), (1, 20), (50, 100), (99, 100), (100, 100), (7, 1000)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_clopper_pearson_is_scipys(k: int, n: int, level: float) -> None:
    found = clopper_pearson(k, n, level)
    expected = stats.binomtest(k, n).proportion_ci(level, method="exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert found.value == k / n


@pytest.mark.parametrize("n", [1, 7, 40])
def test_clopper_pearson_never_covers_less_than_its_level(n: int) -> None:
    """Exactly: the binomial probability of the counts whose interval holds p, over a fine grid of p."""
    low, high = clopper_pearson_bounds(np.arange(n + 1), n)
    p = np.linspace(0.001, 0.999, 997)
    covers = (low <= p[:, None]) & (p[:, None] <= high)
    coverage = (stats.binom.pmf(np.arange(n + 1), n, p[:, None]) * covers).sum(axis=1)
    assert coverage.min() >= 0.95 - 1e-9


def test_many_proportions_at_once_are_one_after_the_other() -> None:
    k, n = np.array([0, 3, 9, 40]), np.array([4, 9, 9, 77])
    z = normal_quantile(0.95)
    found = wilson_bounds(k, n, z)
    each = [wilson(float(a), int(b), 0.9) for a, b in zip(k, n, strict=True)]
    np.testing.assert_allclose(np.array(found).T, [(x.low, x.high) for x in each])
    assert wilson_bounds(k[:, None], 100, z)[0].shape == (4, 1)
    paired = bonett_price_bounds([0, 5], [3, 1], 40)
    for place, (wins, losses) in enumerate([(0, 3), (5, 1)]):
        a, b = np.zeros(40), np.zeros(40)
        a[:wins], b[wins : wins + losses] = 1, 1
        one = paired_interval(a, b)
        assert (paired[0][place], paired[1][place]) == pytest.approx((one.low, one.high), abs=1e-9)


@pytest.mark.parametrize(("p", "freedom"), [(0.975, 1), (0.9, 4), (0.975, 29.5)])
def test_the_t_quantile_is_scipys(p: float, freedom: float) -> None:
    assert t_quantile(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), abs=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e-120])
def test_bca_knows_no_scale(scale: float) -> None:
    values = np.random.default_rng(4).random(12) ** 3
    one, other = bca(values), bca(values * scale)
    assert (other.low / scale, other.high / scale) == pytest.approx((one.low, one.high), rel=1e-9)


def test_the_percentile_bootstrap_follows_from_its_seed() -> None:
    values = np.random.default_rng(3).beta(0.5, 2, 80)
    assert percentile(values, seed=1) == percentile(values, seed=1) != percentile(values, seed=2)
    assert percentile(np.ones(4)) == Interval(1.0, 1.0, 1.0)


def test_the_paired_bootstrap_keeps_pairs_together() -> None:
    chance = np.random.default_rng(4)
    a = chance.random(60)
    b = np.clip(a - 0.1 + chance.normal(0, 0.02, 60), 0, 1)
    found = paired_bootstrap(a, b)
    assert found == percentile(a - b)
    assert found.high - found.low < (percentile(a).high - percentile(a).low) / 3


@pytest.mark.parametrize("method", [mean_interval, percentile, bca, lambda x: paired_interval(x, x)])
def test_unscored_examples_are_refused_and_not_taken_for_zero(method: object) -> None:
    with pytest.raises(BadInput, match="2 of 4 are unscored"):
        method([1.0, None, 0.0, float("nan")])  # type: ignore[operator]


def test_a_level_that_is_none() -> None:
    with pytest.raises(BadInput, match=r"level=95: expected a number between 0 and 1"):
        clopper_pearson(1, 2, 95)


def test_a_bounded_mean_is_students_t_with_a_little_of_both_ends() -> None:
    """Half an example at each end is one of both at half the weight: of doubled data, one of each."""
    values = np.array([0.9, 0.75, 1.0, 0.6, 0.9])
    doubled = np.concatenate([values, values, [0.0, 1.0]])
    mean, spread = doubled.mean(), doubled.std()
    half = stats.t.ppf(0.975, 4) * spread / np.sqrt(6)
    found = bounded_mean(values)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((mean - half, 1.0), abs=1e-12)
    assert mean + half > 1  # cut at the end of the range
    ends = bounded_bounds([values.sum(), 0.0], [values @ values, 0.0], [5, 5])
    assert (ends[0][0], ends[1][0]) == (found.low, found.high)
    assert ends[0][1] == 0.0


def test_an_interval_that_follows_the_skewness_is_shifted_by_halls_term() -> None:
    values = np.array([0.0, 0.0, -0.5, 0.0, -1.0, 0.25, 0.0, 0.0])
    weights = np.concatenate([np.ones(8), [0.25, 0.25]])
    padded = np.concatenate([values, [-1.0, 1.0]])
    mean = np.average(padded, weights=weights)
    spread = np.sqrt(np.average((padded - mean) ** 2, weights=weights))
    skewness = np.average((padded - mean) ** 3, weights=weights) / spread**3
    reach = stats.t.ppf(0.975, 7)
    shift = skewness * (2 * reach**2 + 1) / (6 * np.sqrt(8.5))
    assert 0 > shift > -reach / 2  # towards the losses
    error = spread / np.sqrt(8.5)
    found = bounded_mean(values, low=-1.0, ends=0.25, skewed=True)
    expected = (mean - (reach - shift) * error, mean + (reach + shift) * error)
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-12)
    mirrored = bounded_mean(-values, low=-1.0, ends=0.25, skewed=True)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low), abs=1e-12)
    few = bounded_mean([0.0] * 7 + [-1e-3], low=-1.0, ends=0.0, skewed=True)  # more skewed than a shift can follow
    assert few.value - few.low == pytest.approx(3 * (few.high - few.value))


def test_one_sided_bounds_of_rare_losses_are_seldom_too_high() -> None:
    """Student's t errs in 10 % and more here, and a gate would let losses pass."""
    chance = np.random.default_rng(8)
    for n, rate in ((100, 0.1), (200, 0.2), (1000, 0.05)):
        apart = np.where(chance.random((2000, n)) < rate, -chance.random((2000, n)), 0.0)
        sums = [(apart**k).sum(axis=1) for k in (1, 2, 3)]
        low, _ = bounded_bounds(sums[0], sums[1], n, 0.9, low=-1.0, ends=0.25, cubes=sums[2])
        assert (low > -rate / 2).mean() < 0.072


def test_of_many_examples_a_bounded_mean_is_scipys_t() -> None:
    values = np.random.default_rng(0).beta(2, 3, 20_000)
    found = bounded_mean(values, 0.9)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-5)
    wide = paired_interval(values, values[::-1])  # whose differences have no skewness
    apart = stats.ttest_rel(values, values[::-1]).confidence_interval(0.95)
    assert (wide.low, wide.high) == pytest.approx((apart.low, apart.high), abs=1e-5)


@pytest.mark.parametrize("n", [10, 20, 100])
@pytest.mark.parametrize("accuracy", [0.02, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("strength", [0.5, 2, 8])
def test_a_bounded_mean_covers_where_the_bootstrap_does_not(n: int, accuracy: float, strength: float) -> None:
    chance, runs = np.random.default_rng([n, int(100 * accuracy)]), 2000
    values = chance.beta(strength * accuracy, strength * (1 - accuracy), (runs, n))
    low, high = bounded_bounds(values.sum(axis=1), (values**2).sum(axis=1), n)
    assert ((low <= accuracy) & (accuracy <= high)).mean() > 0.935


def test_scores_outside_the_range_are_refused() -> None:
    with pytest.raises(BadInput, match=r"a score of 1\.5: expected numbers between 0 and 1"):
        mean_interval([0.2, 1.5])
    with pytest.raises(BadInput, match=r"a score of -1\.25: expected numbers between -1 and 1"):
        paired_interval([0.0, 0.5], [1.25, 0.5])


@pytest.mark.parametrize("method", [wilson, clopper_pearson])
@pytest.mark.parametrize(("successes", "n"), [(0, 0), (5, 3), (-1, 3)])
def test_counts_that_cannot_be(method: Any, successes: int, n: int) -> None:
    with pytest.raises(BadInput, match=f"{successes} successes of {n}: expected at least one example"):
        method(successes, n)
    with pytest.raises(BadInput, match="level=2"):
        method(1, 3, 2)


@pytest.mark.parametrize("method", [bca, percentile, bounded_mean])
def test_a_bootstrap_of_nothing(method: Any) -> None:
    with pytest.raises(BadInput, match="no scored example"):
        method([])
    with pytest.raises(BadInput, match="level=1.5"):
        method([0.2, 0.7], 1.5)


@pytest.mark.parametrize("method", [bca, percentile, lambda x, **more: paired_bootstrap(x, [1.0, 1.0, 0.0], **more)])
def test_a_bootstrap_needs_resamples(method: Any) -> None:
    for wrong in (0, -1):
        with pytest.raises(BadInput, match=f"resamples={wrong}: expected at least 1"):
            method([0.0, 1.0, 1.0], resamples=wrong)
