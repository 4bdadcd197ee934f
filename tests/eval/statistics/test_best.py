"""The best of many: its interval covers where the plain one does not, and its corrected score is less too good."""

from __future__ import annotations

import numpy as np
import pytest
from dstill.eval.statistics.best import best_of_many
from dstill.eval.statistics.intervals import wilson
from dstill.runtime.errors import BadInput


@pytest.mark.parametrize(
    ("truth", "n", "shared"),
    [
        (np.full(12, 0.8), 100, 0.0),
        (np.full(12, 0.8), 100, 0.7),
        (np.linspace(0.6, 0.8, 12), 100, 0.3),
        (np.full(12, 0.97), 40, 0.0),
        (np.full(12, 0.02), 20, 0.0),
    ],
)
def test_it_covers_the_true_score_of_the_one_that_was_picked(truth: np.ndarray, n: int, shared: float) -> None:
    chance = np.random.default_rng(0)
    hits, runs = 0, 400
    for run in range(runs):
        luck = np.where(chance.random((truth.size, n)) < shared, chance.random(n), chance.random((truth.size, n)))
        found = best_of_many((luck < truth[:, None]).astype(float), resamples=300, seed=run)
        hits += found.interval.low <= truth[found.system] <= found.interval.high
    assert hits / runs > 0.935


def test_the_plain_interval_of_the_best_does_not_cover_and_its_score_is_too_good() -> None:
    chance = np.random.default_rng(1)
    hits, plain, corrected, runs = 0, 0.0, 0.0, 150
    for run in range(runs):
        table = (chance.random((20, 100)) < 0.7).astype(float)
        found = best_of_many(table, resamples=300, seed=run)
        naive = wilson(table[found.system].sum(), 100)
        hits += naive.low <= 0.7 <= naive.high
        plain, corrected = plain + found.score - 0.7, corrected + found.interval.value - 0.7
    assert hits / runs < 0.8
    assert plain / runs > 0.06
    assert abs(corrected) < 0.6 * plain


def test_it_covers_for_scores_between_and_for_differences() -> None:
    chance = np.random.default_rng(2)
    hits, runs = 0, 400
    for run in range(runs):
        table = chance.beta(3, 2, (10, 60)) - chance.beta(3, 2, 60)
        found = best_of_many(table, resamples=300, seed=run)
        hits += found.interval.low <= 0.0 <= found.interval.high
    assert hits / runs > 0.935


def test_one_system_alone_is_not_corrected() -> None:
    """Its interval is that of a mean: Wilson's, or nearly Student's."""
    right = (np.random.default_rng(3).random(80) < 0.9).astype(float)
    found, plain = best_of_many([right]), wilson(right.sum(), 80)
    assert (found.interval.low, found.interval.high) == pytest.approx((plain.low, plain.high), abs=0.02)
    assert found.interval.high == pytest.approx(plain.high)
    assert found.optimism == pytest.approx(0, abs=0.001)


def test_a_hundred_copies_of_a_system_are_one_system() -> None:
    """The correction knows how the systems depend on each other."""
    right = (np.random.default_rng(4).random(80) < 0.9).astype(float)
    one, many = best_of_many([right]), best_of_many(np.tile(right, (100, 1)))
    assert many.interval.low == pytest.approx(one.interval.low)
    table = (np.random.default_rng(4).random((100, 80)) < 0.9).astype(float)
    different = best_of_many(table)
    assert different.interval.low < best_of_many(np.tile(table[different.system], (100, 1))).interval.low - 0.02


def test_holes_are_counted_and_not_zeros() -> None:
    found = best_of_many([[1.0, None, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]], resamples=50)
    assert (found.system, found.score, found.n, found.unscored.tolist()) == (0, 1.0, 3, [1, 0])
    with pytest.raises(BadInput, match="at least 2 scored examples of every system"):
        best_of_many([[1.0, None], [1.0, 1.0]])
    with pytest.raises(BadInput, match="a score of 2.0: expected scores in"):
        best_of_many([[1.0, 2.0], [1.0, None], [1.0, 1.0]][::2])
