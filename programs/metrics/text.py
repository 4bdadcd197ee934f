"""Metrics of text fields: is the answer the gold answer?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dspy

from .base import Score


@dataclass(frozen=True, slots=True)
class Exact:
    """See ``exact``."""

    field: str
    strict: bool = False

    @property
    def name(self) -> str:
        """``exact(field)``."""
        return f"exact({self.field})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        expected, got = str(example[self.field]), str(prediction.get(self.field, ""))
        same = expected == got if self.strict else _normal(expected) == _normal(got)
        return Score(float(same), "Right." if same else f"Expected {self.field} {expected!r}, got {got!r}.")


def exact(field: str, *, strict: bool = False) -> Exact:
    """1 if an output field equals the example's, else 0.

    Case, surrounding punctuation and runs of white space do not count, unless ``strict``.
    """
    return Exact(field, strict)


def _normal(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .,;:!?\"'`")
