"""Inputs without any text, and rows that a student crashes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
import tiny_models
from dstill.distill import Collect, Filter, Gate, Gold, Pair, TrainCausal, TrainEncoder, TrainMatcher, student_engine
from dstill.distill.stages.common import base_folder, open_base
from dstill.distill.stages.encoder_loss import represent
from dstill.distill.students import engines, read_student
from dstill.distill.students.encoding import encode
from dstill.distill.students.formats import Format
from dstill.runtime import LM, Journal, ScriptedEngine, Session
from students import FAST, state


def rows(texts: list[str]) -> tuple[Pair, ...]:
    return tuple(Pair(str(n), {"text": t}, {"colour": fakes.COLOURS[n % 2]}) for n, t in enumerate(texts))


@pytest.mark.parametrize("stage", [TrainEncoder(FAST), TrainEncoder(FAST, pooling="mean"), TrainMatcher(FAST)])
def test_an_empty_text_is_learned_and_classified_as_any_other(tmp_path: Path, stage: Any) -> None:
    given = state(tmp_path, "embedded:encoder")  # its tokenizer has no signs of its own
    after = stage.run(replace(given, pairs={"self": rows(["", " \n ", *(f"thing {n}" for n in range(10))])}))
    engine: Any = student_engine(after.students["self"])
    sure = {engine.confidence({"text": text}) for text in ("", "  ", "\n\t")}
    assert len(sure) == 1
    assert engine.confidence({"text": "thing 3"}) == engine.confidence({"text": "  thing 3\n"})
    for text in ("", "  "):
        with dspy.context(lm=LM(engine)):
            assert dspy.Predict(fakes.Paint)(text=text).colour in fakes.COLOURS
    engine.close()


class Hinted(dspy.Module):
    """A predictor that is given a hint with every other text."""

    def __init__(self) -> None:
        super().__init__()
        self.p = dspy.Predict("text, hint -> colour: Literal['red', 'green', 'blue', 'black']")

    def forward(self, text: str) -> Any:
        more = {"hint": "look"} if int(text.split()[-1]) % 2 else {}
        return self.p(text=text, **more)


@pytest.mark.filterwarnings("ignore:Not all input fields")
@pytest.mark.parametrize("stage", [TrainEncoder(FAST), TrainMatcher(FAST), TrainCausal(training=FAST)])
def test_an_input_that_is_not_always_given_is_an_empty_text(tmp_path: Path, bases: dict[str, str], stage: Any) -> None:
    base = bases["causal" if isinstance(stage, TrainCausal) else "encoder"]
    given = Collect(keep="all").run(state(tmp_path, base, fakes.task(program=Hinted())))
    assert {"hint" in row.inputs for row in given.pairs["p"]} == {True, False}
    after = Gate().run(stage.run(given))
    assert "count as 0" not in after.gates["p"].why
    assert after.gates["p"].power is not None and after.gates["p"].power["n"] == 60
    engine: Any = student_engine(after.students["p"])
    assert engine.confidence({"text": "thing 3"}) == engine.confidence({"text": "thing 3", "hint": " "})
    engine.close()


def test_a_predictor_that_writes_nothing_but_reasoning_has_a_student(tmp_path: Path, bases: dict[str, str]) -> None:
    rows = tuple(Pair(str(n), {"text": f"thing {n}"}, {"reasoning": f"so it is {n}"}) for n in range(12))
    task = fakes.task(program=dspy.Predict("text -> reasoning"))
    for objective in ("label", "answer", "step-by-step"):
        given = state(tmp_path / objective, bases["causal"], task, ScriptedEngine(lambda r: "", repeatable=True))
        kept = Filter().run(replace(given, pairs={"self": rows}))
        assert kept.rows == 12
        after = TrainCausal(objective, training=FAST).run(kept)  # type: ignore[arg-type]
        assert read_student(after.students["self"]).facts["format"]["outputs"] == ["reasoning"]


def test_an_encoder_whose_positions_begin_after_padding_reads_so_many_tokens_less(tmp_path: Path) -> None:
    import transformers as tf

    size = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = tf.RobertaConfig(vocab_size=400, max_position_embeddings=42, pad_token_id=1, **size)
    base = str(tiny_models.save(tf.RobertaModel(config), tmp_path / "roberta", template=None))
    given = state(tmp_path, base)
    long = replace(given, pairs={"self": rows([f"thing number {n} " * 30 for n in range(12)])})
    after = TrainEncoder(FAST, pooling="mean").run(long)
    assert read_student(after.students["self"]).facts["max_length"] == 42 - (0 + 1)  # its tokenizer's padding is 0
    engine: Any = student_engine(after.students["self"])
    assert 0 < engine.confidence({"text": "thing number 5 " * 50}) <= 1
    engine.close()


def test_every_tokenizer_makes_a_token_of_nothing(bases: dict[str, str]) -> None:
    for base in ("embedded:encoder", bases["encoder"]):
        tokenizer = open_base("", base, seed=0)[1]
        one, two = (encode(tokenizer, {"a": text, "b": text}, ("a", "b"), 16) for text in ("", " \t"))
        assert one == two and len(one["input_ids"]) >= 1 and sum(one["attention_mask"]) >= 1
    assert represent(str(base_folder("embedded:encoder")), [[""], ["  "]]).isfinite().all()


def test_a_writing_students_prompt_is_the_same_in_training_and_in_the_program() -> None:
    form = Format.of(fakes.Paint, outputs=["colour"], style="inputs", adapter="chat")
    assert form.prompt({"text": "  thing 3\n\n"}) == form.prompt({"text": "thing 3"})


def test_a_row_that_a_student_crashes_on_counts_against_it_and_takes_no_other_along(
    tmp_path: Path, bases: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = replace(Gold().run(state(tmp_path, bases["encoder"])), margin=0.9)
    trained = TrainEncoder(training=FAST).run(given)
    whole = Gate().run(trained)
    plain = engines.collate

    def brittle(rows: Any, tokenizer: Any, **more: Any) -> Any:
        if encode(tokenizer, {"text": "thing number 47"}, ("text",), 99) in rows:
            raise IndexError("no 47")
        return plain(rows, tokenizer, **more)

    monkeypatch.setattr(engines, "collate", brittle)
    after = Gate().run(replace(trained, session=Session(Journal(tmp_path / "other"))))
    assert "; 1 of 60 examples count as 0: student:self failed: IndexError: no 47" in after.gates["self"].why
    for gated in (whole, after):
        assert gated.gates["self"].power is not None and gated.gates["self"].power["n"] == 60
    assert after.effects[-1].dev["with self"] <= whole.effects[-1].dev["with self"]


@pytest.mark.parametrize("stage", [TrainEncoder(FAST, pooling="mean"), TrainMatcher(FAST)])
def test_a_long_input_is_padded_to_no_more_than_the_base_reads(tmp_path: Path, stage: Any) -> None:
    """Widths are multiples of 16, and 100 is none."""
    import transformers as tf

    size = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = tf.BertModel(tf.BertConfig(vocab_size=400, max_position_embeddings=100, **size))
    base = str(tiny_models.save(model, tmp_path / "bert", template=None))
    after = stage.run(replace(state(tmp_path, base), pairs={"self": rows([f"thing {n} " * 60 for n in range(12)])}))
    assert read_student(after.students["self"]).facts["max_length"] == 100
    engine: Any = student_engine(after.students["self"])
    assert 0 < engine.confidence({"text": "thing 5 " * 60}) <= 1
    engine.close()


def test_a_teachers_representation_is_of_all_inputs() -> None:
    folder, names = str(base_folder("embedded:encoder")), ("a", "b", "c")
    one, two = represent(folder, [["x", "y", "red"], ["x", "y", "blue"]], names)
    assert float((one - two).abs().max()) > 1e-3
