"""Tests of hypotheses against independent implementations and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from dstill.eval.statistics.hypothesis import mcnemar, mcnemar_many, sign_flip, sign_flips, two_sample
from dstill.runtime.errors import BadInput
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (3, 0), (5, 9), (30, 31), (80, 40)])
def test_mcnemar_is_statsmodels(wins: int, losses: int) -> None:
    expected = 1.0 if wins + losses == 0 else sm_mcnemar([[5, wins], [losses, 7]], exact=True).pvalue
    assert mcnemar(wins, losses) == pytest.approx(expected, abs=1e-9)


def test_the_sign_flip_test_is_brute_force_for_few_and_scipys_for_many() -> None:
    chance = np.random.default_rng(0)
    few = chance.normal(0.3, 1, 9)
    sums = [abs(sum(s * v for s, v in zip(signs, few, strict=True))) for signs in itertools.product((1, -1), repeat=9)]
    assert sign_flip(few) == pytest.approx(np.mean(np.array(sums) >= abs(few.sum()) - 1e-9), abs=1e-9)
    many = chance.normal(0.2, 1, 60)
    expected = stats.permutation_test(
        (many,), np.mean, permutation_type="samples", n_resamples=9999, rng=np.random.default_rng(1)
    ).pvalue
    assert sign_flip(many) == pytest.approx(expected, abs=0.02)
    assert sign_flip(many, seed=3) == sign_flip(many, seed=3)
    assert sign_flip(np.zeros(5)) == 1.0


def test_many_sign_flips_are_one_after_the_other() -> None:
    chance = np.random.default_rng(5)
    rows = np.round(chance.normal(0.05, 0.3, (6, 40)), 1)
    rows[1] = 0.0
    rows[2, 9:] = 0.0  # few enough for all patterns
    assert sign_flips(rows) == pytest.approx([sign_flip(row) for row in rows])
    assert sign_flips(rows)[2] == pytest.approx(sign_flip(rows[2, :9]), abs=1e-12)


def test_sign_flips_of_very_many_differences_are_those_of_scipy() -> None:
    """Many alike sum to a normal variable; a few that outweigh the rest are still flipped one by one."""
    chance = np.random.default_rng(6)
    alike = chance.normal(0.012, 0.4, 12_000)
    heavy = np.concatenate([chance.normal(0, 1e-4, 12_000), np.repeat([1.0, -1.0], [13, 4]) * chance.random(17)])
    for values in (alike, heavy):
        expected = stats.permutation_test(
            (values,), np.mean, permutation_type="samples", n_resamples=1999, rng=np.random.default_rng(1), batch=100
        ).pvalue
        assert sign_flip(values) == pytest.approx(expected, abs=0.03)
    assert 0.001 < sign_flip(heavy) < 0.2


def test_many_mcnemars_are_one_after_the_other() -> None:
    wins, losses = np.meshgrid(np.arange(0, 60, 7), np.arange(0, 60, 5))
    found = mcnemar_many(wins, losses)
    expected = [[mcnemar(int(a), int(b)) for a, b in zip(*row, strict=True)] for row in zip(wins, losses, strict=True)]
    assert found == pytest.approx(np.array(expected), abs=1e-12)
    assert mcnemar_many(5_000, 5_400) == pytest.approx(stats.binomtest(5_000, 10_400).pvalue, abs=1e-9)


def test_the_test_of_two_samples_is_brute_force_for_few() -> None:
    chance = np.random.default_rng(0)
    for n, m in [(5, 6), (2, 9), (1, 4)]:
        a, b = chance.random(n), chance.random(m) + 0.3
        pool = np.concatenate([a, b])
        found = []
        for part in itertools.combinations(range(n + m), n):
            rest = [i for i in range(n + m) if i not in part]
            found.append(abs(pool[list(part)].mean() - pool[rest].mean()))
        assert two_sample(a, b) == pytest.approx(np.mean(np.array(found) >= abs(a.mean() - b.mean()) - 1e-12))


def test_the_test_of_two_samples_is_scipys_for_many_and_exact_for_right_or_wrong() -> None:
    chance = np.random.default_rng(1)
    a, b = chance.random(40), chance.random(50) + 0.1
    expected = stats.permutation_test(
        (a, b), lambda x, y, axis: x.mean(axis) - y.mean(axis), vectorized=True, n_resamples=9999,
        rng=np.random.default_rng(2),
    ).pvalue  # fmt: skip
    assert two_sample(a, b) == pytest.approx(expected, abs=0.02)
    assert two_sample(a, b, seed=5) == two_sample(a, b, seed=5)
    x, y = np.repeat([1.0, 0.0], [30, 10]), np.repeat([1.0, 0.0], [20, 20])
    assert two_sample(x, y) == pytest.approx(stats.fisher_exact([[30, 10], [20, 20]]).pvalue, abs=1e-9)
    assert two_sample(np.ones(9), np.ones(4)) == pytest.approx(1.0)


def test_false_alarms_of_the_tests_keep_their_rate() -> None:
    chance = np.random.default_rng(2)
    runs = 400
    two = np.mean([two_sample(chance.beta(0.5, 0.5, 7), chance.beta(0.5, 0.5, 6)) <= 0.05 for _ in range(runs)])
    flips = np.mean([sign_flip(chance.laplace(0, 1, 12)) <= 0.05 for _ in range(runs)])
    assert 0.02 < two < 0.085
    assert 0.02 < flips < 0.085


def test_unscored_and_missing_scores() -> None:
    with pytest.raises(BadInput, match="1 of 2 are unscored"):
        sign_flip(np.array([0.5, np.nan]))
    with pytest.raises(BadInput, match="1 of 1 are unscored"):
        two_sample([np.nan], [1.0])
    with pytest.raises(BadInput, match="got 0 and 1 scores"):
        two_sample([], [1.0])
    with pytest.raises(BadInput, match="-1 wins and 2 losses: expected counts of 0 or more"):
        mcnemar(-1, 2)
