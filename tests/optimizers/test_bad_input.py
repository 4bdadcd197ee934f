"""What a search cannot make anything of is said, and the best so far is returned."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
from dstill.eval.compare import compare_scores
from dstill.optimizers import Candidate, Race, compile
from dstill.optimizers.compiled import Evidence
from dstill.runtime.retry import Retry

SMALL = Race(candidates=10, width=4, block=8, pool=16, instructions=2)


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_constant_metric(tmp_path: Path, score: float) -> None:
    made = compile(fakes.task(metric=lambda example, prediction: score), fakes.painter(), SMALL, run=tmp_path / "r")
    assert f"scores was {score:g}, so the metric tells nothing apart" in made.verdict
    assert made.candidate == Candidate.of(fakes.task().program)
    varied = compile(fakes.task(), fakes.painter(), SMALL, run=tmp_path / "varied")
    assert "tells nothing apart" not in varied.verdict


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_a_dev_split_too_small_to_tell_anything(tmp_path: Path, rows: int) -> None:
    made = compile(fakes.task(dev=rows), fakes.painter(), SMALL, run=tmp_path / "r")
    assert made.evidence is not None
    assert made.evidence.gain is None or made.evidence.gain.verdict == "no significant difference"
    assert made.evidence.best == 0 or "so few rows show no gain whatever" in made.verdict


def test_the_smallest_gain_that_rows_could_show() -> None:
    for n in (3, 8, 30, 200):
        smallest = Evidence("race", 9, 3, compare_scores([1.0] * n, [1.0] * n)).smallest
        assert smallest is not None
        if smallest > 1:
            assert compare_scores([1.0] * n, [0.0] * n).verdict != "better"
            continue
        wins = round(smallest * n)
        found = [compare_scores([1.0] * w + [0.0] * (n - w), [0.0] * n).verdict for w in (wins - 1, wins)]
        assert found == ["no significant difference", "better"]


def test_no_proposer_has_an_idea(tmp_path: Path) -> None:
    made = compile(fakes.task(), fakes.painter(), Race(candidates=4, demos=0, instructions=0), run=tmp_path / "r")
    assert "no proposer brought a candidate" in made.verdict
    assert made.candidate == Candidate.of(fakes.task().program)


def test_a_predictor_that_is_never_called(tmp_path: Path) -> None:
    class Two(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.paint = dspy.Predict(fakes.Paint)
            self.never = dspy.Predict("text -> hint")

        def forward(self, text: str) -> Any:
            return self.paint(text=text)

    made = compile(fakes.task(program=Two()), fakes.painter(), SMALL, run=tmp_path / "r")
    assert made.candidate.predictors["paint"].demos
    assert "a gain of" in made.verdict


def test_a_model_that_fails_half_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Retry, "wait", lambda self, attempt, asked, key: None)  # it would fail again
    engine = fakes.painter()
    plain = engine._script

    def failing(request: Any) -> Any:
        if random.Random(str(request.messages)).random() < 0.5:
            raise dspy.lm15.ServerError("overloaded")
        return plain(request)  # type: ignore[operator]

    engine._script = failing
    made = compile(fakes.task(dev=120), engine, SMALL, run=tmp_path / "r")
    assert made.evidence is not None
    assert made.evidence.gain is not None
    assert made.evidence.gain.n < 36  # what could not be asked counts for nothing
    assert made.evidence.gain.n > 4
