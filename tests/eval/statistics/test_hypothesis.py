"""Tests of hypotheses against independent implementations and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from dstill.eval.statistics.hypothesis import mcnemar, sign_flip
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
    assert sign_flip(few) == pytest.approx(np.mean(np.array(sums) >= abs(few.sum()) - 1e-9))
    many = chance.normal(0.2, 1, 60)
    expected = stats.permutation_test(
        (many,), np.mean, permutation_type="samples", n_resamples=9999, rng=np.random.default_rng(1)
    ).pvalue
    assert sign_flip(many) == pytest.approx(expected, abs=0.02)
    assert sign_flip(many, seed=3) == sign_flip(many, seed=3)
    assert sign_flip(np.zeros(5)) == 1.0
