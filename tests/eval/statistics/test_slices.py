"""Slices and stratified means against Wilson, Welch and the plain formula, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from dstill.eval.statistics.intervals import mean_interval, wilson
from dstill.eval.statistics.slices import by_slice, combined, stratified_mean
from dstill.runtime.errors import BadInput
from scipy import stats


def test_each_slice_is_a_mean_of_its_own() -> None:
    chance = np.random.default_rng(0)
    scores = [*chance.random(8), None, *(chance.random(9) < 0.5).astype(float), None]
    labels = ["long"] * 8 + ["gone"] + ["short"] * 9 + ["short"]
    long, gone, short = by_slice(scores, labels, 0.9)
    assert long.interval == mean_interval([x for x in scores[:8] if x is not None], 0.9)
    assert (gone.label, gone.interval, gone.n, gone.unscored) == ("gone", None, 0, 1)
    assert short.interval == mean_interval([x for x in scores[9:18] if x is not None], 0.9)
    assert (short.n, short.unscored) == (9, 1)


def test_two_strata_are_welchs_interval() -> None:
    """The sum of two means is their difference with one side's sign turned."""
    chance = np.random.default_rng(1)
    a, b = chance.random(12), chance.random(30) ** 2
    found = stratified_mean([*a, *b], [0] * 12 + [1] * 30, {0: 1, 1: 1})
    expected = stats.ttest_ind(a, -b, equal_var=False).confidence_interval()
    assert found.interval.value == pytest.approx((a.mean() + b.mean()) / 2)
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low / 2, expected.high / 2), abs=1e-9)
    assert found.weights == (0.5, 0.5)


def test_one_stratum_is_wilson_and_a_stratum_all_right_still_has_an_interval() -> None:
    right = [1.0] * 7 + [0.0] * 3
    one, plain = stratified_mean(right, ["x"] * 10, {"x": 3.0}).interval, wilson(7, 10)
    assert (one.value, one.low, one.high) == pytest.approx((plain.value, plain.low, plain.high))
    both = stratified_mean([1.0] * 20, ["x"] * 5 + ["y"] * 15, {"x": 0.5, "y": 0.5}).interval
    assert both.low < 0.95 < both.high <= 1


def test_weights_undo_how_examples_were_drawn() -> None:
    """Eight in ten examples are easy, half of the population is."""
    scores = np.repeat([1.0, 0.0, 1.0, 0.0], [72, 8, 6, 14])
    found = stratified_mean(scores, np.repeat(["easy", "hard"], [80, 20]), {"easy": 50, "hard": 50})
    assert found.interval.value == pytest.approx((0.9 + 0.3) / 2)
    assert [part.label for part in found.strata] == ["easy", "hard"]


@pytest.mark.parametrize("binary", [True, False])
def test_it_covers(binary: bool) -> None:
    chance = np.random.default_rng(2)
    means, sizes, weights = np.array([0.97, 0.7, 0.3]), (15, 40, 25), {0: 0.5, 1: 0.2, 2: 0.3}
    truth, hits, runs = float(means @ [0.5, 0.2, 0.3]), 0, 500
    labels = np.repeat([0, 1, 2], sizes)
    for _ in range(runs):
        p = means[labels]
        scores = (chance.random(80) < p) * 1.0 if binary else chance.beta(4 * p, 4 - 4 * p)
        found = stratified_mean(scores, labels, weights).interval
        hits += found.low <= truth <= found.high
    assert 0.93 < hits / runs < 0.985


def test_holes_are_counted() -> None:
    found = stratified_mean([1.0, None, 0.0, 1.0, None], list("aabbb"), {"a": 1, "b": 1})
    assert (found.n, found.unscored) == (3, 2)
    assert [(part.n, part.unscored) for part in found.strata] == [(1, 1), (2, 1)]
    assert found.interval.value == 0.75


@pytest.mark.parametrize(
    ("scores", "weights", "message"),
    [
        ([1.0, 0.0], {"a": 1}, r"weights for \['a'\]: expected one for each of \['a', 'b'\]"),
        ([1.0, 0.0], {"a": 1, "b": 0}, "expected numbers above 0"),
        ([1.0, None], {"a": 1, "b": 1}, r"strata \['b'\]: nothing was scored"),
        ([1.0, 0.5], {"a": 1, "b": 1}, "one scored example only"),
    ],
)
def test_what_cannot_be_weighted(scores: list[float | None], weights: dict[str, float], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        stratified_mean(scores, ["a", "b"], weights)


@pytest.mark.parametrize(("n", "rate"), [(20, 0.9), (20, 0.99), (100, 0.99), (100, 0.5)])
def test_a_combined_interval_covers_the_mean_of_its_parts(n: int, rate: float) -> None:
    """Near the end of the range as well; a bootstrap of twenty such examples of each holds it in 40 of 100."""
    chance = np.random.default_rng(0)
    hits, draws = 0, 1000
    for _ in range(draws):
        parts = [mean_interval((chance.random(n) < rate).astype(float)) for _ in range(2)]
        found = combined(parts, [0.5, 0.5])
        assert 0 <= found.low <= found.value <= found.high <= 1
        hits += found.low <= rate <= found.high
    assert hits / draws > 0.92
