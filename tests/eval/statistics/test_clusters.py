"""Cluster-robust intervals against statsmodels, and their coverage where naive ones fail."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from dstill.eval.statistics.clusters import cluster_difference, cluster_mean
from dstill.eval.statistics.intervals import wilson_bounds
from dstill.runtime.errors import BadInput
from numpy.typing import NDArray
from scipy import stats


def clustered(seed: int, groups: int = 25) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Scores that share an effect within clusters of 1 to 8 examples."""
    chance = np.random.default_rng(seed)
    labels = np.repeat(np.arange(groups), chance.integers(1, 9, groups))
    return chance.normal(0.5, 0.2, groups)[labels] + chance.normal(0, 0.1, labels.size), labels


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_interval_is_that_of_statsmodels(level: float) -> None:
    scores, labels = clustered(0)
    fit = sm.OLS(scores, np.ones(scores.size)).fit(cov_type="cluster", cov_kwds={"groups": labels}, use_t=True)
    found = cluster_mean(scores, labels, level)
    low, high = fit.conf_int(1 - level)[0]
    assert found.error == pytest.approx(fit.bse[0], abs=1e-9)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=1e-9)
    assert (found.clusters, found.n, found.unscored) == (25, scores.size, 0)


def test_examples_on_their_own_are_clusters_of_one() -> None:
    scores = np.random.default_rng(1).random(40)
    found = cluster_mean(scores, [f"q{i}" for i in range(40)])
    assert found.error == pytest.approx(scores.std(ddof=1) / math.sqrt(40))
    assert found.design_effect == pytest.approx(1)


def test_copies_of_examples_are_worth_nothing() -> None:
    scores = np.random.default_rng(2).random(30)
    alone, twice = cluster_mean(scores, range(30)), cluster_mean(np.repeat(scores, 2), np.repeat(range(30), 2))
    assert twice.interval.high == pytest.approx(alone.interval.high)
    assert twice.design_effect == pytest.approx(2, rel=0.05)


def test_unscored_examples_are_counted_and_left_out() -> None:
    scores, labels = clustered(3)
    holes = scores.copy()
    holes[[0, 5]] = np.nan
    kept = ~np.isnan(holes)
    found = cluster_mean(holes, labels)
    assert found.unscored == 2
    assert found.interval == cluster_mean(scores[kept], labels[kept]).interval
    paired = cluster_difference([None, 1.0, 0.0, 1.0], [1.0, None, 1.0, 0.0], ["a", "b", "c", "d"])
    assert (paired.n, paired.unscored, paired.interval.value) == (2, 2, 0.0)


def test_right_or_wrong_scores_are_wilsons_interval_of_what_the_clusters_are_worth() -> None:
    chance = np.random.default_rng(5)
    labels = np.repeat(np.arange(20), 5)
    right = (chance.random(100) < np.repeat(chance.beta(2, 1, 20), 5)).astype(float)
    found = cluster_mean(right, labels)
    worth = 100 / found.design_effect
    ends = wilson_bounds(right.mean() * worth, worth, stats.t.ppf(0.975, 19))
    assert (found.interval.low, found.interval.high) == pytest.approx(ends, abs=1e-9)
    sure = cluster_mean(np.ones(100), labels).interval
    assert (sure.value, sure.high) == (1.0, 1.0)
    assert sure.low == pytest.approx(20 / (20 + stats.t.ppf(0.975, 19) ** 2))


def test_no_disagreement_is_no_proof_of_equality() -> None:
    found = cluster_difference(np.ones(40), np.ones(40), np.arange(40) // 2)
    half = stats.t.ppf(0.975, 19) * math.sqrt(20 / 19 * 2) / 40
    assert (found.interval.low, found.interval.high) == pytest.approx((-half, half), abs=1e-9)
    assert found.error == 0


@pytest.mark.parametrize("strength", [(4, 2), (28, 1)])
def test_it_covers_where_the_naive_interval_does_not(strength: tuple[int, int]) -> None:
    """The share of right answers differs by cluster, and two systems share it."""
    chance = np.random.default_rng(4)
    truth = strength[0] / sum(strength)
    robust, naive, paired, runs, groups, size = 0, 0, 0, 600, 40, 6
    labels = np.repeat(np.arange(groups), size)
    for _ in range(runs):
        p = np.repeat(chance.beta(strength[0] / 3, strength[1] / 3, groups), size)
        a, b = (chance.random((2, labels.size)) < p).astype(float)
        found = cluster_mean(a, labels)
        robust += found.interval.low <= truth <= found.interval.high
        half = 1.96 * a.std(ddof=1) / math.sqrt(a.size)
        naive += abs(a.mean() - truth) <= half
        apart = cluster_difference(a, b, labels).interval
        paired += apart.low <= 0 <= apart.high
    assert 0.925 < robust / runs < 0.98
    assert 0.93 < paired / runs < 0.985
    assert naive / runs < 0.85


def test_one_cluster_is_too_few() -> None:
    with pytest.raises(BadInput, match=r"1 cluster\(s\) with a scored example: an interval needs at least two"):
        cluster_mean([1.0, 0.0, None], ["a", "a", "b"])
    with pytest.raises(BadInput, match="one for each of the 2 examples, got 1"):
        cluster_mean([1.0, 0.0], ["a"])
