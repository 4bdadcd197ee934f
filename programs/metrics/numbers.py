"""Metrics of numbers: is the last number in the answer the gold one?"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from numbers import Real
from typing import Any

import dspy

from .base import Score
from .fields import RIGHT, answer_of, shown, text_of, wanted_of


@dataclass(frozen=True, slots=True)
class Numeric:
    """See ``numeric``."""

    field: str
    tolerance: float = 1e-6

    @property
    def name(self) -> str:
        """``numeric(field)``."""
        return f"numeric({self.field})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        if self.field not in example:
            missing: Score = wanted_of(example, prediction, self.field, "")
            return missing
        expected, answer = number_in(example[self.field]), answer_of(prediction, self.field)
        if expected is None or math.isnan(expected):
            return Score(None, f"the example's {self.field} {shown(example[self.field])} is no number")
        got = number_in(answer)
        same = got is not None and math.isclose(expected, got, rel_tol=self.tolerance, abs_tol=self.tolerance)
        return Score(float(same), RIGHT if same else f"Expected {expected:g}, got {shown(answer)}.")


def numeric(field: str, *, tolerance: float = 1e-6) -> Numeric:
    """1 if the last number in an output field equals the example's within a relative or absolute tolerance, else 0.

    Thousands separators, currency signs and units around the number do not count.
    """
    return Numeric(field, tolerance)


_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][+-]?\d+)?|-?\.\d+")


def number_in(value: Any) -> float | None:
    """The last number in a text (or the number itself); ``None`` if there is none."""
    if isinstance(value, Real):
        try:
            return float(value)
        except OverflowError:  # an int beyond every float
            return None
    found = _NUMBER.findall(text_of(value))
    return float(found[-1].replace(",", "")) if found else None
