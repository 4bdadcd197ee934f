"""Knobs in a search: proposed, tried, kept in what is saved, and set in plain DSPy."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import dspy
import fakes
import pytest
from contracts import ProposerContract
from dstill.eval import Runner
from dstill.optimizers import Candidate, History, Proposer, Race, compile, load_program
from dstill.optimizers.proposers import Ground, KnobValues
from dstill.optimizers.proposers.combined import CombinedParts
from dstill.optimizers.proposers.merged import merge
from dstill.programs import Task
from dstill.runtime import LM, BadInput, ScriptedEngine
from dstill.runtime.fields import input_fields, render_fields
from dstill.runtime.rundir import verify
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution


class Book(dspy.Module):
    """Reads the first ``k`` of eight hints, the fifth of which tells the colour."""

    def __init__(self, k: int = 1) -> None:
        super().__init__()
        self.k = k
        self.answer = dspy.Predict("text, hints: list[str] -> colour")

    def forward(self, text: str) -> Any:
        return self.answer(text=text, hints=[*["none"] * 4, fakes.truth(text), *["none"] * 3][: self.k])


SPACE = {"k": IntDistribution(1, 8), "answer.temperature": FloatDistribution(0, 2)}


def reader(request: Any) -> str:
    """Right where a hint says so and the temperature is low; else on one text of three."""
    fields = input_fields(request)
    right = fakes.truth(fields["text"])
    told = right in fields["hints"] and (request.config.temperature or 0) < 1.0
    return render_fields({"colour": right if told or int(fields["text"].split()[-1]) % 3 == 0 else "grey"})


def task(**options: Any) -> Task:
    return replace(fakes.task(program=Book(), **options), knobs=SPACE)


class TestKnobValues(ProposerContract):
    def make(self, ground: Ground) -> Proposer:
        return KnobValues(ground)

    def ground(self) -> Ground:
        task = replace(fakes.task(), knobs={"temperature": FloatDistribution(0, 1)})
        lm = LM(fakes.painter())
        return Ground(task.program, task.train, Runner(lm, task.metric), lm, 0, task.knobs)

    def test_the_leaders_prompt_stays_and_the_leader_is_the_parent(self) -> None:
        ground = self.ground()
        history = self.history(ground)
        for candidate in self.make(ground).propose(history, Random(0), 4):
            assert candidate.predictors == history.trials[1].candidate.predictors
            assert history.parents(candidate, 0) == (1,)
            assert 0 <= float(candidate.knobs["temperature"] or 0) <= 1

    def test_it_asks_for_more_of_what_did_well(self) -> None:
        ground = self.ground()
        history = History().add([(ground.baseline, "declared", ())], 0)
        for number in range(1, 25):
            value = number / 25
            history = history.add([(ground.baseline.with_knobs({"temperature": value}), "knobs", (0,))], 0)
            scores = {place: float(abs(value - 0.8) < 0.15) for place in range(10)}
            history = history.change(number, scores=scores, met=10)
        found = [
            float(candidate.knobs["temperature"] or 0)
            for seed in range(10)
            for candidate in self.make(ground).propose(history, Random(seed), 4)
        ]
        assert sum(abs(value - 0.8) < 0.2 for value in found) > 0.7 * len(found)  # 0.4 by chance

    def test_few_settings_run_out_and_none_without_knobs(self) -> None:
        ground = replace(self.ground(), knobs={"temperature": CategoricalDistribution([0.0, 0.5, 1.0])})
        lone = History().add([(ground.baseline, "declared", ())], 0)
        assert len(self.make(ground).propose(lone, Random(0), 8)) == 3
        assert self.make(replace(ground, knobs={})).propose(lone, Random(0), 8) == []


def test_a_candidate_keeps_its_knobs() -> None:
    declared = Candidate.of(Book(), SPACE)
    assert declared.knobs == {"k": 1, "answer.temperature": None}
    other = declared.with_knobs({"k": 8, "answer.temperature": 0.5})
    assert other != declared
    assert Candidate.load(json.loads(json.dumps(other.dump()))) == other
    assert other.with_state("answer", instructions="Look.").knobs == other.knobs
    assert other.length == declared.length  # they are no part of the prompt
    program = Book()
    assert Candidate.of(other.apply(program), SPACE) == other
    assert declared.apply(other.apply(program)).answer.config == {}
    assert program.k == 1
    assert "@knobs" not in Candidate.of(Book()).dump()
    with pytest.raises(BadInput, match="no 'j' there"):
        declared.with_knobs({"j": 1}).apply(program)


def test_knobs_are_a_part_in_crossover_and_recombination() -> None:
    declared = Candidate.of(Book(), SPACE)
    set_otherwise, told_otherwise = declared.with_knobs({"k": 5}), declared.with_state("answer", instructions="Look.")
    for better, worse in ((set_otherwise, told_otherwise), (told_otherwise, set_otherwise)):
        child = merge(better, worse, declared)
        assert (child.knobs["k"], child.predictors["answer"].instructions) == (5, "Look.")
    made = task()
    ground = Ground(made.program, made.train, Runner(None, None), LM(fakes.painter()), 0, made.knobs)
    history = History().add([(c, "x", ()) for c in (declared, set_otherwise, told_otherwise)], 0)
    assert CombinedParts(ground).propose(history, Random(0), 4) == [child]


def test_a_better_setting_is_found_saved_and_set_in_plain_dspy(tmp_path: Path) -> None:
    race = Race(candidates=16, demos=0, instructions=0, knobs=15)
    engine = ScriptedEngine(reader, repeatable=True)
    made = compile(task(dev=100), engine, race, run=tmp_path / "r")
    assert int(made.candidate.knobs["k"] or 0) >= 5
    assert "a gain of +" in made.verdict
    assert f"k = {made.program.k}" in str(made)
    assert made(text="thing number 4").colour == fakes.truth("thing number 4")
    assert verify(tmp_path / "r") == []
    files = [(tmp_path / "r" / name).read_bytes() for name in ("program.json", "trials.jsonl", "report.json")]
    compile(task(dev=100), engine, race, run=tmp_path / "again", concurrency=1)
    assert [(tmp_path / "again" / n).read_bytes() for n in ("program.json", "trials.jsonl", "report.json")] == files
    again = load_program(tmp_path / "r", Book(), lm=engine)
    assert again.candidate == made.candidate
    assert again.program.k == made.candidate.knobs["k"]
    plain = Book()
    plain.load(tmp_path / "r" / "program.json")
    assert (
        plain.answer.config == made.program.answer.config == {"temperature": made.candidate.knobs["answer.temperature"]}
    )
    assert f"k = {made.program.k}" in made.explain()._repr_html_()


def test_a_program_with_knobs_is_not_loaded_without_the_model_that_another_predictor_had(tmp_path: Path) -> None:
    class Two(Book):
        def __init__(self) -> None:
            super().__init__()
            self.hint = dspy.Predict("text -> hint")

        def forward(self, text: str) -> Any:
            return self.answer(text=text, hints=[self.hint(text=text).hint])

    def make() -> Any:
        made = Two()
        made.hint.lm = LM(ScriptedEngine([render_fields({"hint": "-"})], name="other"))
        return made

    given = replace(fakes.task(program=make()), knobs={"answer.temperature": FloatDistribution(0, 2)})
    found = compile(given, ScriptedEngine(reader), "zero-shot", run=tmp_path / "r")
    assert json.loads((tmp_path / "r" / "program.json").read_bytes())["dstill"]["own"] == {"hint": "other"}
    with pytest.raises(BadInput, match="whose predictor hint had a model of its own, other"):
        load_program(tmp_path / "r", Two(), lm=LM(ScriptedEngine(reader)))
    assert load_program(tmp_path / "r", make(), lm=LM(ScriptedEngine(reader))).candidate == found.candidate
