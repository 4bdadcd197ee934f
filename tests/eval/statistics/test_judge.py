"""A judge with few human labels: the papers' formulas, and coverage where the judge is biased."""

from __future__ import annotations

import numpy as np
import pytest
from dstill.eval.statistics.intervals import mean_interval
from dstill.eval.statistics.judge import judged_mean
from dstill.runtime.errors import BadInput
from numpy.typing import NDArray
from scipy import stats

Arrays = tuple[NDArray[np.float64], NDArray[np.float64]]


def world(chance: np.random.Generator, n: int, labels: int, agree: float = 0.85) -> Arrays:
    """Right or wrong by humans in 6 of 10, and a judge that is kinder and agrees mostly."""
    truth = (chance.random(n) < 0.6).astype(float)
    judge = np.where(chance.random(n) < agree, truth, 1.0)
    human = truth.copy()
    human[labels:] = np.nan
    return human, judge


def test_it_is_the_formula_of_the_paper() -> None:
    human, judge = world(np.random.default_rng(0), 500, 60)
    y, f, rest = human[:60], judge[:60], judge[60:]
    plain = judged_mean(human, judge, tuned=False)
    padded = np.concatenate([y - f, (y - f).mean() + np.array([1, -1])])
    error = np.sqrt(padded.var() / 62 + rest.var(ddof=1) / 440)
    assert plain.interval.value == pytest.approx(rest.mean() + (y - f).mean())
    assert plain.interval.high - plain.interval.value == pytest.approx(stats.t.ppf(0.975, 59) * error, abs=1e-9)
    assert plain.weight == 1
    assert plain.human == mean_interval(y)
    assert plain.judge == judge.mean()


def test_a_labels_weight_is_the_one_that_makes_the_variance_least_for_the_others() -> None:
    """By search: the variance of the weighted estimate with the judge's variance taken over all examples."""
    human, judge = world(np.random.default_rng(1), 400, 40)
    y, f, rest = human[:40], judge[:40], judge[40:]
    grid, weights = np.linspace(0, 1, 10_001), []
    for left_out in range(40):
        cov = np.cov(np.delete(y, left_out), np.delete(f, left_out), ddof=1)[0, 1]
        variance = (grid**2 * judge.var(ddof=1) - 2 * grid * cov) / 40 + grid**2 * judge.var(ddof=1) / 360
        weights.append(grid[variance.argmin()])
    found = judged_mean(human, judge)
    assert found.weight == pytest.approx(np.mean(weights), abs=1e-4)
    expected = (y - weights * f).mean() + np.mean(weights) * rest.mean()
    assert found.interval.value == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("tuned", [True, False])
@pytest.mark.parametrize("labels", [30, 60, 200])
def test_it_covers_although_the_judge_is_biased(tuned: bool, labels: int) -> None:
    chance = np.random.default_rng(2)
    hits, alone, narrower, runs = 0, 0, 0, 500
    for _ in range(runs):
        human, judge = world(chance, 10 * labels, labels)
        found = judged_mean(human, judge, tuned=tuned)
        hits += found.interval.low <= 0.6 <= found.interval.high
        alone += abs(judge.mean() - 0.6) <= 1.96 * judge.std() / np.sqrt(judge.size)
        narrower += found.interval.high - found.interval.low < found.human.high - found.human.low
    assert hits / runs > 0.935
    assert alone / runs < 0.5
    assert narrower / runs > 0.9


def test_a_useless_judge_is_put_aside() -> None:
    chance = np.random.default_rng(3)
    human = np.where(np.arange(400) < 100, (chance.random(400) < 0.5) * 1.0, np.nan)
    noise = judged_mean(human, chance.random(400))
    assert noise.weight < 0.3
    constant = judged_mean(human, np.full(400, 0.7))
    assert constant.weight == 0
    assert constant.interval.value == pytest.approx(np.nanmean(human))


def test_without_unlabelled_examples_the_judge_has_no_say() -> None:
    y = np.random.default_rng(4).random(30)
    found, padded = judged_mean(y, np.ones(30)), [*y, y.mean() + 1, y.mean() - 1]
    half = stats.t.ppf(0.975, 29) * np.std(padded) / np.sqrt(32)
    assert (found.interval.low, found.interval.high) == pytest.approx((y.mean() - half, y.mean() + half))
    assert found.weight == 0


def test_holes_are_counted() -> None:
    found = judged_mean([1.0, 0.0, 1.0, None, None, 1.0], [1.0, 0.2, None, 0.5, None, 0.9])
    assert (found.labelled, found.unlabelled, found.unscored) == (3, 1, 2)
    with pytest.raises(BadInput, match=r"1 example\(s\) with a label and a judge's score"):
        judged_mean([1.0, None, 1.0], [0.5, 0.5, None])
    with pytest.raises(BadInput, match="got 1 and 2"):
        judged_mean([1.0], [1.0, 0.0])
    with pytest.raises(BadInput, match=r"scores from 0 to 7: expected them in \[0, 1\]"):
        judged_mean([1.0, 0.0], [7.0, 1.0])
