"""Students: engines under their contract, which answer the predictor that they were trained for."""

from __future__ import annotations

import json
import math
import shutil
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import dspy
import fakes
import pydantic
import pytest
from contracts import EngineContract
from dspy.lm15 import Config
from dstill.distill import (
    DistillState,
    Gold,
    TrainCausal,
    TrainEncoder,
    TrainMatcher,
    student_engine,
)
from dstill.distill.students import read_student
from dstill.distill.students.formats import Format
from dstill.eval.rows import failure_of
from dstill.runtime import (
    LM,
    BadInput,
    Budget,
    Cost,
    Damaged,
    Engine,
    Journal,
    Session,
)
from dstill.runtime.engines.local.batcher import in_one_go
from dstill.runtime.engines.local.grammar import Automaton
from dstill.runtime.wire import request_of_chat
from students import FAST, state


class StudentContract(EngineContract):
    """Students are engines that answer one predictor's prompt; subclasses say how one is trained."""

    @pytest.fixture(autouse=True)
    def _bases(self, bases: dict[str, str]) -> None:
        self.bases = bases

    def trained(self, folder: Path) -> DistillState:
        raise NotImplementedError

    def make(self, folder: Path) -> Engine:
        made = folder / "run" / "students" / "self"
        return student_engine(made if made.exists() else self.trained(folder).students["self"])

    def asked(self, **config: Any) -> Any:
        chat = dspy.ChatAdapter().format(fakes.Paint, [], {"text": "thing number 7"})
        return request_of_chat("m", chat, self.config(**config))

    def test_its_calls_are_free(self, tmp_path: Path) -> None:
        engine, session = self.make(tmp_path), Session(budget=Budget(calls=0, tokens=0))
        LM(engine, session).door.complete(self.asked())
        assert session.ledger.spent == Cost()
        engine.close()


class TestCausalStudent(StudentContract):
    def trained(self, folder: Path) -> DistillState:
        return TrainCausal(training=FAST).run(Gold().run(state(folder, self.bases["causal"])))


class TestEncoderStudent(StudentContract):
    def trained(self, folder: Path) -> DistillState:
        return TrainEncoder(training=FAST).run(Gold().run(state(folder, self.bases["encoder"])))


class TestMeanStudent(StudentContract):
    def trained(self, folder: Path) -> DistillState:
        stage = TrainEncoder(training=FAST, pooling="mean")
        return stage.run(Gold().run(state(folder, self.bases["encoder"])))


@pytest.mark.parametrize("text", ["thing number 3", "a thing"])
def test_a_classifier_reads_the_same_inputs_under_either_adapter(
    tmp_path: Path, bases: dict[str, str], text: str
) -> None:
    after = TrainEncoder(training=FAST).run(Gold().run(state(tmp_path, bases["encoder"])))
    engine = student_engine(after.students["self"])
    asked: list[Any] = []
    classify = engine._classify  # type: ignore[attr-defined]
    engine._batcher._serve = in_one_go(lambda batch: asked.extend(batch) or classify(batch))  # type: ignore[attr-defined]
    answers = []
    for adapter in (dspy.ChatAdapter(), dspy.JSONAdapter()):
        with dspy.context(lm=LM(engine), adapter=adapter):
            answers.append(dspy.Predict(fakes.Paint)(text=text).colour)
    assert answers[0] == answers[1]
    assert asked == [{"text": text}] * 2


def test_a_sentence_encoder_is_read_by_the_mean_of_its_tokens(tmp_path: Path, bases: dict[str, str]) -> None:
    import torch
    from dstill.distill.students.pooling import MeanClassifier, with_saved_head
    from transformers import AutoModel, AutoModelForSequenceClassification

    base = tmp_path / "sentences"
    shutil.copytree(bases["encoder"], base)
    (base / "1_Pooling").mkdir()
    (base / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    after = TrainEncoder(training=FAST).run(Gold().run(state(tmp_path, str(base))))
    student = after.students["self"]
    assert json.loads((student / "student.json").read_text())["facts"]["pooling"] == "mean"

    model = with_saved_head(AutoModel.from_pretrained(student), student)
    ids, mask = torch.tensor([[5, 6, 7, 8, 0, 0]]), torch.tensor([[1, 1, 1, 1, 0, 0]])
    hidden = model.encoder(input_ids=ids[:, :4]).last_hidden_state[0]
    expected = model.head(hidden.mean(0))
    assert torch.allclose(model(ids, mask).logits[0], expected, atol=1e-5)
    (student / "head.safetensors").write_bytes(b"")
    with pytest.raises(Damaged, match="head.safetensors"):
        with_saved_head(AutoModel.from_pretrained(student), student)

    plain = TrainEncoder(training=FAST).run(Gold().run(state(tmp_path / "plain", bases["encoder"])))
    assert AutoModelForSequenceClassification.from_pretrained(plain.students["self"]).config.num_labels == 4
    assert not isinstance(model.encoder, MeanClassifier)


@pytest.mark.parametrize("style", ["chat", "bare"])
@pytest.mark.parametrize("adapter", ["chat", "json"])
def test_a_students_answer_is_read_by_the_programs_adapter(style: Any, adapter: str) -> None:
    signature = dspy.Signature("a, b -> reasoning, label: Literal['x', 'y']", custom_types={"Literal": Literal})
    form = Format.of(signature, outputs=["label"], style=style, adapter=adapter)
    outputs = {"reasoning": "long story", "label": "x"}
    answer = form.answer(outputs)
    assert "long story" not in answer
    reader = dspy.ChatAdapter() if adapter == "chat" else dspy.JSONAdapter()
    assert reader.parse(signature, form.translate(answer)) == {"reasoning": "", "label": "x"}
    prompt = form.prompt({"a": "one\ntwo", "b": "three"})
    assert "one\ntwo" in prompt[-1]["content"]
    assert "## reasoning" not in str(prompt)
    assert Format.load(json.loads(json.dumps(form.dump()))) == form


class Shade(Enum):
    PALE = "pale"
    DARK = "very dark"


class Spot(pydantic.BaseModel):
    shade: Shade
    size: int | None


@pytest.mark.parametrize(
    ("kind", "held", "other"),
    [
        (Shade, Shade.DARK, "dark"),
        (date, date(2024, 2, 29), "29 February"),
        (str | None, "blue", None),
        (Literal["x", "y"] | None, "y", "z"),
        (Literal["x", "y"] | None, None, "null"),
        (int | str, "many", None),
        (int | None, 12, "twelve"),
        (int | None, None, "null"),
        (Shade | None, Shade.PALE, '"pale"'),
        (bool | None, True, "true"),
        (datetime, datetime(2024, 2, 29, 12, 30), None),
        (list[Shade], [Shade.PALE, Shade.DARK], "[pale]"),
        (Spot, Spot(shade=Shade.PALE, size=None), "pale"),
        (Any, "whatever", None),
    ],
)
@pytest.mark.parametrize("adapter", ["chat", "json"])
def test_a_student_can_write_every_type_as_dspy_writes_and_reads_it(
    kind: Any, held: Any, other: str | None, adapter: str
) -> None:
    signature = dspy.Signature("a -> b").with_updated_fields("b", type_=kind)
    form = Format.of(signature, outputs=["b"], style="chat", adapter=adapter)
    written = dspy.ChatAdapter().format_assistant_message_content(signature, {"b": held})
    text = written.removeprefix("[[ ## b ## ]]\n").partition("\n\n[[ ##")[0]
    answer = form.answer({"b": text})
    automaton = Automaton(form.grammar())
    assert automaton.accepts(answer.encode())
    assert other is None or not automaton.accepts(form.answer({"b": other}).encode())
    reader = dspy.ChatAdapter() if adapter == "chat" else dspy.JSONAdapter()
    assert reader.parse(signature, form.translate(answer)) == {"b": held}


def test_the_chat_style_is_chat_adapters_own_prompt() -> None:
    signature = fakes.Paint
    form = Format.of(signature, outputs=["colour"], style="chat", adapter="chat")
    assert form.prompt({"text": "t"}) == dspy.ChatAdapter().format(signature, [], {"text": "t"})
    expected = dspy.ChatAdapter().format_assistant_message_content(signature, {"colour": "red"})
    assert form.answer({"colour": "red"}) == expected


def test_a_classifiers_answer_does_not_depend_on_its_batch(tmp_path: Path, bases: dict[str, str]) -> None:
    after = TrainEncoder(training=FAST).run(Gold().run(state(tmp_path, bases["encoder"])))
    engine: Any = student_engine(after.students["self"])
    rows = [{"text": f"thing number {n} " + "and more " * (n % 23)} for n in range(70)]
    together = [result[2] for result in engine._classify(rows)]
    for index in (0, 13, 40, 69):
        assert engine._classify([rows[index]])[0][2] == together[index]
    assert engine.probabilities(rows[:3]).sum(dim=1).tolist() == pytest.approx([1, 1, 1])


def test_a_generative_student_says_the_same_with_scores_and_without(tmp_path: Path, bases: dict[str, str]) -> None:
    after = TrainCausal(training=FAST).run(Gold().run(state(tmp_path, bases["causal"])))
    engine: Any = student_engine(after.students["self"])
    chat = dspy.ChatAdapter().format(fakes.Paint, [], {"text": "thing number 3"})
    plain, scored = (request_of_chat("m", chat, Config(max_tokens=24, logprobs=most)) for most in (None, 1))
    said, (rated, sure), (told, also) = engine.complete(plain), engine.answer(plain), engine.answer(scored)
    assert said.text == rated.text == told.text
    assert said.usage == rated.usage == told.usage
    assert said.logprobs is None
    assert rated.logprobs is None
    assert sure == also == pytest.approx(min(math.exp(one.logprob) for one in told.logprobs))
    assert 0 < sure < 1
    assert all(len(one.top) == 1 for one in told.logprobs)


@pytest.mark.parametrize(
    ("base", "stage"), [("encoder", TrainEncoder), ("encoder", TrainMatcher), ("causal", TrainCausal)]
)
def test_loading_is_no_part_of_a_calls_time(
    tmp_path: Path, bases: dict[str, str], base: str, stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stage(training=FAST).run(Gold().run(state(tmp_path, bases[base]))).students["self"]
    engine: Any = student_engine(folder)
    before: list[bool] = []
    complete = engine.complete
    inner = getattr(engine, "_engine", engine)

    def asked(request: Any) -> Any:
        before.append(bool({"loaded", "_loaded"} & vars(inner).keys()))
        return complete(request)

    monkeypatch.setattr(engine, "complete", asked)
    with dspy.context(lm=LM(engine, Session(Journal(tmp_path / "k")))):
        dspy.Predict(fakes.Paint)(text="thing number 3")
    assert before[0]


def test_a_student_asked_by_the_wrong_predictor_says_so(tmp_path: Path, bases: dict[str, str]) -> None:
    after = TrainEncoder(training=FAST).run(Gold().run(state(tmp_path, bases["encoder"])))
    lm = LM(student_engine(after.students["self"]))
    with (
        dspy.context(lm=lm),
        pytest.raises(Exception, match="needs the fields text, and the prompt has question") as found,
    ):
        dspy.Predict("question -> colour")(question="?")
    assert failure_of(found.value).kind == "program"  # so that the gate counts it as 0


def test_folders_that_are_no_students(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no student"):
        read_student(tmp_path)
    (tmp_path / "student.json").write_text('{"format": 9, "kind": "causal", "key": "", "facts": {}, "training": {}}')
    with pytest.raises(Damaged, match="format 9"):
        student_engine(tmp_path)
