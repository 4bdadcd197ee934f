"""What a search cannot make anything of is said, and the best so far is returned."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
from dstill.eval.compare import compare_scores
from dstill.optimizers import Bootstrap, Candidate, Dspy, FewShot, Race, compile, optimizer_of
from dstill.optimizers.changed import changed
from dstill.optimizers.verdict import Evidence
from dstill.programs import metrics
from dstill.runtime import LM, BadInput, Budget, ScriptedEngine, Session
from dstill.runtime.fields import answer_to
from dstill.runtime.retry import Retry


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_constant_metric(tmp_path: Path, score: float) -> None:
    made = compile(
        fakes.task(metric=lambda example, prediction: score), fakes.painter(), fakes.SMALL, run=tmp_path / "r"
    )
    assert f"scores was {score:g}, so the metric tells nothing apart" in made.verdict
    assert made.candidate == Candidate.of(fakes.task().program)
    varied = compile(fakes.task(), fakes.painter(), fakes.SMALL, run=tmp_path / "varied")
    assert "tells nothing apart" not in varied.verdict


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_a_dev_split_too_small_to_tell_anything(tmp_path: Path, rows: int) -> None:
    made = compile(fakes.task(dev=rows), fakes.painter(), fakes.SMALL, run=tmp_path / "r")
    assert made.evidence is not None
    assert made.evidence.gain is None or made.evidence.gain.verdict == "no significant difference"
    none = "its gain was not measured: no dev rows were left to confirm it"
    said = none if made.evidence.gain is None else "so few rows show no gain whatever"
    assert made.evidence.best == 0 or said in made.verdict
    if made.evidence.best and made.evidence.gain is None:  # on one row all were right
        assert "so the declared program stays" in made.verdict
        assert made.candidate == Candidate.of(fakes.task().program)


@pytest.mark.parametrize(("calls", "rounds"), [(0, 0), (20, 0), (60, 1)])
def test_a_budget_too_small_to_tell_anything(tmp_path: Path, calls: int, rounds: int) -> None:
    made = compile(fakes.task(), fakes.painter(), fakes.SMALL, Budget(calls=calls), run=tmp_path / "r")
    if not rounds:
        assert made.verdict.startswith("the program as declared; nothing was compared")
        assert "the budget did not reach for the 40 evaluations of a first round" in made.verdict
        assert made.candidate == Candidate.of(fakes.task().program)
    else:
        told = "confirming it takes 36 evaluations, and the budget did not reach for the first 16"
        assert f"its gain was not measured: {told}" in made.verdict
        assert made.candidate.predictors["self"].demos


@pytest.mark.parametrize("said", ["???", dspy.lm15.ServerError("down")])
def test_a_model_that_writes_no_instruction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Any) -> None:
    monkeypatch.setattr(Retry, "wait", lambda self, attempt, asked, key: None)
    silent = ScriptedEngine(lambda request: said)
    made = compile(fakes.task(), fakes.painter(), fakes.SMALL, prompt_lm=silent, run=tmp_path / "r")
    assert made.candidate.predictors["self"].demos
    assert "no instruction was written, asked " in made.verdict
    well = compile(fakes.task(), fakes.painter(), fakes.SMALL, run=tmp_path / "well")
    assert "no instruction was written" not in well.verdict


def test_nothing_that_can_be_scored(tmp_path: Path) -> None:
    unknown = fakes.task(metric=lambda example, prediction: metrics.Score(None))
    made = compile(unknown, fakes.painter(), fakes.SMALL, run=tmp_path / "r")
    assert made.verdict.startswith("the program as declared; nothing was compared")
    assert "evaluations could not be scored and count for nothing" in made.verdict
    assert made.candidate == Candidate.of(unknown.program)


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


def test_where_nobody_can_show_anything_instructions_are_written_at_once(tmp_path: Path) -> None:
    plain = fakes.task()
    unlabelled = [dspy.Example(text=row.text).with_inputs("text") for row in plain.train]
    engine = fakes.painter(lambda demos, instructions: 0.9 if instructions == "Look twice." else 0.4)
    made = compile(replace(plain, train=unlabelled), engine, fakes.SMALL, run=tmp_path / "r")
    assert "a gain of" in made.verdict
    assert made.candidate.predictors["self"].instructions == "Look twice."


def test_a_predictor_that_is_never_called(tmp_path: Path) -> None:
    class Two(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.paint = dspy.Predict(fakes.Paint)
            self.never = dspy.Predict("text -> hint")

        def forward(self, text: str) -> Any:
            return self.paint(text=text)

    made = compile(fakes.task(program=Two()), fakes.painter(), fakes.SMALL, run=tmp_path / "r")
    assert made.candidate.predictors["paint"].demos
    assert "a gain of" in made.verdict
    assert "predictor never was never called, so what is told there changes nothing" in made.verdict
    alone = compile(fakes.task(), fakes.painter(), fakes.SMALL, run=tmp_path / "alone")
    assert "never called" not in alone.verdict


def test_predictors_of_a_module_that_works_on_copies_of_itself_are_called(tmp_path: Path) -> None:
    best = dspy.BestOfN(dspy.Predict(fakes.Paint), N=2, reward_fn=lambda inputs, answer: 1.0, threshold=1.0)
    made = compile(fakes.task(program=best, dev=20), fakes.painter(), replace(fakes.SMALL, candidates=8, demos=0),
                   run=tmp_path / "r")  # fmt: skip
    assert "never called" not in made.verdict


class Counting(dspy.Module):
    """A program that remembers what it did."""

    def __init__(self) -> None:
        super().__init__()
        self.paint, self.ran, self.limits = dspy.ChainOfThought(fakes.Paint), 0, {"most": [9]}

    def forward(self, text: str) -> Any:
        self.ran += 1
        self.paint.predict.demos = [*self.paint.predict.demos, dspy.Example(text=text, colour="red")]
        return self.paint(text=text)


def test_a_program_that_changes_while_it_runs(tmp_path: Path) -> None:
    engine = fakes.painter()
    plain = engine._script
    engine._script = lambda request: "[[ ## reasoning ## ]]\nso\n\n" + str(plain(request))  # type: ignore[operator]
    made = compile(fakes.task(program=Counting()), engine, replace(fakes.SMALL, candidates=3), run=tmp_path / "r")
    said = "running the program changes it (ran, paint.predict.demos), so its answers may depend on the order"
    assert said in made.verdict


@pytest.mark.parametrize(
    "program",
    [
        dspy.Predict(fakes.Paint),
        dspy.ReAct(fakes.Paint, tools=[len], max_iters=2),
        dspy.BestOfN(dspy.Predict(fakes.Paint), N=2, reward_fn=lambda inputs, answer: 0.0, threshold=1.0),
        dspy.Refine(dspy.Predict(fakes.Paint), N=2, reward_fn=lambda inputs, answer: 0.0, threshold=1.0),
    ],
)
def test_modules_of_dspy_do_not_change_while_they_run(program: dspy.Module) -> None:
    fresh = program.deepcopy()

    def answer(request: Any) -> str:
        told = {"next_thought": "t", "next_tool_name": "finish", "next_tool_args": "{}", "discussion": "d"}
        return answer_to(request, {**told, "colour": "red", "reasoning": "r", "advice": "{}"})

    with dspy.context(lm=LM(ScriptedEngine(answer), Session())):
        program(text="thing number 1")
    assert changed(fresh, program) == ()


def test_a_model_that_fails_half_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Retry, "wait", lambda self, attempt, asked, key: None)  # it would fail again
    engine = fakes.painter()
    plain = engine._script

    def failing(request: Any) -> Any:
        if random.Random(str(request.messages)).random() < 0.5:
            raise dspy.lm15.ServerError("overloaded")
        return plain(request)  # type: ignore[operator]

    engine._script = failing
    made = compile(fakes.task(dev=120), engine, fakes.SMALL, run=tmp_path / "r")
    assert made.evidence is not None
    assert made.evidence.gain is not None
    assert made.evidence.gain.n < 36  # what could not be asked counts for nothing
    assert made.evidence.gain.n > 4
    assert "evaluations could not be scored and count for nothing" in made.verdict


def test_a_budget_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected a dstill.Budget"):
        compile(fakes.task(), fakes.painter(), budget={"calls": 3}, run=tmp_path / "r")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"task": "triage"}, "expected a dstill.Task"),
        ({"optimizer": "rase"}, "'rase'.*zero-shot, k-shot, bootstrap, race, dspy:NAME"),
        ({"optimizer": "dspy:MIPRO3"}, "no optimizer of that name; it has: .*MIPROv2"),
        ({"optimizer": 3}, "optimizer=3"),
        ({"optimizer": Dspy("MIPROv2", {"candidats": 3})}, "takes no option candidats; it takes: .*num_candidates"),
        ({"lm": "no-such-model"}, "'no-such-model' is not known.*embedded"),
        ({"run": ""}, "expected a name or a path"),
        ({"run": 3}, "run=3: expected a name or a path"),
        ({"seed": "one"}, "seed='one': expected a whole number"),
        ({"seed": True}, "seed=True: expected a whole number"),
        ({"seed": 2**64}, "of 64 bits at the most"),
    ],
)
def test_bad_arguments(tmp_path: Path, arguments: dict[str, Any], words: str) -> None:
    values = {"task": fakes.task(), "lm": fakes.painter(), "run": tmp_path / "r"} | arguments
    with pytest.raises(BadInput, match=words):
        compile(**values)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("race", {"candidate": 3}, "takes no option 'candidate'; it takes: candidates"),
        ("race", {"candidates": "many"}, "candidates='many'"),
        ("race", {"confirm": 1.5}, "between 0 and 1"),
        ("race", {"width": 0}, "at least 1"),
        ("race", {"teacher": "openai/gpt"}, "expected 'lm' or 'prompt_lm'"),
        ("k-shot", {"k": 0}, "at least 1"),
    ],
)
def test_bad_options(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        optimizer_of(name, **options)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (Race, {"candidates": "many"}, r"Race\(candidates='many'\): expected a value like 64"),
        (Race, {"candidates": 2.5}, r"Race\(candidates=2.5\)"),
        (Race, {"confirm": None}, r"Race\(confirm=None\): expected a value like 0.3"),
        (FewShot, {"k": True}, r"FewShot\(k=True\): expected a value like 4"),
        (Bootstrap, {"pool": [3]}, r"Bootstrap\(pool=\[3\]\)"),
        (Dspy, {"name": "COPRO", "options": 3}, "expected a dictionary"),
        (Dspy, {"name": "COPRO", "confirm": 5}, r"Dspy\(confirm=5\): expected a number between 0 and 1"),
    ],
)
def test_options_of_a_wrong_type_in_values(kind: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        kind(**options)
    assert Race(confirm=0.5, demos=0).demos == 0


def test_a_model_that_is_never_readable_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no prediction on any of .* in no form"):
        compile(fakes.task(), ScriptedEngine(lambda r: "???"), fakes.SMALL, run=tmp_path / "r")
    assert not (tmp_path / "r" / "manifest.json").exists()


def test_bootstrapping_from_a_model_that_nobody_can_read(tmp_path: Path) -> None:
    mumbling = ScriptedEngine(lambda request: "mmh", repeatable=True)
    with pytest.raises(BadInput, match="answers in no form that the adapter can read"):
        compile(fakes.task(), mumbling, "bootstrap", run=tmp_path / "r")
