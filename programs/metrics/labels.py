"""Metrics of sets of labels: F1 and Jaccard's index of one example's labels against its gold labels.

The means over examples are what scikit-learn calls ``average="samples"``, with ``zero_division=1``. Sources: Jaccard,
"The distribution of the flora in the alpine zone", New Phytologist 11, 1912; van Rijsbergen, "Information Retrieval",
1979, for F1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import dspy

from .base import Score
from .fields import RIGHT, answer_of, shown, text_of, wanted_of


def labels_in(value: Any) -> frozenset[str]:
    """The labels of a collection, of a JSON list, or of text with commas, semicolons or lines between them.

    Case and surrounding white space do not count; ``None`` and empty text hold none. A single label stands for itself.
    """
    if isinstance(value, str):
        value = _listed(value)
    if value is None:
        return frozenset()
    if not isinstance(value, list | tuple | set | frozenset):
        value = [value]
    found = (" ".join(text_of(item).casefold().split()) for item in value)
    return frozenset(label for label in found if label)


@dataclass(frozen=True, slots=True)
class LabelF1:
    """See ``label_f1``."""

    field: str
    gold: str = ""

    @property
    def name(self) -> str:
        """``label_f1(field)``."""
        return f"label_f1({self.field})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        sets = _sets(example, prediction, self.field, self.gold)
        if isinstance(sets, Score):
            return sets
        gold, got = sets
        size = len(gold) + len(got)
        return Score(2 * len(gold & got) / size if size else 1.0, _feedback(gold, got))


def label_f1(field: str, *, gold: str = "") -> LabelF1:
    """F1 of the set of labels in an output field against the example's: 2 |both| / (|gold| + |answer|); 1 if both are
    empty.

    Args:
        gold: the example's field with the gold labels, where it has another name than the output field.
    """
    return LabelF1(field, gold)


@dataclass(frozen=True, slots=True)
class Jaccard:
    """See ``jaccard``."""

    field: str
    gold: str = ""

    @property
    def name(self) -> str:
        """``jaccard(field)``."""
        return f"jaccard({self.field})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        sets = _sets(example, prediction, self.field, self.gold)
        if isinstance(sets, Score):
            return sets
        gold, got = sets
        return Score(len(gold & got) / len(gold | got) if gold | got else 1.0, _feedback(gold, got))


def jaccard(field: str, *, gold: str = "") -> Jaccard:
    """Jaccard's index of the set of labels in an output field and the example's: |both| / |either|; 1 if both are
    empty.

    Args:
        gold: the example's field with the gold labels, where it has another name than the output field.
    """
    return Jaccard(field, gold)


def _listed(text: str) -> Any:
    if text.lstrip().startswith("["):
        try:
            made = json.loads(text)
        except (ValueError, RecursionError):
            made = None
        if isinstance(made, list):
            return made
        text = text.strip().strip("[]")
    return [part.strip().strip("\"'") for part in text.replace(";", ",").replace("\n", ",").split(",")]


def _sets(example: Any, prediction: Any, field: str, gold: str) -> Score | tuple[frozenset[str], frozenset[str]]:
    wanted = wanted_of(example, prediction, field, gold, str, list, tuple, set, frozenset)
    return wanted if isinstance(wanted, Score) else (labels_in(wanted), labels_in(answer_of(prediction, field)))


def _feedback(gold: frozenset[str], got: frozenset[str]) -> str:
    missing, surplus = sorted(gold - got), sorted(got - gold)
    said = [f"Missing: {shown(missing)}." if missing else "", f"Not expected: {shown(surplus)}." if surplus else ""]
    return " ".join(part for part in said if part) or RIGHT
