"""Predictors that dev examples do not reach: nothing is known of their students, so none ships."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
from dstill.distill import Cascade, Collect, DistilledProgram, Gate, TrainEncoder, Training, distill, load_distilled
from dstill.distill.stages.gate import LEAST
from dstill.optimizers import compile
from dstill.runtime import ScriptedEngine
from dstill.runtime.fields import input_fields, render_fields

import dstill

HOW = TrainEncoder(training=Training(epochs=6, batch=16, lr=3e-3))


class Branching(dspy.Module):
    """Texts that begin with "rare" go another way, and a third way is never taken."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.rare, self.never = (dspy.Predict(fakes.Paint) for _ in range(3))

    def forward(self, text: str) -> Any:
        return (self.rare if text.startswith("rare") else self.main)(text=text)


def made(tmp_path: Path, base: str, rare_in_dev: int, *stages: Any) -> DistilledProgram:
    def rows(start: int, end: int, kind: str = "") -> list[dspy.Example]:
        texts = [
            (f"{kind}{('calm blue sea', 'loud red noise')[n % 2]} {n}", ("blue", "red")[n % 2]) for n in range(end)
        ]
        return [dspy.Example(text=text, colour=colour).with_inputs("text") for text, colour in texts[start:]]

    def script(request: Any) -> str:
        return render_fields({"colour": "red" if "loud" in input_fields(request)["text"] else "blue"})

    train, dev = rows(0, 60) + rows(60, 100, "rare "), rows(100, 220) + rows(220, 220 + rare_in_dev, "rare ")
    metric = dstill.metrics.exact("colour")
    task = dstill.Task("branch", Branching(), train, dev, rows(300, 310), metric)
    teacher = compile(task, ScriptedEngine(script, repeatable=True), "zero-shot", run=tmp_path / "teacher")
    return distill(teacher, task, base, [Collect(), HOW, *stages], 0.05, run=tmp_path / "small")


@pytest.mark.parametrize(
    ("rare", "words"),
    [(0, "rare: held back, no dev example reached it"), (3, "rare: held back, only 3 of 123 dev examples reached it")],
)
def test_a_student_that_dev_hardly_reaches_is_held_back(
    tmp_path: Path, bases: dict[str, str], rare: int, words: str
) -> None:
    small = made(tmp_path, bases["encoder"], rare, Gate())
    assert sorted(small.students) == ["main"]
    assert words in small.verdict
    assert "never: without a student" in small.verdict
    assert "no student for never: no run that was kept called it" in small.effects[0].notes
    told = json.loads((tmp_path / "small" / "report.json").read_text())["students"]
    assert (told["main"]["reached"], told["rare"]["reached"]) == (120, rare)
    assert load_distilled(tmp_path / "small", Branching(), lm=fakes.painter()).gates["rare"].reached == rare


def test_one_that_enough_examples_reach_ships(tmp_path: Path, bases: dict[str, str]) -> None:
    assert LEAST == 5
    assert sorted(made(tmp_path, bases["encoder"], LEAST, Gate()).students) == ["main", "rare"]


@pytest.mark.parametrize("gate", [(), (Gate(),)])
def test_no_threshold_is_calibrated_on_no_call(tmp_path: Path, bases: dict[str, str], gate: Any) -> None:
    small = made(tmp_path, bases["encoder"], 0, *gate, Cascade(harm=0.5))
    assert sorted(small.students) == ["main"]
    assert small.verdict.count("no dev example reached it") == 1


def test_a_cascades_share_is_of_the_calls_that_reached_it(tmp_path: Path, bases: dict[str, str]) -> None:
    small = made(tmp_path, bases["encoder"], 40, Cascade(harm=0.5))
    assert small.gates["rare"].reached == 40
    assert replace(small.gates["rare"]).threshold is not None
    assert small.gates["rare"].threshold < 1  # type: ignore[operator]
    assert "rare: shipped, answers 100 % itself" in small.verdict
