"""Overlap: the values are the libraries', and worked by hand where a definition is short."""

from __future__ import annotations

import sys
from typing import Any

import dspy
import pytest
from dstill.programs import metrics
from dstill.programs.metrics import overlap
from dstill.runtime import BadInput

GOLD, ANSWER = "the cat sat on the mat", "the cat was on the mat today"


def value(metric: metrics.Metric, gold: Any, answer: Any) -> float | None:
    return metrics.call(metric, dspy.Example(s=gold), dspy.Prediction(s=answer), "here").value


def test_rouge_by_hand() -> None:
    """Six words and seven: five common ones, in order; common pairs: the cat, on the, the mat."""
    assert value(metrics.rouge("s", kind="rouge1"), GOLD, ANSWER) == pytest.approx(2 * 5 / (6 + 7))
    assert value(metrics.rouge("s", kind="rougeL"), GOLD, ANSWER) == pytest.approx(2 * 5 / (6 + 7))
    assert value(metrics.rouge("s", kind="rouge2"), GOLD, ANSWER) == pytest.approx(2 * 3 / (5 + 6))


def test_bleu_by_hand() -> None:
    """Precisions 5/7, 3/6, 1/5 (on the mat), and 0/4 smoothed to 1/8; no brevity penalty."""
    expected = (5 / 7 * 3 / 6 * 1 / 5 * 1 / 8) ** 0.25
    assert value(metrics.bleu("s"), GOLD, ANSWER) == pytest.approx(expected)


def test_chrf_by_brute_force() -> None:
    """chrF2: character n-grams of 1 to 6 without white space, mean precision and recall, beta 2."""
    precisions, recalls = [], []
    for n in range(1, 7):
        gold, got = ([text[i : i + n] for i in range(len(text) - n + 1)] for text in
                     (GOLD.replace(" ", ""), ANSWER.replace(" ", "")))  # fmt: skip
        left, same = list(gold), 0
        for gram in got:
            if gram in left:
                left.remove(gram)
                same += 1
        precisions.append(same / len(got))
        recalls.append(same / len(gold))
    p, r = sum(precisions) / 6, sum(recalls) / 6
    assert value(metrics.chrf("s"), GOLD, ANSWER) == pytest.approx(5 * p * r / (4 * p + r))


@pytest.mark.parametrize("make", [metrics.rouge, metrics.bleu, metrics.chrf])
def test_ends_of_the_scale(make: Any) -> None:
    assert value(make("s"), GOLD, GOLD) == pytest.approx(1)
    assert value(make("s"), GOLD, "zzz") == pytest.approx(0, abs=0.02)
    assert value(make("s"), GOLD, "") == value(make("s"), GOLD, None) == 0
    assert value(make("s"), "  ", GOLD) is None
    assert value(make("s"), ["a"], GOLD) is None


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(BadInput, match="rouge1, rouge2, rougeL, rougeLsum"):
        metrics.rouge("s", kind="bleu")


@pytest.mark.parametrize(
    ("make", "library"), [(metrics.rouge, "rouge-score"), (metrics.bleu, "sacrebleu"), (metrics.chrf, "sacrebleu")]
)
def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, make: Any, library: str) -> None:
    for name in ("rouge_score.rouge_scorer", "sacrebleu.metrics"):
        monkeypatch.setitem(sys.modules, name, None)
    overlap._scorer.cache_clear()
    with pytest.raises(BadInput, match=rf"{library}: pip install 'dstill\[metrics\]'"):
        make("s")
    overlap._scorer.cache_clear()
