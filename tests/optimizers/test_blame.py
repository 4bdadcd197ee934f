"""Which predictor losses are blamed on: by hand, and in a program of three of which one is at fault."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import dspy
import fakes
import pytest
from dstill.eval import Runner
from dstill.optimizers import Candidate, History, PredictorState, Race, compile
from dstill.optimizers.blame import Blame, blame, to_mend
from dstill.optimizers.proposers import Ground, ReflectedInstructions, WrittenInstructions
from dstill.runtime import LM, ScriptedEngine, Session
from dstill.runtime.fields import input_fields, render_fields

NAMES = ("first", "middle", "last")


def grown(*made: tuple[dict[str, str], list[float]]) -> History:
    """Trials of three predictors; those not named are told "0"."""
    told = [Candidate({name: PredictorState(parts.get(name, "0")) for name in NAMES}) for parts, _ in made]
    history = History().add([(each, "x", ()) for each in told], 0)
    for number, (_, row) in enumerate(made):
        history = history.change(number, scores=dict(enumerate(row)), met=len(row))
    return history


def test_what_comes_back_is_counted_once_for_every_example() -> None:
    found = blame(
        grown(
            ({}, [0, 0, 1, 0.5]),
            ({"middle": "a"}, [1, 0, 0, 1.0]),
            ({"last": "a"}, [0, 0, 1]),
            ({"first": "a", "last": "b"}, [1, 1, 1, 1]),  # differs in two from everybody
        )
    )
    # middle: on place 0 one of two is lost and comes back, on 1 both are lost, 2 is as 0, on 3 one loses a half.
    assert found["middle"] == Blame(pytest.approx(0.5 + 1 + 0.5 + 0.25), pytest.approx(0.5 + 0 + 0.5 + 0.25))
    assert found["last"] == Blame(pytest.approx(2.0), 0.0)
    assert found["first"] == Blame(0.0, 0.0)
    assert list(found) == list(NAMES)


def test_many_contrasts_on_one_example_are_one_piece_of_evidence() -> None:
    once = blame(grown(({}, [0, 1]), ({"last": "a"}, [1, 1])))
    often = blame(grown(({}, [0, 1]), *(({"last": str(n)}, [1, 1]) for n in range(1, 30))))
    assert often["last"] == once["last"]


def test_knobs_must_be_alike_too() -> None:
    history = grown(({}, [0, 1]), ({"last": "a"}, [1, 1]))
    turned = history.trials[1].candidate.with_knobs({"k": 3})
    assert blame(history.change(1, candidate=turned))["last"] == Blame(0.0, 0.0)


def test_the_one_to_blame_is_mended_first_and_one_not_yet_known_is_tried() -> None:
    rows = 30
    history = grown(
        ({}, [0.0] * rows + [1.0] * 10),
        ({"first": "a"}, [0.0] * rows + [1.0] * 10),
        ({"middle": "a"}, [1.0] * 12 + [0.0] * 18 + [1.0] * 10),
    )
    drawn = Counter(to_mend(history, NAMES, Random(0), 400))
    assert drawn["first"] < 20
    assert drawn["middle"] > 60
    assert drawn["last"] > 100
    assert to_mend(history, NAMES, Random(3), 9) == to_mend(history, NAMES, Random(3), 9)
    assert to_mend(History(), NAMES, Random(3), 60).count("first") in range(8, 33)
    assert to_mend(history, ["middle"], Random(0), 2) == ["middle"] * 2


class Three(dspy.Module):
    """Its middle predictor is at fault: only what it is told makes a difference."""

    def __init__(self) -> None:
        super().__init__()
        self.first = dspy.Predict("text -> hint")
        self.middle = dspy.Predict("text, hint -> idea")
        self.last = dspy.Predict("text, idea -> colour")

    def forward(self, text: str) -> Any:
        hint = self.first(text=text).hint
        return self.last(text=text, idea=self.middle(text=text, hint=hint).idea)


def script(request: Any) -> str:
    system, fields = str(request.system), input_fields(request)
    if "`instruction`" in system:
        return render_fields({"instruction": f"Rule {Random(f'{fields}{request.config.seed}').randrange(10**6)}."})
    if not fields.keys() & {"hint", "idea"}:
        return render_fields({"hint": "none"})
    if "hint" in fields:
        told = system.rpartition("objective is:")[2].strip()
        skill = 0.3 + 0.5 * Random(told).random() * ("Rule" in told)
        right = Random(fields["text"]).random() < skill
        return render_fields({"idea": fakes.truth(fields["text"]) if right else "red"})
    return render_fields({"colour": fields["idea"]})


@pytest.mark.parametrize("kind", [WrittenInstructions, ReflectedInstructions])
def test_proposers_mend_the_predictor_that_is_to_blame(kind: Any) -> None:
    task = fakes.task(program=Three())
    lm = LM(ScriptedEngine(script, repeatable=True), Session())
    ground = Ground(task.program, task.train, Runner(lm, task.metric), lm)
    history = History().add([(ground.baseline, "declared", ())], 0).change(0, scores=dict.fromkeys(range(40), 0.0))
    for number, name in enumerate(NAMES, 1):
        told = ground.baseline.with_state(name, instructions="Rule 0.")
        history = history.add([(told, "x", (0,))], 0)
        history = history.change(number, scores=dict.fromkeys(range(40), 1.0 if name == "middle" else 0.0), met=40)
    changed = Counter(
        name
        for seed in range(6)
        for found in kind(ground).propose(history, Random(seed), 3)
        for name in NAMES
        if found.predictors[name] != history.trials[2].candidate.predictors[name]
    )
    assert changed["middle"] > 0.8 * changed.total()


def test_a_race_finds_out_which_predictor_is_to_blame(tmp_path: Path) -> None:
    race = Race(candidates=24, width=6, block=8, demos=0, instructions=6)
    made = compile(
        fakes.task(program=Three(), dev=90), ScriptedEngine(script, repeatable=True), race, run=tmp_path / "r"
    )
    text = str(made.explain())
    shares = {n: blame(History(made.explain().trials))[n].share for n in NAMES}
    assert shares["middle"] > 0.05
    assert shares["first"] == shares["last"] == 0.0
    assert "came back when it alone was changed" in text
    assert made.candidate.predictors["middle"].instructions.startswith("Rule")
