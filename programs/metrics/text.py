"""Metrics of text fields: is the answer the gold answer, or does it contain it?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import dspy

from .base import Score
from .fields import RIGHT, answer_of, shown, text_of, wanted_of


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
        if self.field not in example:
            missing: Score = wanted_of(example, prediction, self.field, "")
            return missing
        expected, got = _plain(example[self.field]), _plain(answer_of(prediction, self.field, ""))
        same = expected == got if self.strict else _normal(expected) == _normal(got)
        return Score(float(same), RIGHT if same else f"Expected {self.field} {shown(expected)}, got {shown(got)}.")


def exact(field: str, *, strict: bool = False) -> Exact:
    """1 if an output field equals the example's, else 0.

    Case, surrounding punctuation and runs of white space do not count, unless ``strict``.
    """
    return Exact(field, strict)


@dataclass(frozen=True, slots=True)
class Contains:
    """See ``contains``."""

    field: str
    gold: str = ""
    words: bool = True

    @property
    def name(self) -> str:
        """``contains(field)``."""
        return f"contains({self.field})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        gold = wanted_of(example, prediction, self.field, self.gold, str, int, float)
        if isinstance(gold, Score):
            return gold
        wanted = " ".join(text_of(gold).casefold().split())
        if not wanted:
            return Score(None, f"the example's {self.gold or self.field} is empty: every answer contains it")
        answer = answer_of(prediction, self.field)
        text = " ".join(text_of(answer).casefold().split())
        pattern = re.escape(wanted)
        if self.words:
            pattern = f"(?<!\\w){pattern}(?!\\w)"
        found = re.search(pattern, text) is not None
        return Score(
            float(found), RIGHT if found else f"Expected {shown(gold)} within the answer, got {shown(answer)}."
        )


def contains(field: str, *, gold: str = "", words: bool = True) -> Contains:
    """1 if the gold answer stands somewhere in an output field, else 0; case and runs of white space do not count.

    Args:
        gold: the example's field with the gold answer, where it has another name than the output field.
        words: whether it must stand there as whole words, so that ``no`` is not found in ``know``. Turn it off for
            scripts without spaces between words.
    """
    return Contains(field, gold, words)


def _plain(value: Any) -> str:
    return "None" if value is None else text_of(value)  # an optional field that holds None is an answer


def _normal(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .,;:!?\"'`")
