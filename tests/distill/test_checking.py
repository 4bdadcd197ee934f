"""Recipes that cannot work are refused before a teacher is asked for anything."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
from dstill.distill import (
    Alternation,
    Cascade,
    Collect,
    Gate,
    Ladder,
    TrainCausal,
    TrainEncoder,
    TrainMatcher,
    alternate,
    distill,
)
from dstill.distill.checking import check_trainable
from dstill.distill.recipes import recipe_of
from dstill.optimizers import Where, compile
from dstill.runtime import LM, BadInput, ModelUnavailable, ScriptedEngine
from dstill.runtime.fields import input_fields, render_fields
from safetensors.torch import load_file, save_file
from students import FAST, with_other_tokens


def refused(tmp_path: Path, base: str, stages: list[Any], words: str, adapter: str = "chat") -> None:
    task, engine = replace(fakes.task(), adapter=adapter), fakes.painter()
    made = compile(task, engine, "zero-shot", run=tmp_path / "teacher")
    before = engine.calls
    with pytest.raises((BadInput, ModelUnavailable), match=words):
        distill(made, task, base, stages, run=tmp_path / "small")
    assert engine.calls == before
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ([Collect(), TrainCausal(kd="forward", teacher="./nope"), Gate()], "there is no model folder ./nope"),
        ([Collect(), TrainCausal(kd="forward"), Gate()], "painter is no local model"),
        ([Collect(), TrainCausal(hidden="mse"), Gate()], "painter is no local model"),
        ([Collect(), TrainCausal(kd="stored"), Gate()], r"kd = 'stored' with collect\(logprobs = 0\)"),
        ([Collect(), TrainCausal(style="program"), Gate(), Cascade()], "style = 'program' with a cascade"),
        ([Collect(), TrainCausal(objective="step-by-step"), Gate()], "no predictor of the program has a reasoning"),
    ],
)
def test_generative_recipes(tmp_path: Path, bases: dict[str, str], stages: Any, words: str) -> None:
    refused(tmp_path, bases["causal"], stages, words)


@pytest.mark.parametrize(
    ("stage", "adapter", "words"),
    [
        (TrainCausal(), "xml", "a student cannot answer under the 'xml' adapter; expected chat or json"),
        (TrainEncoder(), "xml", "a student cannot answer under the 'xml' adapter"),
        (TrainCausal(kd="stored"), "json", "kd = 'stored' with style = 'chat' under the json adapter"),
    ],
)
def test_adapters_that_students_do_not_write(
    tmp_path: Path, bases: dict[str, str], stage: Any, adapter: str, words: str
) -> None:
    base = bases["encoder" if isinstance(stage, TrainEncoder) else "causal"]
    refused(tmp_path, base, [Collect(logprobs=3), stage, Gate()], words, adapter)


@pytest.mark.parametrize("stage", [TrainEncoder(), TrainMatcher()])
def test_what_no_classifier_can_answer(tmp_path: Path, bases: dict[str, str], stage: Any) -> None:
    task, engine = fakes.task(program=dspy.Predict("text -> colour, size")), fakes.painter()
    made = compile(task, engine, "zero-shot", run=tmp_path / "teacher")
    before = engine.calls
    with pytest.raises(BadInput, match="predictor self has the output fields colour, size: a classifier answers one"):
        distill(made, task, bases["encoder"], [Collect(), stage, Gate()], run=tmp_path / "small")
    assert engine.calls == before and not (tmp_path / "small").exists()
    check_trainable(recipe_of("ladder"), bases["encoder"], task.program, LM(engine), "chat")  # the next kind answers it


def test_a_teacher_that_changed_is_another_configuration(tmp_path: Path, bases: dict[str, str]) -> None:
    teacher, task = shutil.copytree(bases["causal"], tmp_path / "inside"), fakes.task()
    made = compile(task, fakes.painter(), "zero-shot", run=tmp_path / "teacher")
    stages = [Collect(keep="all"), TrainCausal(training=FAST, kd="forward", teacher=str(teacher))]
    first = distill(made, task, bases["causal"], stages, run=tmp_path / "small")
    weights = load_file(teacher / "model.safetensors")
    save_file({name: tensor * 1.5 for name, tensor in weights.items()}, teacher / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadInput, match=r"another configuration \(models\..*inside"):
        distill(made, task, bases["causal"], stages, run=tmp_path / "small")
    second = distill(made, task, bases["causal"], stages, run=Where(tmp_path / "small", replace=True))
    assert first.students.keys() == second.students.keys()


def test_a_history_is_refused(tmp_path: Path, bases: dict[str, str]) -> None:
    signature = dspy.Signature("text -> colour").insert(0, "before", dspy.InputField(), dspy.History)
    with pytest.raises(BadInput, match=r"the input before of self is a dspy.History, .* give it the turns as a text"):
        check_trainable(recipe_of("sft"), bases["causal"], dspy.Predict(signature), LM(fakes.painter()), "chat")


def test_teachers_that_cannot_teach(tmp_path: Path, bases: dict[str, str]) -> None:
    for teacher, words in (
        (
            with_other_tokens(bases["causal"], tmp_path / "other"),
            r"tokenizers of .* differ: of '.*', .*lacks it.*kd = 'none'",
        ),
        (bases["encoder"], "cannot teach as a CausalLM: it is of another kind$"),
    ):
        refused(tmp_path, bases["causal"], [Collect(), TrainCausal(kd="jsd", teacher=teacher), Gate()], words)


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (TrainEncoder(rationale="words"), "no predictor of the program has a reasoning"),
        (TrainEncoder(hidden="mse", teacher="./nope"), "there is no model folder ./nope"),
    ],
)
def test_classifiers_that_want_what_is_not_there(tmp_path: Path, bases: dict[str, str], stage: Any, words: str) -> None:
    refused(tmp_path, bases["encoder"], [Collect(), stage, Gate()], words)


def _cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])


BROKEN: list[tuple[Callable[[Path], Any], str]] = [
    (lambda folder: (folder / "config.json").write_text("{"), "config.json cannot be read"),
    (lambda folder: (folder / "config.json").write_text("[]"), "config.json holds .*expected a model's configuration"),
    (lambda folder: (folder / "config.json").write_text("{}"), "cannot be trained as a"),
    (lambda folder: (folder / "tokenizer.json").write_text("{"), "cannot be trained as a"),
    (_cut, "cannot be trained as a"),
]


@pytest.mark.parametrize("stage", [TrainEncoder(), TrainMatcher(), Ladder(rungs=()), TrainCausal()])
@pytest.mark.parametrize(("spoil", "words"), BROKEN)
def test_bases_that_are_broken(
    tmp_path: Path, bases: dict[str, str], stage: Any, spoil: Callable[[Path], Any], words: str
) -> None:
    base = tmp_path / "base"
    shutil.copytree(bases["causal" if isinstance(stage, TrainCausal) else "encoder"], base)
    spoil(base)
    refused(tmp_path, str(base), [Collect(), stage], words)


def test_a_base_of_another_kind(tmp_path: Path, bases: dict[str, str]) -> None:
    refused(tmp_path, bases["causal"], [Collect(), TrainEncoder(), Gate()], "it is of another kind .the recipes sft")


def test_an_alternation_is_checked_too(tmp_path: Path, bases: dict[str, str]) -> None:
    engine = fakes.painter()
    how = Alternation("w", recipe="step-by-step")
    with pytest.raises(BadInput, match="step-by-step needs rationales"):
        alternate(fakes.task(), engine, bases["causal"], how, run=tmp_path / "run")
    assert engine.calls == 0


def test_step_by_step_trains_the_label_alone_where_a_predictor_has_no_reasoning(
    tmp_path: Path, bases: dict[str, str]
) -> None:
    class Two(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.think, self.paint = dspy.ChainOfThought("text -> kind"), dspy.Predict("text, kind -> colour")

        def forward(self, text: str) -> Any:
            return self.paint(text=text, kind=self.think(text=text).kind)

    def script(request: Any) -> str:
        fields = input_fields(request)
        if "kind" in fields:
            return render_fields({"colour": fakes.truth(fields["text"])})
        return render_fields({"reasoning": "so", "kind": "odd"})

    task = fakes.task(train=16, dev=10, program=Two())
    made = compile(task, ScriptedEngine(script, repeatable=True), "zero-shot", run=tmp_path / "teacher")
    stages = [Collect(), TrainCausal(objective="step-by-step", training=FAST)]
    small = distill(made, task, bases["causal"], stages, run=tmp_path / "small")
    notes = dict(zip(("think", "paint"), small.effects[-1].notes, strict=True))
    assert "labels alone, since it has no reasoning field" in notes["paint"]
    assert "labels alone" not in notes["think"]
    assert "| recipe | label |" in (tmp_path / "small" / "students" / "paint" / "README.md").read_text()
