"""Fields that may have no value: JSON says so with a word of its own, chat with the text ``None``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import dspy
import fakes
import pytest
from dstill.distill import Pair, TrainEncoder, TrainMatcher
from dstill.distill.students import read_student
from dstill.distill.students.formats import Format, written
from dstill.distill.students.labelled import label_answer
from dstill.runtime.wire import request_of_chat
from students import FAST, state


@pytest.mark.parametrize("style", ["chat", "bare", "program"])
@pytest.mark.parametrize(("kind", "held"), [(str | None, None), (str | None, "x"), (int | None, None), (str, "None")])
def test_what_a_generative_student_says_of_no_value_is_null_in_json(style: Any, kind: Any, held: Any) -> None:
    signature = dspy.Signature("a -> b, c").with_updated_fields("b", type_=kind)
    form = Format.of(signature, outputs=["b", "c"], style=style, adapter="json")
    answer = form.answer({"b": written(signature.output_fields["b"], held), "c": "None"})
    assert dspy.JSONAdapter().parse(signature, form.translate(answer)) == {"b": held, "c": "None"}


@pytest.mark.parametrize(
    ("optional", "label", "said"), [(True, "None", None), (True, "x", "x"), (False, "None", "None")]
)
def test_what_a_classifier_says_of_no_value_is_null_in_json(optional: bool, label: str, said: str | None) -> None:
    signature = dspy.Signature("a -> reasoning, b").with_updated_fields("b", type_=str | None if optional else str)
    facts = {"order": ["reasoning", "b"], "field": "b", "optional": optional}
    for adapter, expected in ((dspy.JSONAdapter(), said), (dspy.ChatAdapter(), label)):
        request = request_of_chat("m", adapter.format(signature, [], {"a": "x"}), dspy.lm15.Config())
        assert adapter.parse(signature, label_answer(request, facts, label)) == {"reasoning": "", "b": expected}


@pytest.mark.parametrize("stage", [TrainEncoder(FAST), TrainMatcher(FAST)])
def test_a_classifier_knows_whether_its_field_may_have_no_value(tmp_path: Path, stage: Any) -> None:
    told = []
    for kind in (str | None, str, Literal["None", "red"]):
        signature = dspy.Signature("text -> colour").with_updated_fields("colour", type_=kind)
        given = state(tmp_path / str(len(told)), "embedded:encoder", fakes.task(program=dspy.Predict(signature)))
        rows = tuple(Pair(str(n), {"text": f"t {n}"}, {"colour": ("None", "red")[n % 2]}) for n in range(8))
        after = stage.run(replace(given, pairs={"self": rows}))
        told.append(read_student(after.students["self"]).facts["optional"])
    assert told == [True, False, False]
