"""Canonical JSON: what a field's value becomes, whatever it is."""

from __future__ import annotations

import datetime
import decimal
import math
from typing import Any

import dspy
import numpy as np
import pydantic
import pytest
from dstill.runtime.canonical import as_json, canonical, digest


class Point(pydantic.BaseModel):
    x: int
    tags: set[str] = set()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None), (True, True), (3, 3), (2.5, 2.5), ("é", "é"), ("a\ud800b", "a?b"),
        (2**63, 2**63), (2**64, str(2**64)), (-(2**63) - 1, str(-(2**63) - 1)),
        ((1, [2, "x"]), [1, [2, "x"]]), ({"b", "a"}, ["a", "b"]), ({1: "one", "\udfff": 2}, {"1": "one", "?": 2}),
        (np.int64(3), 3), (np.array([[1.5, 2.0]]), [[1.5, 2.0]]), (b"\xff", "b'\\xff'"),
        (datetime.date(2020, 1, 2), "2020-01-02"), (decimal.Decimal("1.50"), "1.50"),
        (Point(x=1), {"x": 1, "tags": []}), (dspy.Example(text="t", n=np.float32(0.5)), {"text": "t", "n": 0.5}),
    ],
)  # fmt: skip
def test_any_value_becomes_json(value: Any, expected: Any) -> None:
    found = as_json(value)
    assert found == expected
    assert type(found) is type(expected)
    canonical(found)


def test_equal_values_have_equal_digests() -> None:
    assert digest({"b": 1, "a": [1.0]}) == digest({"a": [1.0], "b": 1}) != digest({"a": [1], "b": 1})
    assert digest(as_json({"x", "y", "z"})) == digest(as_json({"z", "y", "x"}))
    assert canonical(as_json(math.nan)) == b"null"
    with pytest.raises(TypeError, match="Thing"):
        canonical(type("Thing", (), {})())
