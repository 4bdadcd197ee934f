"""Scores with holes: unscored examples are nan, counted, and refused where a method has no place for them."""

from __future__ import annotations

import numpy as np
import pytest
from dstill.eval.statistics.values import all_scored, as_scores, groups_of, scored
from dstill.runtime.errors import BadInput


def test_none_and_nan_are_unscored_and_zero_is_a_score() -> None:
    values, unscored = scored([0.0, None, 1.0, float("nan")])
    assert values.tolist() == [0.0, 1.0]
    assert unscored == 2
    assert np.isnan(as_scores([None, 0.5])).tolist() == [True, False]


@pytest.mark.parametrize(
    ("values", "message"),
    [(["good"], "expected numbers"), ([1.0, np.inf], "finite numbers, got inf"), ([[1.0]], r"shape \(1, 1\)")],
)
def test_what_is_no_score(values: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        as_scores(values)  # type: ignore[arg-type]


def test_a_method_without_a_place_for_holes_says_how_many_there_are() -> None:
    with pytest.raises(BadInput, match="1 of 3 are unscored"):
        all_scored([1, None, 0])


def test_groups_stand_in_the_order_of_their_appearance() -> None:
    names, index = groups_of(["b", "a", "b", None], 4, what="labels")
    assert names == ["b", "a", None]
    assert index.tolist() == [0, 1, 0, 2]
