"""Calibration against scikit-learn, Murphy's identity, and an error that is known."""

from __future__ import annotations

import numpy as np
import pytest
from dstill.eval.statistics.calibration import calibration
from dstill.eval.statistics.intervals import bounded_mean, paired_interval, wilson
from dstill.runtime.errors import BadInput
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

Arrays = tuple[NDArray[np.float64], NDArray[np.float64]]


def drawn(seed: int, n: int = 400) -> Arrays:
    """Confidences that are too high."""
    chance = np.random.default_rng(seed)
    confidence = chance.beta(4, 2, n)
    return confidence, (chance.random(n) < confidence**1.5).astype(float)


@pytest.mark.parametrize(("kind", "strategy"), [("width", "uniform"), ("mass", "quantile")])
@pytest.mark.parametrize("bins", [1, 5, 10])
def test_the_diagram_is_that_of_scikit_learn(kind: str, strategy: str, bins: int) -> None:
    confidence, correct = drawn(0)
    found = calibration(confidence, correct, bins=bins, kind=kind)  # type: ignore[arg-type]
    accuracy, mean = calibration_curve(correct, confidence, n_bins=bins, strategy=strategy)
    assert found.accuracy == pytest.approx(accuracy)
    assert found.confidence == pytest.approx(mean)
    assert found.brier.value == pytest.approx(brier_score_loss(correct, confidence), abs=1e-9)
    ends = [wilson(round(a * c), int(c)) for a, c in zip(accuracy, found.count, strict=True)]
    np.testing.assert_allclose(found.low, [x.low for x in ends])
    np.testing.assert_allclose(found.high, [x.high for x in ends])


@pytest.mark.parametrize("kind", ["width", "mass"])
def test_the_brier_score_is_the_sum_of_its_parts(kind: str) -> None:
    confidence, correct = drawn(1)
    found = calibration(confidence, correct, kind=kind)  # type: ignore[arg-type]
    parts = found.reliability - found.resolution + found.uncertainty + found.within
    assert parts == pytest.approx(brier_score_loss(correct, confidence), abs=1e-9)
    tenths = np.ceil(confidence * 10) / 10
    assert calibration(tenths, correct, bins=20).within == pytest.approx(0, abs=1e-12)


def test_an_error_worked_out_by_hand() -> None:
    """Two bins: ten at 0.9 of which 7 are right, and five at 0.3 of which 2 are."""
    found = calibration([0.9] * 10 + [0.3] * 5, [1] * 7 + [0] * 3 + [1] * 2 + [0] * 3)
    assert found.ece.value == pytest.approx((10 * 0.2 + 5 * 0.1) / 15)
    assert found.reliability == pytest.approx((10 * 0.04 + 5 * 0.01) / 15)
    assert found.resolution == pytest.approx((10 * 0.1**2 + 5 * 0.2**2) / 15)
    assert found.uncertainty == pytest.approx(0.6 * 0.4)
    assert found.count.tolist() == [5, 10]


def test_the_intervals_are_those_of_means_and_pairs() -> None:
    confidence, correct = drawn(4)
    found = calibration(confidence, correct)
    assert found.brier == bounded_mean((confidence - correct) ** 2)
    assert found.overconfidence == paired_interval(confidence, correct)
    assert found.overconfidence.value == pytest.approx(confidence.mean() - correct.mean())


@pytest.mark.parametrize("n", [20, 100])
@pytest.mark.parametrize("power", [1.0, 1.5, 3.0])
def test_the_interval_of_the_error_holds_the_truth(n: int, power: float) -> None:
    """Honest confidences and too high ones; the error of all that could be drawn is known."""
    many = np.random.default_rng(0).beta(4, 2, 200_000)
    bins = np.ceil(many * 10).astype(int)
    truth = np.abs(np.bincount(bins, many**power - many)).sum() / many.size
    held = []
    for run in range(60):
        chance = np.random.default_rng([run, n])
        confidence = chance.beta(4, 2, n)
        found = calibration(confidence, (chance.random(n) < confidence**power).astype(float)).ece
        held.append(found.low <= truth <= found.high)
        assert found.high - found.low < 3.5 / n**0.5
    assert np.mean(held) >= 0.95


def test_a_few_answers_that_are_all_right_do_not_show_underconfidence() -> None:
    found = calibration([0.95] * 20, [1] * 20).ece
    assert (found.value, found.low) == (pytest.approx(0.05), 0.0)
    assert found.high > 0.1
    assert calibration([0.95] * 2000, [1] * 2000).ece.low > 0.03


def test_answers_that_belong_together_count_once() -> None:
    confidence, correct = drawn(5, 100)
    once, ids = calibration(confidence, correct), np.arange(100)
    four = calibration(confidence.repeat(4), correct.repeat(4), groups=ids.repeat(4))
    assert (four.ece.low, four.ece.high) == pytest.approx((once.ece.low, once.ece.high))
    assert calibration(confidence, correct, groups=ids).ece == once.ece
    assert four.overconfidence.high - four.overconfidence.low == pytest.approx(
        once.overconfidence.high - once.overconfidence.low, rel=0.05
    )
    alike = calibration(confidence.repeat(4), correct.repeat(4))
    assert alike.ece.high < four.ece.high


def test_it_sees_overconfidence_and_passes_honest_confidence() -> None:
    chance = np.random.default_rng(2)
    honest = chance.random(20_000)
    right = (chance.random(20_000) < honest).astype(float)
    assert calibration(honest, right).ece.value < 0.015
    assert calibration(np.minimum(1, honest + 0.2), right).ece.value > 0.15


def test_equal_masses_and_equal_confidences() -> None:
    confidence, correct = drawn(3)
    assert set(calibration(confidence, correct, kind="mass", bins=8).count) == {50}
    assert calibration([0.8] * 50, [1.0] * 50, kind="mass").count.tolist() == [50]


def test_the_edges_of_the_range_have_a_place() -> None:
    assert calibration([0.0, 1.0, 1.0], [0, 1, 1]).count.tolist() == [1, 2]


def test_holes_are_counted() -> None:
    found = calibration([0.9, None, 0.8, 0.7], [1, 1, None, 0])
    assert (found.n, found.unscored) == (2, 2)
    assert found.brier.value == pytest.approx((0.01 + 0.49) / 2)


@pytest.mark.parametrize(
    ("confidence", "correct", "options", "message"),
    [
        ([1.2], [1], {}, "confidence 1.2: expected a probability"),
        ([0.2], [0.5], {}, "expected 0 or 1"),
        ([0.2, 0.3], [1], {}, "got 2 and 1"),
        ([None], [1], {}, "0 answers with confidence and outcome"),
        ([0.5], [1], {"kind": "size"}, "kind='size': expected 'width' or 'mass'"),
    ],
)
def test_what_is_no_confidence(confidence: list, correct: list, options: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        calibration(confidence, correct, **options)
