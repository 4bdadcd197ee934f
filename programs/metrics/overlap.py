"""Metrics of overlap with a reference text, by the libraries that the field compares with: ROUGE, BLEU and chrF.

Sources: Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004 (rouge-score, Google's implementation);
Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", 2002, and Popović, "chrF: character
n-gram F-score for automatic MT evaluation", 2015 (sacrebleu, Post 2018). These are scores of one example each; BLEU of
a corpus is no mean of them. Texts are cut after 20,000 characters, because ROUGE-L takes time in the square of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

import dspy

from ...runtime.errors import BadInput
from .base import Score
from .fields import answer_of, judged, text_of, wanted_of

KINDS = ("rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "chrf")
"""The measures by the names of their libraries."""

MOST = 20_000
"""Characters of a text that are compared."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """See ``rouge``, ``bleu`` and ``chrf``."""

    kind: str
    field: str
    gold: str = ""

    @property
    def name(self) -> str:
        """``kind(field)``, e.g. ``rougeL(summary)``."""
        return f"{self.kind}({self.field})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        gold = wanted_of(example, prediction, self.field, self.gold, str)
        if isinstance(gold, Score):
            return gold
        if not gold.strip():
            return Score(None, f"the example's {self.gold or self.field} is empty: nothing overlaps with it")
        answer = answer_of(prediction, self.field)
        text = text_of(answer)[:MOST]
        value = _measured(self.kind, gold[:MOST], text) if text.strip() else 0.0
        return judged(min(1.0, max(0.0, value)), gold, answer)


def rouge(field: str, *, kind: str = "rougeL", gold: str = "") -> Overlap:
    """ROUGE's F-measure of an output field against the example's, with stemming. Needs the extra ``metrics``.

    Args:
        kind: ``rouge1``, ``rouge2``, ``rougeL``, or ``rougeLsum`` (line by line).
        gold: the example's field with the reference, where it has another name than the output field.

    Raises:
        BadInput: for an unknown kind, or without the library rouge-score.
    """
    if kind not in KINDS or not kind.startswith("rouge"):
        raise BadInput(f"rouge(kind={kind!r}): expected one of: rouge1, rouge2, rougeL, rougeLsum")
    _scorer(kind)
    return Overlap(kind, field, gold)


def bleu(field: str, *, gold: str = "") -> Overlap:
    """Sentence BLEU over 100 of an output field against the example's: smoothed (method ``exp``), with n-grams no
    longer than the answer, ``13a`` tokens. Needs the extra ``metrics``.

    Args:
        gold: the example's field with the reference, where it has another name than the output field.

    Raises:
        BadInput: without the library sacrebleu.
    """
    _scorer("bleu")
    return Overlap("bleu", field, gold)


def chrf(field: str, *, gold: str = "") -> Overlap:
    """Sentence chrF2 over 100 of an output field against the example's. Needs the extra ``metrics``.

    Args:
        gold: the example's field with the reference, where it has another name than the output field.

    Raises:
        BadInput: without the library sacrebleu.
    """
    _scorer("chrf")
    return Overlap("chrf", field, gold)


def _measured(kind: str, gold: str, text: str) -> float:
    scorer = _scorer(kind)
    if kind.startswith("rouge"):
        return float(scorer.score(gold, text)[kind].fmeasure)
    return float(scorer.sentence_score(text, [gold]).score) / 100


@lru_cache(maxsize=len(KINDS))
def _scorer(kind: str) -> Any:
    try:
        if kind.startswith("rouge"):
            return import_module("rouge_score.rouge_scorer").RougeScorer([kind], use_stemmer=True)
        library = import_module("sacrebleu.metrics")
        return library.BLEU(effective_order=True) if kind == "bleu" else library.CHRF()
    except ImportError:
        name = "rouge-score" if kind.startswith("rouge") else "sacrebleu"
        raise BadInput(f"the metric {kind} is measured by {name}: pip install 'dstill[metrics]'") from None
