"""Prompts and weights in turn: each step on top of the last, resumed, measured, and loaded back."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
from dstill.distill import (
    AlternatedProgram,
    Alternation,
    Cascade,
    Collect,
    DistillState,
    Gate,
    Recipe,
    TrainCausal,
    TrainEncoder,
    Training,
    alternate,
    load_distilled,
    recipe_of,
)
from dstill.distill.stages.teaching import teacher_prompts
from dstill.distill.state import Gated
from dstill.distill.students.formats import Format
from dstill.eval import evaluate_on
from dstill.optimizers import Candidate, CompiledProgram, Race, load_program
from dstill.optimizers.candidate import demos_from
from dstill.runtime import LM, BadInput, Budget, ModelUnavailable, ScriptedEngine, Session
from dstill.runtime.fields import render_fields
from dstill.runtime.rundir import verify

import dstill
from dstill.replaying import replay_run

RACE = Race(candidates=4, width=3, block=8, demos=2, pool=4, instructions=1)
HOW = Alternation(optimizer=RACE, recipe=recipe_of("prompted", epochs=8, batch=8, lr=3e-3), margin=0.1)


def sounds() -> dstill.Task:
    return dstill.task("fakes:sounds")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> AlternatedProgram:
    folder = tmp_path_factory.mktemp("alternate")
    session = Session(dstill.Journal(folder / "journal"))
    return alternate(
        sounds(), fakes.listener(), "embedded:small", HOW, seed=1, run=dstill.Where(folder / "run", session)
    )


def told(folder: Path) -> Candidate:
    return Candidate.load(json.loads((folder / "program.json").read_text())["dstill"]["candidate"])


def test_each_step_stands_on_the_last(done: AlternatedProgram) -> None:
    assert done.folder is not None
    assert [step.folder for step in done.steps] == ["1-prompts", "2-weights", "3-prompts"]
    assert done.steps[1].shipped == ("self",)
    first, second = told(done.folder / "1-prompts"), told(done.folder / "2-weights")
    assert first == second  # the student keeps the prompt that it was trained with
    assert first.predictors["self"].demos
    trials = [json.loads(line) for line in (done.folder / "3-prompts" / "trials.jsonl").read_text().splitlines()]
    assert Candidate.load(trials[0]["candidate"]) == first  # and that is what the next search begins with
    assert done.students == {"self": done.folder / "2-weights" / "students" / "self"}
    assert done.gain is not None
    assert done.gain.difference.low > 0
    assert "a gain of +" in done.verdict
    for folder in (done.folder, *(done.folder / step.folder for step in done.steps)):
        assert verify(folder) == []


def test_the_program_runs_on_its_student_alone_and_comes_back(done: AlternatedProgram) -> None:
    assert done.folder is not None
    report = evaluate_on(sounds(), done)
    assert report.score is not None
    assert report.score.value > 0.9
    silent = fakes.listener()
    again = load_distilled(done.folder, sounds().program, lm=silent)
    assert again(text="loud red noise 999").colour == done(text="loud red noise 999").colour == "red"
    assert silent.calls == 0
    assert again.candidate == done.candidate
    with pytest.raises(BadInput, match="whose predictor self had a model of its own, student:self: set it on"):
        load_program(done.folder / "3-prompts", sounds().program, lm=silent)  # it would have lost the student
    step = load_program(done.folder / "3-prompts", done.program, lm=silent)
    assert step(text="calm blue sea 999").colour == "blue"
    assert silent.calls == 0
    found = replay_run(done.folder)
    assert found.different == []
    assert {"program.json", "report.json", "1-prompts/trials.jsonl", "2-weights/report.json"} <= set(found.same)


def test_it_goes_on_where_it_was_and_pays_for_nothing_twice(done: AlternatedProgram, tmp_path: Path) -> None:
    assert done.folder is not None
    place, engine = tmp_path / "run", fakes.listener()
    shutil.copytree(done.folder, place)
    shutil.rmtree(place / "3-prompts")
    for name in ("manifest.json", "program.json", "report.json"):
        (place / name).unlink()
    stamp = (place / "2-weights" / "students" / "self" / "model.safetensors").stat().st_mtime_ns
    session = Session(dstill.Journal(done.folder.parent / "journal"))
    made = alternate(sounds(), engine, "embedded:small", HOW, seed=1, run=dstill.Where(place, session))
    assert engine.calls == 0
    assert (place / "2-weights" / "students" / "self" / "model.safetensors").stat().st_mtime_ns == stamp
    for name in ("program.json", "report.json", "3-prompts/program.json", "3-prompts/trials.jsonl"):
        assert (place / name).read_bytes() == (done.folder / name).read_bytes()
    assert made.verdict == done.verdict


def test_weights_that_are_worse_do_not_go_on(tmp_path: Path) -> None:
    how = Alternation(optimizer=RACE, recipe=recipe_of("prompted", epochs=1, batch=64, lr=1e-7), margin=0.01)
    made = alternate(sounds(), fakes.listener(), "embedded:small", how, seed=1, run=tmp_path / "run")
    assert [step.folder for step in made.steps] == ["1-prompts", "2-weights"]
    assert not made.students
    assert "held back" in made.steps[1].verdict
    assert made.candidate == told(tmp_path / "run" / "1-prompts")
    assert made(text="loud red noise 999").colour == "red"


def test_a_budget_is_for_all_steps_together_and_each_goes_on_with_what_the_last_one_reached(tmp_path: Path) -> None:
    engine = fakes.listener()
    made = alternate(sounds(), engine, "embedded:small", HOW, Budget(calls=360), seed=1, run=tmp_path / "run")
    assert engine.calls <= 360
    assert made.stopped is not None
    assert made.stopped.startswith("step 1: the budget of 96 calls")
    assert [step.folder for step in made.steps][:2] == ["1-prompts", "2-weights"]
    assert made.folder is not None
    assert replay_run(made.folder).different == []  # what later steps paid for leads the first one no further
    assert made(text="loud red noise 999").colour in fakes.COLOURS
    small = alternate(sounds(), engine, "embedded:small", HOW, Budget(calls=10), run=tmp_path / "its own" / "small")
    assert small.gain is None
    assert "its gain was not measured" in small.verdict


def test_who_is_held_back_later_keeps_the_student_there_is(
    tmp_path: Path, bases: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["dstill.distill.alternate"]
    plain, asked = module.distill, []

    def once(*words: Any, **more: Any) -> Any:
        made = plain(*words, **more)
        asked.append(made)
        held = {"self": Gated(False, "inferior this time")}
        return made if len(asked) == 1 else replace(made, students={}, gates=held, program=words[0].program)

    monkeypatch.setattr(module, "distill", once)
    how = replace(HOW, strategy="w -> p -> w", recipe=recipe_of("prompted", epochs=8, batch=8, lr=3e-3))
    made = alternate(sounds(), fakes.listener(), "embedded:small", how, seed=1, run=tmp_path / "run")
    assert [step.shipped for step in made.steps] == [("self",), (), ()]
    assert made.students == {"self": tmp_path / "run" / "1-weights" / "students" / "self"}
    assert made.gates["self"].why.startswith("not inferior")
    assert made.gates["self"].shipped


@pytest.mark.parametrize("strategy", ["", "p -> p", "p, w", "p -> w -> x", "w -> w", 3])
def test_a_strategy_that_is_none(strategy: Any) -> None:
    with pytest.raises(BadInput, match=r"strategy .*: expected p \(prompts\) and w \(weights\) in turn"):
        Alternation(strategy)


def test_where_nobody_reads_prompts_any_more_none_are_searched(tmp_path: Path, bases: dict[str, str]) -> None:
    how = Alternation(optimizer=RACE, recipe=recipe_of("labels", epochs=6, lr=3e-3), margin=0.1)
    made = alternate(sounds(), fakes.listener(), bases["encoder"], how, seed=1, run=tmp_path / "run")
    assert list(made.students) == ["self"]
    assert [step.folder for step in made.steps] == ["1-prompts", "2-weights"]


def test_what_cannot_be_alternated(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="margin=1: expected a share of the score between 0 and 1"):
        Alternation(margin=1)
    with pytest.raises(BadInput, match="margin='1pt': expected a share of the score"):
        Alternation(margin="1pt")  # type: ignore[arg-type]
    silent = fakes.listener()
    with pytest.raises(ModelUnavailable, match="embedded:encoder cannot be trained as a CausalLM: it is of another"):
        alternate(sounds(), silent, "embedded:encoder", run=tmp_path / "run")
    assert silent.calls == 0
    assert not (tmp_path / "run").exists()
    shared = dstill.Where(tmp_path / "run", storage="sqlite:///study.db")
    with pytest.raises(BadInput, match="storage='sqlite:///study.db': only compile is shared"):
        alternate(sounds(), fakes.listener(), "embedded:small", run=shared)
    both = Recipe("mine", (Collect(), TrainEncoder(), Gate(), Cascade()))
    with pytest.raises(BadInput, match="recipe mine has a cascade"):
        alternate(sounds(), fakes.listener(), "embedded:small", Alternation(recipe=both), run=tmp_path / "run")
    with pytest.raises(BadInput, match=r"alternate\(task='triage'\): expected a dstill.Task"):
        alternate("triage", fakes.listener(), "embedded:small")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="style = 'program' with objective = 'label'"):
        TrainCausal(style="program", objective="label")


@pytest.mark.parametrize("adapter", ["chat", "json"])
@pytest.mark.parametrize("pooled", [False, True])
def test_a_student_is_trained_on_the_very_prompt_it_will_be_asked(tmp_path: Path, adapter: str, pooled: bool) -> None:
    given = replace(sounds(), adapter=adapter)
    demos = tuple(demos_from(given.train[:6], ["text", "colour"]))
    kept = Candidate.of(given.program).with_state(
        "self", instructions="Listen.", demos=demos[:3], pool=demos if pooled else ()
    )
    heard: dict[str, Any] = {}

    def script(request: Any) -> str:
        text = request.messages[-1].text.split("[[ ## text ## ]]\n")[-1].split("\n")[0]
        heard[text] = request
        colour = "red" if "loud" in text else "blue"
        return json.dumps({"colour": colour}) if adapter == "json" else render_fields({"colour": colour})

    lm = LM(ScriptedEngine(script, repeatable=True))
    compiled = CompiledProgram("c", given.name, kept.apply(given.program), lm, adapter, kept)
    state = DistillState(given.compile_view, compiled, "embedded:small", Session(), tmp_path / "run")
    after = Collect().run(state)
    rows = after.pairs["self"]
    assert len(rows) == 40
    for row, prompt in zip(rows, teacher_prompts(after, "self", rows), strict=True):
        request = heard[row.inputs["text"]]
        asked = [("system", str(request.system)), *((m.role, m.text) for m in request.messages)]
        assert [(m["role"], m["content"]) for m in prompt] == asked
        assert row.inputs["text"] not in str(prompt[:-1])
    form = Format.of(given.program.signature, outputs=["colour"], style="program", adapter=adapter)
    reader = dspy.ChatAdapter() if adapter == "chat" else dspy.JSONAdapter()
    expected = reader.format_assistant_message_content(given.program.signature, {"colour": "red"})
    assert form.answer({"colour": "red"}) == expected
    assert form.translate(expected) == expected


def test_what_cannot_ask_without_a_prompt_of_its_own(tmp_path: Path) -> None:
    how = Recipe("mine", (Collect(), TrainCausal(style="program", training=Training(epochs=1)), Cascade()))
    compiled = dstill.compile(sounds(), fakes.listener(), "zero-shot", run=tmp_path / "teacher")
    with pytest.raises(BadInput, match="recipe mine: style = 'program' with a cascade"):
        dstill.distill(compiled, sounds(), "embedded:small", how, run=tmp_path / "small")
