"""The monitor: its capital is fair by exact enumeration, its interval brute force, its errors rare at any time."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from dstill.eval.statistics.monitor import (
    BETS,
    anytime_interval,
    anytime_mean,
    decisions,
    log_capital,
    monitor,
    stopping,
)
from dstill.runtime.errors import BadInput

PATHS = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=7)))


@pytest.mark.parametrize("mean", [-0.3, 0.0, 0.05, 0.6])
@pytest.mark.parametrize("side", ["at most", "at least"])
def test_the_capital_is_a_fair_game_exactly_at_the_mean(mean: float, side: str) -> None:
    """Over all paths of seven outcomes with that mean, the expected capital is 1 after every outcome."""
    chance = {1.0: 0.2 + max(mean, 0), -1.0: 0.2 + max(-mean, 0)}
    chance[0.0] = 1 - chance[1.0] - chance[-1.0]
    weight = np.prod([[chance[x] for x in path] for path in PATHS], axis=1)
    capital = np.exp(log_capital(PATHS, mean, side))  # type: ignore[arg-type]
    assert weight.sum() == pytest.approx(1)
    assert (weight @ capital) == pytest.approx(np.ones(7))
    further = np.exp(log_capital(PATHS, mean + (0.1 if side == "at most" else -0.1), side))  # type: ignore[arg-type]
    assert (weight @ further < 1).all()


def test_the_capital_is_the_mean_of_the_gamblers() -> None:
    outcomes = np.array([0.5, -1.0, 1.0, 0.25])
    expected = np.mean([np.prod(1 + bet * (outcomes - 0.2) / 1.2) for bet in BETS])
    assert math.exp(log_capital(outcomes, 0.2, "at most")[-1]) == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 12, 150])
def test_the_interval_is_that_of_a_search_over_means(n: int) -> None:
    chance = np.random.default_rng(n)
    apart = chance.choice([-1.0, 0.0, 0.5, 1.0], n, p=[0.1, 0.5, 0.2, 0.2])
    found = anytime_interval(apart, 0.9)
    grid = np.linspace(-0.999, 0.999, 1999)
    bar = math.log(20)
    kept = [m for m in grid if max(log_capital(apart, m, "at most")[-1], log_capital(apart, m, "at least")[-1]) < bar]
    assert (found.low, found.high) == pytest.approx((min(kept), max(kept)), abs=2e-3)
    assert found.low <= found.value == pytest.approx(apart.mean())
    assert found.value <= found.high


@pytest.mark.parametrize(("gain", "wrong"), [(0.0, 1), (0.05, -1)])
def test_wrong_verdicts_are_rare_however_often_one_looks(gain: float, wrong: int) -> None:
    """Equals, and systems apart by the margin: both are at the edge of a hypothesis, where errors are most likely."""
    chance = np.random.default_rng(0)
    apart = chance.choice([1.0, 0.0, -1.0], (1000, 1500), p=[0.1 + gain / 2, 0.8, 0.1 - gain / 2])
    verdict, at = stopping(apart, margin=0.05, alpha=0.1)
    assert (verdict == wrong).mean() <= 0.12
    assert (verdict == -wrong).mean() > 0.8
    assert (at[verdict == 0] == 1500).all()


def test_the_interval_holds_at_all_times_together() -> None:
    chance = np.random.default_rng(1)
    apart = chance.choice([1.0, 0.0, -1.0], (2000, 400), p=[0.2, 0.7, 0.1])
    bar = math.log(20)
    out = (log_capital(apart, 0.1, "at most") >= bar) | (log_capital(apart, 0.1, "at least") >= bar)
    assert 0 < out.any(axis=1).mean() <= 0.11


def test_one_by_one_is_all_at_once_and_a_verdict_stays() -> None:
    chance = np.random.default_rng(2)
    a, b = (chance.random(300) < 0.8).astype(float), (chance.random(300) < 0.5).astype(float)
    found = monitor(a, b, margin=0.05)
    assert found.verdict == "better"
    assert found.decided_at is not None
    before, then = (monitor(a[:n], b[:n], margin=0.05) for n in (found.decided_at - 1, found.decided_at))
    assert (before.verdict, before.decided_at) == ("open", None)
    assert (then.verdict, then.decided_at) == ("better", found.decided_at)
    assert then.evidence[0] >= 20 > before.evidence[0]
    assert monitor(b, a, margin=0.05).verdict == "not better"


def test_unscored_pairs_are_counted_and_change_nothing() -> None:
    a, b = [1.0, None, 0.5, 1.0], [0.0, 1.0, None, 0.5]
    found = monitor(a, b)
    assert (found.n, found.unscored, found.verdict) == (2, 2, "open")
    assert found.difference.value == 0.75
    nothing = monitor([None], [1.0])
    assert (nothing.n, nothing.unscored, nothing.difference.low, nothing.difference.high) == (0, 1, -1.0, 1.0)


@pytest.mark.parametrize("values", [np.ones(30), -np.ones(30), np.zeros(30)])
def test_the_ends_of_the_range(values: np.ndarray) -> None:
    found = anytime_interval(values)
    assert -1 <= found.low <= values[0] <= found.high <= 1
    assert found.high - found.low < 1


def test_what_is_no_score_or_no_margin() -> None:
    with pytest.raises(BadInput, match=r"differences up to 4.0"):
        monitor([5.0], [1.0])
    with pytest.raises(BadInput, match=r"margin=0, alpha=0.05: expected both between 0 and 1"):
        monitor([1.0], [1.0], margin=0)
    with pytest.raises(BadInput, match="equal number"):
        monitor([1.0], [1.0, 0.0])


def test_of_no_score_nothing_is_known() -> None:
    found = anytime_mean([None])
    assert np.isnan(found.value)
    assert (found.low, found.high) == (0.0, 1.0)


def test_lists_are_taken_as_arrays_are() -> None:
    found = [1.0, 0.0, -1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert anytime_interval(found) == anytime_interval(np.array(found))  # type: ignore[arg-type]
    assert decisions(found).tolist() == decisions(np.array(found)).tolist()  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="level=95"):
        anytime_interval(np.array(found), 95)
