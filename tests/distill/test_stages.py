"""Stages under their contract, and what training them may not get wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dspy
import fakes
import pytest
from contracts import StageContract
from dstill.distill import (
    Collect,
    DistillState,
    Gate,
    Gold,
    Lora,
    Pair,
    Stage,
    TrainCausal,
    TrainEncoder,
    Training,
    distill,
)
from dstill.distill.students.formats import Format
from dstill.runtime import (
    BadInput,
    ModelUnavailable,
)
from students import FAST, reasoner, reasoning_task, state, teacher


class TestTrainCausal(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        return TrainCausal(training=FAST), Collect().run(state(tmp_path, bases["causal"]))


class TestTrainCausalLora(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        return TrainCausal(training=FAST, lora=Lora(rank=4)), Collect().run(state(tmp_path, bases["causal"]))


class TestTrainStepByStep(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        given = state(tmp_path, bases["causal"], reasoning_task(), reasoner())
        return TrainCausal(objective="step-by-step", training=FAST), Collect().run(given)


class TestTrainEncoder(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        return TrainEncoder(training=FAST), Gold().run(state(tmp_path, bases["encoder"]))


class TestGate(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        given = replace(Gold().run(state(tmp_path, bases["encoder"])), margin=0.9)
        return Gate(), TrainEncoder(training=FAST).run(given)


def test_names_that_differ_only_in_signs_have_folders_of_their_own(tmp_path: Path) -> None:
    given = state(tmp_path)
    folders = [given.student_folder(name) for name in ("a b", "a-b", "a/b", "d['a b']")]
    assert len(set(folders)) == 4 and folders[1].name == "a-b"
    assert all(folder.parent == given.folder / "students" for folder in folders)


def test_new_layers_can_learn_faster(tmp_path: Path) -> None:
    import torch
    from dstill.distill.training import train

    def moved(**how: float) -> list[float]:
        model = torch.nn.ModuleDict({name: torch.nn.Linear(2, 1, bias=False) for name in ("old", "new")})
        before = [p.detach().clone() for p in model.parameters()]
        x = torch.ones(1, 2)
        loss = lambda rows: (model["old"](x) + model["new"](x) - 9).square().sum()  # noqa: E731
        settings = Training(epochs=1, batch=1, weight_decay=0.0, warmup=0.0, **how)
        train(model, [1], loss, settings, tmp_path / str(how), fresh=["new.weight"])
        return [float((p.detach() - b).abs().max()) for p, b in zip(model.parameters(), before, strict=True)]

    old, new = moved(lr=1e-3, new=10.0)
    assert new == pytest.approx(10 * old, rel=1e-3)
    assert moved(lr=1e-3)[1] == pytest.approx(old, rel=1e-3)
    with pytest.raises(BadInput, match="new=0"):
        Training(new=0)


def test_step_by_step_weighs_its_two_tasks(tmp_path: Path, bases: dict[str, str]) -> None:
    """alpha 1 learns labels alone, a small one hardly any: the rationale's loss falls only where it counts."""
    import torch
    from dstill.distill.stages.train_causal import RATIONALE
    from dstill.distill.students.coding import prompt_tokens
    from dstill.distill.training.writers import Causal, Coded
    from transformers import AutoModelForCausalLM, AutoTokenizer

    losses = {}
    for alpha in (0.05, 1.0):
        given = Collect().run(state(tmp_path / str(alpha), bases["causal"], reasoning_task(), reasoner()))
        given = replace(given, pairs={"predict": given.pairs["predict"][:8]})
        how = Training(epochs=8, batch=4, lr=3e-3)
        after = TrainCausal(objective="step-by-step", alpha=alpha, training=how).run(given)
        folder = after.students["predict"]
        model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        signature = given.signature("predict")
        why = Format.of(signature, outputs=["reasoning"], style="chat", adapter="chat", task=RATIONALE)
        row = given.pairs["predict"][0]
        answer = tokenizer(why.answer(row.outputs))["input_ids"]
        coded = Coded(tuple(prompt_tokens(tokenizer, why.prompt(row.inputs))), tuple(answer))
        with torch.no_grad():
            said = Causal(model).say(model, [coded])
            losses[alpha] = float(torch.nn.functional.cross_entropy(said.logits, said.targets))
    assert losses[0.05] < 0.7 * losses[1.0]


def test_bases_that_cannot_be_trained(tmp_path: Path, bases: dict[str, str]) -> None:
    task = fakes.task()
    made = teacher(tmp_path, task)
    with pytest.raises(ModelUnavailable, match="nowhere"):
        distill(made, task, str(tmp_path / "nowhere"), run=tmp_path / "a")
    with pytest.raises(ModelUnavailable, match="SequenceClassification"):
        distill(made, task, bases["causal"], "labels", run=tmp_path / "b")
    with pytest.raises(BadInput, match="no config.json"):
        (tmp_path / "empty").mkdir()
        distill(made, task, str(tmp_path / "empty"), run=tmp_path / "c")


def test_labels_that_make_no_classifier(tmp_path: Path, bases: dict[str, str]) -> None:
    given = state(tmp_path, bases["encoder"])
    one = tuple(Pair(str(n), {"text": str(n)}, {"colour": "red"}) for n in range(9))
    with pytest.raises(BadInput, match=r"all 9 rows have one label \(red\)"):
        TrainEncoder().run(replace(given, pairs={"self": one}))
    odd = (Pair("a", {"text": "a"}, {"colour": "pink"}), Pair("b", {"text": "b"}, {"colour": "red"}))
    with pytest.raises(BadInput, match="does not allow: pink"):
        TrainEncoder().run(replace(given, pairs={"self": odd}))
    few = tuple(Pair(str(n), {"text": str(n)}, {"colour": fakes.COLOURS[n % 2]}) for n in range(3))
    after = TrainEncoder(training=FAST).run(replace(given, pairs={"self": few}))  # the signature declares its labels
    assert "self: 3 rows, 4 labels" in after.effects[-1].notes[0]
    free = fakes.task(program=dspy.Predict("text -> colour"))
    loose = replace(state(tmp_path / "x", bases["encoder"], free), pairs={"self": odd})
    with pytest.raises(BadInput, match="2 different values in 2 rows"):
        TrainEncoder().run(loose)


def test_rows_longer_than_the_student_reads(tmp_path: Path, bases: dict[str, str]) -> None:
    given = state(tmp_path, bases["causal"])
    rows = [Pair(str(n), {"text": "fox " * (900 if n < 3 else 1)}, {"colour": "red"}) for n in range(12)]
    after = TrainCausal(training=FAST).run(replace(given, pairs={"self": tuple(rows)}))
    assert "3 rows left out as longer than 1024 tokens (the longest has " in after.effects[-1].notes[0]
    with pytest.raises(BadInput, match="all 3 rows are longer than the 1024 tokens"):
        TrainCausal(training=FAST).run(replace(given, pairs={"self": tuple(rows[:3])}, folder=tmp_path / "other"))
