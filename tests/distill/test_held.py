"""What a generative student learns is what it may answer: rows that its decoder would not let it write are left out."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
from dstill.distill import Pair, TrainCausal
from dstill.distill.stages.common import open_tokenizer
from dstill.distill.students.formats import Format, written
from dstill.distill.students.held import barrier
from dstill.runtime import BadInput
from dstill.runtime.engines.local.grammar import Automaton
from students import FAST, state


def form(kind: Any, style: Any = "chat", **more: Any) -> Format:
    signature = dspy.Signature("text -> out, note").with_updated_fields("out", type_=kind)
    return Format.of(signature, outputs=["out", "note"], style=style, adapter="chat", **more)


@pytest.mark.parametrize("style", ["chat", "inputs", "bare", "program"])
@pytest.mark.parametrize("said", ["[[Red]] ", "[[1, 2], [3]]", "ends [", "two\nlines", "a\n\nnoted: so", "x\n note: y"])
def test_texts_without_headings_may_be_written_and_come_back(style: Any, said: str) -> None:
    made = form(str, style)
    answer = made.answer({"out": said, "note": said})
    assert Automaton(made.grammar()).accepts(answer.encode())
    if style != "program":
        assert made.read(answer) == {"out": said.strip(), "note": said.strip()}


@pytest.mark.parametrize("style", ["chat", "inputs", "bare"])
@pytest.mark.parametrize("said", ["a\u2028b", "a\x0cb", "a\r\nb", "a\x85[[ b"])
def test_signs_that_only_some_take_for_line_breaks_stay(style: Any, said: str) -> None:
    signature = dspy.Signature("text -> out, note")
    made = Format.of(signature, outputs=["out", "note"], style=style, adapter="json")
    answer = made.answer({"out": said, "note": said})
    assert Automaton(made.grammar()).accepts(answer.encode())
    assert dspy.JSONAdapter().parse(signature, made.translate(answer)) == {"out": said, "note": said}


def test_a_text_with_the_heading_of_a_later_field_may_not() -> None:
    heading = "a\n[[ ## note ## ]]\nb"
    for style, said in (("chat", heading), ("bare", heading), ("bare", "a\nnote: b")):
        made = form(str, style)
        assert not Automaton(made.grammar()).accepts(made.answer({"out": said, "note": "n"}).encode())
    signature = dspy.Signature("text -> out, größe")
    made = Format.of(signature, outputs=["out", "größe"], style="bare", adapter="chat")
    assert Automaton(made.grammar()).accepts(made.answer({"out": "a\nb", "größe": "c"}).encode())
    assert not Automaton(made.grammar()).accepts(made.answer({"out": "a\ngröße: b", "größe": "c"}).encode())


@pytest.mark.parametrize(
    ("kind", "good", "bad", "told"),
    [
        (float, 0.5, math.inf, "out = 'inf'"),
        (int, 10**15, 10**20, "out = '100000000000000000000'"),
        (str, "[[x]]", "see [[ ## y", "out = 'see [[ ## y'"),
        (dict[str, Any], {"a": {"b": 1}}, {"a": {"b": [1, {"c": None}]}}, 'out = \'{"a": {"b": [1, {"c": null}]}}\''),
    ],
)
def test_the_field_and_the_value_are_told(kind: Any, good: Any, bad: Any, told: str, bases: dict[str, str]) -> None:
    made = form(kind)
    bar = barrier(open_tokenizer(bases["causal"]), made)
    texts = [written(dspy.OutputField(), value) for value in (good, bad)]
    assert [bar({"out": text, "note": "n"}) for text in texts] == [None, told]


def test_no_answer_is_barred_where_the_decoder_holds_none(bases: dict[str, str]) -> None:
    tokenizer = open_tokenizer(bases["causal"])
    signature = dspy.Signature("text -> out: float")
    free = Format.of(signature, outputs=["out"], style="program", adapter="json")
    assert barrier(tokenizer, free)({"out": "inf"}) is None
    held = Format.of(signature, outputs=["out"], style="chat", adapter="chat")
    assert barrier(object(), held)({"out": "inf"}) is None
    assert barrier(tokenizer, held)({"out": "inf"}) == "out = 'inf'"


def test_such_rows_are_left_out_and_told(tmp_path: Path, bases: dict[str, str]) -> None:
    given = state(tmp_path, bases["causal"], fakes.task(program=dspy.Predict("text -> colour")))
    rows = tuple(Pair(str(n), {"text": "x"}, {"colour": "[[ ## a" if n < 2 else "[[red]]"}) for n in range(6))
    after = TrainCausal(training=FAST).run(replace(given, pairs={"self": rows}))
    note = after.effects[-1].notes[0]
    assert "self: 4 rows" in note
    assert "2 rows left out whose answers the types of its fields do not have (colour = '[[ ## a')" in note
    with pytest.raises(BadInput, match=r"could give none of the answers: .* and colour = '\[\[ ## a' is no"):
        TrainCausal().run(replace(given, pairs={"self": rows[:2]}, folder=tmp_path / "x"))
