"""Every interval and test against an independent implementation, and by simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from dstill.eval.compare import compare_scores, examples_needed, mcnemar, non_inferior, sign_flip
from dstill.eval.intervals import Interval, bca, mean_interval, normal_quantile, paired_interval, wilson
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
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


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (3, 0), (5, 9), (30, 31), (80, 40)])
def test_mcnemar_is_statsmodels(wins: int, losses: int) -> None:
    expected = 1.0 if wins + losses == 0 else sm_mcnemar([[5, wins], [losses, 7]], exact=True).pvalue
    assert mcnemar(wins, losses) == pytest.approx(expected, abs=1e-9)


def test_the_sign_flip_test_is_brute_force_for_few_and_scipys_for_many() -> None:
    chance = np.random.default_rng(0)
    few = chance.normal(0.3, 1, 9)
    sums = [abs(sum(s * v for s, v in zip(signs, few, strict=True))) for signs in itertools.product((1, -1), repeat=9)]
    assert sign_flip(few) == pytest.approx(np.mean(np.array(sums) >= abs(few.sum()) - 1e-9))
    many = chance.normal(0.2, 1, 60)
    expected = stats.permutation_test(
        (many,), np.mean, permutation_type="samples", n_resamples=9999, rng=np.random.default_rng(1)
    ).pvalue
    assert sign_flip(many) == pytest.approx(expected, abs=0.02)
    assert sign_flip(many, seed=3) == sign_flip(many, seed=3)
    assert sign_flip(np.zeros(5)) == 1.0


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


def test_a_student_that_is_clearly_worse_is_called_inferior_and_more_examples_are_not_asked_for() -> None:
    found = non_inferior([0.0] * 90 + [1.0] * 10, [1.0] * 100)
    assert str(found) == "inferior: loses 90.0 points on 100 examples, margin 1.0"
    unsure = non_inferior([0.0, 1.0] + [1.0] * 98, [1.0, 0.0] + [1.0] * 98)
    assert "examples would decide" in str(unsure)


def test_a_student_worse_by_the_margin_rarely_passes_and_an_equal_one_mostly_does() -> None:
    chance = np.random.default_rng(2)

    def share(loss: float, n: int) -> float:
        passed = 0
        for _ in range(400):
            u = chance.random(n)
            changed = chance.random(n) < 0.1
            v = np.where(changed, chance.random(n), u)
            teacher, student = (u < 0.8).astype(float), (v < 0.8).astype(float)
            student = np.where(chance.random(n) < loss / 0.8, 0.0, student)
            passed += non_inferior(student, teacher, margin=0.05).accepted
        return passed / 400

    assert share(0.05, 400) <= 0.08
    needed = examples_needed(0.032, 0.05)
    assert needed is not None
    assert share(0.0, needed) >= 0.75


def test_verdicts() -> None:
    ones, zeros = [1.0] * 30, [0.0] * 30
    assert compare_scores(ones, zeros).verdict == "better"
    assert compare_scores(zeros, ones).verdict == "worse"
    assert compare_scores(ones, ones).verdict == "no significant difference"
    mixed = compare_scores([0.2, 0.9, 0.4, 0.8], [0.1, 0.9, 0.5, 0.6])
    assert (mixed.wins, mixed.losses, mixed.n) == (2, 1, 4)


def test_means_of_anything() -> None:
    assert mean_interval([0.0, 1.0, 1.0]).value == pytest.approx(2 / 3)
    assert mean_interval([0.5]) == Interval(0.5, 0.5, 0.5)
    assert mean_interval([0.25, 0.25, 0.25]).low == 0.25
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])
    with pytest.raises(ValueError, match="3 and 2"):
        paired_interval([1, 0, 1], [1, 0])


def test_examples_needed_is_the_textbook_formula() -> None:
    """The n at which (z / effect)^2 times the interval's variance is 1, and near the textbook's without adjustment."""
    z = stats.norm.ppf(0.95) + stats.norm.ppf(0.8)
    n = examples_needed(0.2, 0.05)
    assert n is not None
    assert (z / 0.05) ** 2 * (0.2 / n + 2 / n**2) <= 1 < (z / 0.05) ** 2 * (0.2 / (n - 1) + 2 / (n - 1) ** 2)
    assert n == pytest.approx(0.2 * (z / 0.05) ** 2, rel=0.03)
    assert examples_needed(0.0, 0.05) is None
