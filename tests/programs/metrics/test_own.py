"""Metrics of one's own: what they may return, and what is said of those that return or raise something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dspy
import numpy as np
import orjson
import pytest
import torch
from dstill.eval import evaluate
from dstill.programs import Score
from dstill.programs.metrics import call
from dstill.runtime import LM, ScriptedEngine
from dstill.runtime.errors import BadMetric


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, "None.*return statement"),
        (float("nan"), "nan"),
        ("good", "'good'"),
        (1.5, "1.5"),
        (-0.1, "-0.1"),
        ([1], r"\[1\]"),
        (Score(2.0), "2.0"),
    ],
)
def test_a_metric_that_returns_no_score_stops_the_run(returned: Any, words: str) -> None:
    with pytest.raises(BadMetric, match=f"odd returned {words}.*|odd.*{words}") as caught:

        def odd(example: Any, prediction: Any) -> Any:
            return returned

        call(odd, dspy.Example(), dspy.Prediction(), "dev example 'd7'")
    assert "dev example 'd7'" in str(caught.value)
    assert not isinstance(caught.value, Exception)


def test_a_metric_may_return_a_scalar_of_numpy_or_torch() -> None:
    for returned, value in ((np.True_, 1.0), (np.float32(0.5), 0.5), (np.array(0.25), 0.25), (torch.tensor(0.5), 0.5)):
        assert call(lambda e, p, score=returned: score, dspy.Example(), dspy.Prediction(), "'d7'").value == value
    with pytest.raises(BadMetric, match="odd returned nan"):

        def odd(example: Any, prediction: Any) -> Any:
            return np.array(np.nan)

        call(odd, dspy.Example(), dspy.Prediction(), "'d7'")


def test_a_metric_that_raises_is_named() -> None:
    def broken(example: Any, prediction: Any) -> float:
        return 1 / 0

    with pytest.raises(BadMetric, match="broken raised ZeroDivisionError.*'d7'"):
        call(broken, dspy.Example(), dspy.Prediction(), "'d7'")

    def leaking(example: Any, prediction: Any) -> float:
        raise ValueError("no luck with sk-secret-0123456789abcdef\nand more")

    with pytest.raises(BadMetric, match=r"no luck with \[key\] \(.*test_own.py, line \d+\) on 'd8'"):
        call(leaking, dspy.Example(), dspy.Prediction(), "'d8'")


def test_metrics_of_dspy_are_metrics() -> None:
    def reflective(gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> Any:
        return dspy.Prediction(score=0.5, feedback="half")

    assert call(reflective, dspy.Example(), dspy.Prediction(), "x") == Score(0.5, "half")
    assert call(lambda e, p, trace=None: True, dspy.Example(), dspy.Prediction(), "x") == Score(1.0)
    assert call(lambda e, p: Score(None, "unclear"), dspy.Example(), dspy.Prediction(), "x") == Score(None, "unclear")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, ""),
        ("", ""),
        (3, "3"),
        (["a"], "['a']"),
        ({1}, "{1}"),
        ("half \ud800", "half ?"),
        ("as it is", "as it is"),
    ],
)
def test_feedback_is_text_that_can_be_written_down(given: Any, text: str, tmp_path: Path) -> None:
    for verdict in (Score(0.5, given), Score(None, given), dspy.Prediction(score=0.5, feedback=given)):
        assert call(lambda e, p, found=verdict: found, dspy.Example(), dspy.Prediction(), "'d7'").feedback == text
    example = dspy.Example(q="x").with_inputs("q")
    lm = LM(ScriptedEngine(["[[ ## a ## ]]\nyes\n\n[[ ## completed ## ]]"]))
    rows = tmp_path / "rows.jsonl"
    found = evaluate(dspy.Predict("q -> a"), [example], lambda e, p: Score(0.5, given), lm, rows=rows)
    assert found.rows[0].feedback == text
    assert orjson.loads(rows.read_bytes())["feedback"] == text


@pytest.mark.parametrize(("value", "taken"), [(1 + 1e-12, 1.0), (-1e-12, 0.0), (0.5, 0.5), (0.7 + 0.2 + 0.1, 1.0)])
def test_a_rounding_at_an_end_of_the_range_is_the_end(value: float, taken: float) -> None:
    for verdict in (value, Score(value), dspy.Prediction(score=value)):
        found = call(lambda e, p, given=verdict: given, dspy.Example(), dspy.Prediction(), "'d7'")
        assert found.value == taken
    with pytest.raises(BadMetric, match=r"returned 1.001 on 'd7'; expected a number in \[0, 1\]"):
        call(lambda e, p: 1.001, dspy.Example(), dspy.Prediction(), "'d7'")
