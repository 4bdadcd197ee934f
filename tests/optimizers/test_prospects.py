"""Prospects: the common mean against statsmodels, promises against brute force, and who makes room."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dstill.optimizers import prospects as module
from dstill.optimizers.prospects import AHEAD, BETWEEN, HOLD, WEIGHT, prospects
from statsmodels.stats.meta_analysis import combine_effects


def scored(means: list[float], met: list[int], rows: int, seed: int = 0) -> np.ndarray:
    """Right-or-wrong scores with these true means, nan where not met."""
    chance = np.random.default_rng(seed)
    table = (chance.random((len(means), rows)) < np.array(means)[:, None]).astype(float)
    table[np.arange(rows) >= np.array(met)[:, None]] = np.nan
    return table


def test_the_variance_between_candidates_is_dersimonian_and_lairds() -> None:
    apart, shared = np.array([-0.3, -0.2, 0.4, 0.0, 0.1, -0.1, 0.3, -0.4]), np.array([40, 12, 8, 60, 8, 20, 16, 30])
    squares, rows = 0.3 * shared, 1000
    ahead, between, usual, common = module._population(apart, shared, squares, rows)
    assert usual == pytest.approx((0.3 * shared.sum() + 2) / (shared.sum() + 2))
    noise = usual / 2 / shared * (1 - shared / rows)
    found = combine_effects(apart, noise, method_re="chi2")
    count = len(apart) - 1
    assert between == pytest.approx((count * found.tau2 + WEIGHT * BETWEEN**2) / (count + WEIGHT), rel=1e-6)
    weights = 1 / (noise + between)
    assert ahead == pytest.approx(-float(weights @ apart / weights.sum()))
    assert common == pytest.approx(float(weights @ shared / weights.sum()))


def test_a_promise_is_the_rise_of_the_best_posterior_mean_by_brute_force() -> None:
    """True difference and further examples drawn a million times, the posterior mean taken, and what it is above 0."""
    chance = np.random.default_rng(1)
    mean, spread, each, met, between, rows = -0.05, 0.01, 0.4, 6, 0.016, 200
    before = each / met * (1 - met / rows)
    assert spread == pytest.approx(between * before / (between + before), rel=0.5)
    spread = between * before / (between + before)
    best = 0.0
    for more in AHEAD:
        after = each / (met + more) * (1 - (met + more) / rows)
        precision = 1 / after - 1 / before  # what the further examples alone say
        truth = chance.normal(mean, math.sqrt(spread), 1_000_000)
        seen = truth + chance.normal(0, math.sqrt(1 / precision), len(truth))
        posterior = (mean / spread + seen * precision) / (1 / spread + precision)
        best = max(best, float(np.maximum(0, posterior).mean()) / more)
    one = np.array([1.0])
    found = module._promise(mean * one, spread * one, each * one, met * one, between, rows)
    assert found[0] == pytest.approx(best, rel=0.02)


def test_who_is_far_behind_makes_room_and_who_is_close_does_not() -> None:
    table = np.full((3, 40), np.nan)
    table[0, :24] = [1, 1, 0, 1] * 6
    table[1, :8] = [1, 1, 0, 1] * 2
    table[2, :12] = [0, 0, 0, 1] * 3
    found = prospects(table, [0, 1, 2], 100)
    assert found.leader == 0
    assert found.keep.tolist() == [True, True, False]
    assert found.behind.tolist() == pytest.approx([0, 0, 0.5])
    assert found.shared.tolist() == [24, 8, 12]
    assert math.isnan(found.promise[0])
    assert found.promise[2] < HOLD * found.new <= found.promise[1]


def test_what_a_new_one_promises_allows_for_the_luck_of_the_one_compared_with() -> None:
    """How far the first is ahead of others is drawn towards nothing, by how few examples it rests on."""
    rows, table = 300, scored([0.8, 0.5, 0.4, 0.5, 0.6, 0.3], [9, 9, 6, 9, 6, 6], 9)
    there, filled = ~np.isnan(table), np.nan_to_num(table)
    shared = there[1:].sum(axis=1)
    apart = ((filled[1:] - filled[0]) * there[1:]).sum(axis=1) / shared
    squares = (((filled[1:] - filled[0] - apart[:, None]) * there[1:]) ** 2).sum(axis=1)
    ahead, between, usual, common = module._population(apart, shared, squares, rows)
    luck = usual / 2 / common * (1 - common / rows)
    assert ahead > 0.1
    one = np.array([1.0])
    (expected,) = module._promise(
        -ahead * between / (between + luck) * one, between * one, usual * one, 0 * one, between, rows
    )
    found = prospects(table, list(range(6)), rows)
    assert found.leader == 0
    assert found.new == pytest.approx(expected)


def test_a_new_one_is_worth_what_recent_ones_are() -> None:
    good, bad = [[1.0, 1, 0, 1] * 2] * 16, [[0.0, 0, 0, 1] * 2] * 24
    first = [[1.0, 1, 0, 1] * 2]
    late, early = (prospects(np.array(first + each), [0], 100).new for each in (bad + good, good + bad))
    assert late > 2 * early


def test_who_promises_less_than_half_of_a_new_one_makes_room() -> None:
    means = np.random.default_rng(3).normal(0.5, 0.1, 24)
    found = prospects(scored(means.tolist(), [40] + [8] * 23, 40), list(range(24)), 400)
    shares = found.promise / found.new
    assert any(0.5 < share < 0.75 for share in shares)
    assert any(0.25 < share < 0.5 for share in shares)
    assert found.keep.tolist() == [not share < 0.5 for share in shares]


def test_luck_on_few_examples_takes_no_lead() -> None:
    """One more right than the leader on four examples; where all there are were met, the mean decides."""
    table = np.full((8, 60), np.nan)
    table[0] = [1, 0, 1, 1] * 15
    table[1, :4] = 1
    for row in range(2, 8):
        table[row, :8] = [0, 0, 1, 0] * 2
    assert prospects(table, [0, 1], 200).leader == 0
    table[1] = [1, 1, 1, 0] * 14 + [1] * 4
    assert prospects(table, [0, 1], 60).leader == 1


def test_luck_on_the_first_examples_does_not_last() -> None:
    """One leads by luck on four examples, and meets many more: a new one is still worth as much as before."""
    table = np.full((9, 100), np.nan)
    table[0, :4] = [1, 1, 0, 1]
    table[1:, :4] = [1, 0, 0, 1]
    before = prospects(table, list(range(9)), 100)
    table[0, 4:] = [1, 0] * 48
    after = prospects(table, list(range(9)), 100)
    assert after.leader == before.leader == 0
    assert after.new > 0.5 * before.new


def test_easy_examples_at_the_start_make_nobody_better() -> None:
    """All answer alike: who has met the first examples alone is level with who met the hard ones too."""
    table = np.full((6, 60), np.nan)
    table[0, :40] = [1] * 8 + [0] * 32
    table[1:, :8] = 1
    found = prospects(table, [0, 1, 2, 3, 4, 5], 60)
    assert found.leader == 0
    assert found.behind.tolist() == [0] * 6


def test_who_has_met_everything_promises_nothing() -> None:
    table = scored([0.5, 0.5, 0.5], [50, 50, 10], 50)
    found = prospects(table, [0, 1, 2], 50)
    finished = next(index for index in (0, 1) if index != found.leader)
    assert found.promise[finished] == 0
