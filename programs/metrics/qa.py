"""Metrics of question answering as SQuAD defines them, and the best of several gold answers.

Source: Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text", 2016 (arXiv:1606.05250),
section 6.1: punctuation and articles do not count, F1 is over the bags of tokens, and the best gold answer counts.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from dataclasses import dataclass
from typing import Any

import dspy

from ...runtime.errors import BadInput
from .base import Metric, Score, call, name_of
from .describe import described
from .fields import answer_of, gold_of, judged, shown, text_of, wanted_of

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def squad_normal(text: str) -> str:
    """A text in lower case, without ASCII punctuation, English articles, and runs of white space."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


@dataclass(frozen=True, slots=True)
class Normalised:
    """See ``normalised``."""

    field: str
    gold: str = ""

    @property
    def name(self) -> str:
        """``normalised(field)``."""
        return f"normalised({self.field})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        gold = wanted_of(example, prediction, self.field, self.gold, str, int, float)
        if isinstance(gold, Score):
            return gold
        answer = answer_of(prediction, self.field)
        same = squad_normal(text_of(gold)) == squad_normal(text_of(answer))
        return judged(float(same), gold, answer)


def normalised(field: str, *, gold: str = "") -> Normalised:
    """SQuAD's exact match: 1 if answer and gold answer are equal but for case, punctuation, articles and white space.

    Not for the letters of a choice: "A" is an article, and nothing is left of it. ``exact`` is.

    Args:
        gold: the example's field with the gold answer, where it has another name than the output field.
    """
    return Normalised(field, gold)


@dataclass(frozen=True, slots=True)
class TokenF1:
    """See ``token_f1``."""

    field: str
    gold: str = ""

    @property
    def name(self) -> str:
        """``token_f1(field)``."""
        return f"token_f1({self.field})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        gold = wanted_of(example, prediction, self.field, self.gold, str, int, float)
        if isinstance(gold, Score):
            return gold
        answer = answer_of(prediction, self.field)
        return judged(_f1(squad_normal(text_of(gold)).split(), squad_normal(text_of(answer)).split()), gold, answer)


def token_f1(field: str, *, gold: str = "") -> TokenF1:
    """SQuAD's F1: the harmonic mean of precision and recall over the bags of normalised tokens.

    Where gold answer or answer has no token left, it is 1 if neither has, else 0 (as SQuAD 2.0 scores no answer).

    Args:
        gold: the example's field with the gold answer, where it has another name than the output field.
    """
    return TokenF1(field, gold)


@dataclass(frozen=True, slots=True, repr=False)
class AnyOf:
    """See ``any_of``."""

    metric: Metric
    gold: str

    @property
    def name(self) -> str:
        """``any_of(metric)``."""
        return f"any_of({name_of(self.metric)})"

    def __repr__(self) -> str:
        return f"AnyOf(metric={described(self.metric)}, gold={self.gold!r})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        several = gold_of(example, self.gold)
        if isinstance(several, Score):
            return several
        answers = list(several) if isinstance(several, list | tuple | set | frozenset) else [several]
        best = Score(None, f"the example's {self.gold} is empty: expected at least one gold answer")
        for answer in answers:
            found = call(self.metric, example.copy(**{self.gold: answer}), prediction, f"gold answer {shown(answer)}")
            if best.value is None or (found.value is not None and found.value > best.value):
                best = found
        return best


def any_of(metric: Metric, *, gold: str = "") -> AnyOf:
    """The best score over several gold answers: the example's field holds a list, and the metric sees one at a time.

    Args:
        metric: scores an answer against one gold answer, e.g. ``token_f1("answer")``.
        gold: the example's field with the list; the metric's own gold field where it has one.

    Raises:
        BadInput: for a metric that does not say which field it reads, and no ``gold``.
    """
    place = gold or getattr(metric, "gold", "") or getattr(metric, "field", "")
    if not place or not isinstance(place, str):
        raise BadInput(f"any_of({name_of(metric)}): expected gold=FIELD, the example's field with the gold answers")
    return AnyOf(metric, place)


def _f1(gold: list[str], answer: list[str]) -> float:
    if not gold or not answer:
        return float(gold == answer)
    common = sum((Counter(gold) & Counter(answer)).values())
    return 2 * common / (len(gold) + len(answer))
