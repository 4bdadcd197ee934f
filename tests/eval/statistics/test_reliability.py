"""pass@k and pass^k against enumeration of all subsets, agreement against statsmodels."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from dstill.eval.statistics.intervals import mean_interval
from dstill.eval.statistics.reliability import agreement, pass_at_k, pass_hat_k, reliability
from dstill.runtime.errors import BadInput
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa


@pytest.mark.parametrize(("n", "correct", "k"), [(5, 2, 1), (5, 2, 3), (6, 0, 2), (6, 6, 6), (8, 3, 6), (4, 4, 2)])
def test_they_are_shares_of_all_choices_of_k_samples(n: int, correct: int, k: int) -> None:
    samples = [1] * correct + [0] * (n - correct)
    chosen = list(itertools.combinations(samples, k))
    assert pass_at_k(n, correct, k) == pytest.approx(np.mean([any(c) for c in chosen]), abs=1e-9)
    assert pass_hat_k(n, correct, k) == pytest.approx(np.mean([all(c) for c in chosen]), abs=1e-9)


def test_many_samples_do_not_overflow() -> None:
    n, correct, k = np.array([1000, 2000]), np.array([30, 1500]), 100
    expected = [1 - math.comb(970, 100) / math.comb(1000, 100), 1 - math.comb(500, 100) / math.comb(2000, 100)]
    assert pass_at_k(n, correct, k) == pytest.approx(expected)
    assert pass_hat_k(2000, 1500, 100) == pytest.approx(math.comb(1500, 100) / math.comb(2000, 100))


def test_they_have_no_bias() -> None:
    chance = np.random.default_rng(0)
    correct = chance.binomial(10, 0.3, 50_000)
    assert pass_at_k(10, correct, 4).mean() == pytest.approx(1 - 0.7**4, abs=0.005)
    assert pass_hat_k(10, correct, 2).mean() == pytest.approx(0.09, abs=0.003)


def test_tasks_are_averaged_and_holes_counted() -> None:
    found = reliability([[1, 0, 1, None], [0, 0, None, 0], [1, None, None, None], [1, 1, 1, 1]], 2)
    assert (found.tasks, found.too_few, found.unscored) == (3, 1, 5)
    assert found.any_of_k == mean_interval([1.0, 0.0, 1.0])
    assert found.all_of_k == mean_interval([1 / 3, 0.0, 1.0])


def test_the_interval_over_tasks_covers() -> None:
    chance = np.random.default_rng(1)
    hits, runs = 0, 1000
    for _ in range(runs):
        p = chance.beta(1, 1, 50)  # for which the mean of p^2 is 1/3
        found = reliability((chance.random((50, 4)) < p[:, None]).astype(float), 2).all_of_k
        hits += found.low <= 1 / 3 <= found.high
    assert 0.935 < hits / runs < 0.98


def test_kappa_is_that_of_statsmodels() -> None:
    chance = np.random.default_rng(2)
    topic = chance.integers(0, 3, 40)
    answers = np.where(chance.random((40, 5)) < 0.6, topic[:, None], chance.integers(0, 3, (40, 5)))
    found = agreement(answers.tolist())
    assert found.kappa == pytest.approx(fleiss_kappa(aggregate_raters(answers)[0]), abs=1e-9)
    pairs = [np.mean([x == y for x, y in itertools.combinations(row, 2)]) for row in answers]
    assert found.observed.value == pytest.approx(np.mean(pairs))
    assert found.unanimous == np.mean([len(set(row)) == 1 for row in answers.tolist()])


def test_answers_that_are_missing() -> None:
    found = agreement([["a", "a", None], ["b", None, None], ["a", "b", "b", "b"]])
    assert (found.questions, found.too_few, found.unscored) == (2, 1, 3)
    assert found.observed.value == pytest.approx((1 + 0.5) / 2)
    assert found.unanimous == 0.5
    assert math.isnan(agreement([["a", "a"], ["a", "a", "a"]]).kappa)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pass_at_k(3, 1, 4), "k=4, n=3, correct=1: expected 1 <= k <= n"),
        (lambda: reliability([[1, 0]], 3), "k=3: expected a number from 1 .* at most 2"),
        (lambda: reliability([[1, 0.5]], 1), "expected 0 or 1"),
        (lambda: agreement([["a"], [None, "b"]]), "2 questions: expected at least one"),
    ],
)
def test_what_cannot_be_computed(call: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        call()  # type: ignore[operator]
