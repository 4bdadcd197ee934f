"""Classifiers whose labels come with the input: under the contracts of stages and students, and with new labels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import dspy
import fakes
import pytest
import tiny_models
import torch
from contracts import EngineContract, StageContract
from dspy import lm15
from dstill.distill import DistillState, Gold, Pair, Stage, Training, TrainMatcher, student_engine
from dstill.distill.students.matching import Matcher, read
from dstill.runtime import LM, BadInput, Damaged
from dstill.runtime.fields import literals_of
from dstill.runtime.wire import request_of_chat
from students import FAST, state


class TestTrainMatcher(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        return TrainMatcher(training=FAST, shown=3), Gold(dev=True).run(state(tmp_path, bases["encoder"]))


class TestMatcherStudent(EngineContract):
    @pytest.fixture(autouse=True)
    def _bases(self, bases: dict[str, str]) -> None:
        self.bases = bases

    def make(self, folder: Path) -> Any:
        made = folder / "run" / "students" / "self"
        if not made.exists():
            TrainMatcher(training=FAST).run(Gold().run(state(folder, self.bases["encoder"])))
        return student_engine(made)

    def asked(self, **config: Any) -> Any:
        chat = dspy.ChatAdapter().format(fakes.Paint, [], {"text": "thing number 7"})
        return request_of_chat("m", chat, self.config(**config))


def test_the_labels_are_those_of_the_prompt(tmp_path: Path, bases: dict[str, str]) -> None:
    how = Training(epochs=12, batch=8, lr=2e-3)
    given = Gold().run(state(tmp_path, bases["encoder"]))
    made: Any = student_engine(TrainMatcher(training=how).run(given).students["self"])
    lm = LM(made)
    other = dspy.Signature("text -> colour").with_updated_fields("colour", type_=Literal["mauve", "o'chre, light"])
    for adapter in (dspy.ChatAdapter(), dspy.JSONAdapter()):
        with dspy.context(lm=lm, adapter=adapter):
            assert dspy.Predict(fakes.Paint)(text="thing number 3").colour in fakes.COLOURS
            assert dspy.Predict(other)(text="thing number 3").colour in ("mauve", "o'chre, light")
    alone = made._match([(("thing number 3",), ("blue", "red"))])[0]
    rows = [((f"thing {'and more ' * (n % 9)}",), ("blue", "green", "red")[: 2 + n % 2]) for n in range(40)]
    assert made._match([*rows, (("thing number 3",), ("blue", "red"))])[-1] == alone
    assert 0 < made.confidence({"text": "thing number 3"}) <= 1


def test_labels_in_a_prompt() -> None:
    signature = dspy.Signature("a -> x, y").with_updated_fields("x", type_=Literal["p", "q r"])
    request = request_of_chat("m", dspy.ChatAdapter().format(signature, [], {"a": "1"}), lm15.Config())
    assert literals_of(request, "x") == ["p", "q r"]
    assert literals_of(request, "y") is None


def test_a_text_is_cut_and_labels_are_not(bases: dict[str, str], tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(bases["encoder"])
    one = read(tokenizer, list(range(10, 60)), [[5, 6], [7]], 32)
    assert len(one.ids) == 32
    assert [one.ids[a:b] for a, b in one.labels] == [(5, 6), (7,)]
    assert one.ids[slice(*one.text)] == tuple(range(10, 35))
    with pytest.raises(BadInput, match="40 labels take 80 of the 64 tokens"):
        read(tokenizer, [1], [[5]] * 40, 64)
    model = Matcher(AutoModel.from_pretrained(bases["encoder"])).eval()
    with torch.no_grad():
        scores = model([one, read(tokenizer, [9, 8], [[7], [5, 6], [11]], 32)])
        hidden = model.encoder(input_ids=torch.tensor([one.ids])).last_hidden_state[0]
    text, label = hidden[slice(*one.text)].mean(0), hidden[slice(*one.labels[0])].mean(0)
    expected = torch.nn.functional.cosine_similarity(text, label, dim=0) * torch.exp(torch.tensor(2.3))
    assert float(scores[0][0]) == pytest.approx(float(expected), abs=1e-3)
    assert [len(s) for s in scores] == [2, 3]
    with pytest.raises(Damaged, match="are no maps"):
        Matcher.load(model.encoder, tmp_path)


def test_labels_that_it_could_not_read_together_are_refused(tmp_path: Path, bases: dict[str, str]) -> None:
    """Training shows some of them at a time, and would not notice."""
    rows = tuple(
        Pair(str(n), {"text": f"thing {n}"}, {"colour": f"a label that is rather long and has the number {n % 40}"})
        for n in range(80)
    )
    task = fakes.task(program=dspy.Predict("text -> colour"))
    given = replace(state(tmp_path, bases["encoder"], task), pairs={"self": rows})
    with pytest.raises(BadInput, match="self: 40 labels take .* no room for a text; take train-encoder"):
        TrainMatcher(FAST, shown=3).run(given)
    assert not (tmp_path / "run" / "students").exists()


@pytest.mark.parametrize(("one", "other"), [("New York", "New_York"), ("US", "us")])
def test_labels_that_it_could_not_tell_apart_are_refused(tmp_path: Path, one: str, other: str) -> None:
    labels = (one, other, "red")
    rows = tuple(Pair(str(n), {"text": f"thing {n}"}, {"colour": labels[n % 3]}) for n in range(12))
    task = fakes.task(program=dspy.Predict("text -> colour"))
    base = tiny_models.encoder(tmp_path / "base")
    body = json.loads((base / "tokenizer.json").read_text())
    body["normalizer"] = {"type": "Lowercase"}
    (base / "tokenizer.json").write_text(json.dumps(body))
    given = replace(state(tmp_path, str(base), task), pairs={"self": rows})
    with pytest.raises(BadInput, match=f"self: the labels '{one}', '{other}' are the same tokens .* train-encoder"):
        TrainMatcher(FAST, shown=2).run(given)
    assert not (tmp_path / "run" / "students").exists()
