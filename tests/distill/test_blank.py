"""Inputs without any text, and rows that a student crashes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
from dstill.distill import Gate, Gold, Pair, TrainEncoder, TrainMatcher, student_engine
from dstill.distill.stages.common import base_folder, open_base
from dstill.distill.stages.encoder_loss import represent
from dstill.distill.students import engines
from dstill.distill.students.encoding import encode
from dstill.distill.students.formats import Format
from dstill.runtime import LM, Journal, Session
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
