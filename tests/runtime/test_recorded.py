"""The recorded engine answers from its file and from nowhere else."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import dspy
import pytest
from dstill.runtime import LM, BadInput, CassetteMiss, RecordedEngine, derive, derive_int, lm_for
from dstill.runtime.adapters import ChatAdapter
from dstill.runtime.fields import input_fields, render_fields
from dstill.runtime.internals import AdapterParseError
from dstill.runtime.wire import request_of_chat


def write(path: Path, rows: list[Any]) -> Path:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


ROWS = [
    {"inputs": {"premise": "A dog runs.", "hypothesis": "It moves."}, "outputs": {"reasoning": "r", "label": "yes"}},
    {"inputs": {"premise": "A\ncat", "hypothesis": " sleeps "}, "outputs": {"reasoning": "s", "label": "no"}},
]


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz"])
def test_a_program_is_answered_by_its_inputs_whatever_its_prompt(tmp_path: Path, name: str) -> None:
    lm = lm_for(f"recorded:{write(tmp_path / name, ROWS)}")
    for instructions in ("One.", "Another instruction."):
        program = dspy.ChainOfThought(dspy.Signature("premise, hypothesis -> label", instructions))
        with dspy.context(lm=lm, adapter=ChatAdapter()):
            assert program(premise="A dog runs.", hypothesis="It moves.").label == "yes"
            assert program(premise="A\ncat", hypothesis="sleeps").reasoning == "s"
    with dspy.context(lm=lm), pytest.raises(CassetteMiss, match="A bird"):
        program(premise="A bird", hypothesis="flies")


@pytest.mark.parametrize("adapter", [ChatAdapter(), dspy.JSONAdapter()])
def test_either_adapter_is_answered_in_its_own_form(tmp_path: Path, adapter: Any) -> None:
    lm = lm_for(f"recorded:{write(tmp_path / 't.jsonl', ROWS)}")
    with dspy.context(lm=lm, adapter=adapter):
        made = dspy.ChainOfThought("premise, hypothesis -> label")(premise="A dog runs.", hypothesis="It moves.")
    assert (made.reasoning, made.label) == ("r", "yes")


def test_a_recorded_answer_that_does_not_fit_is_a_failure_and_no_miss(tmp_path: Path) -> None:
    """ChatAdapter asks once more for JSON; it is the same question, and has the same answer."""
    lm = lm_for(f"recorded:{write(tmp_path / 't.jsonl', ROWS)}")
    program = dspy.Predict("premise, hypothesis -> label: int")
    with dspy.context(lm=lm, adapter=ChatAdapter()), pytest.raises(AdapterParseError):
        program(premise="A dog runs.", hypothesis="It moves.")


def test_a_whole_prompt_is_answered_word_for_word(tmp_path: Path) -> None:
    chat = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    lm = LM(RecordedEngine(write(tmp_path / "t.jsonl", [{"messages": chat, "text": "hello"}])))
    with dspy.context(disable_history=True):
        assert lm(messages=chat) == ["hello"]
        with pytest.raises(CassetteMiss):
            lm(messages=[{"role": "user", "content": "u"}])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{broken", "line 3: not JSON"),
        ('{"inputs": {}}', "line 3: expected an object"),
        ("[1]", "line 3: expected an object"),
        ('{"messages": [{"role": "nobody"}], "text": "x"}', "line 3: messages that are not role and content"),
        (json.dumps({**ROWS[0], "outputs": {"label": "no"}}), "line 3: answers an earlier line's request differently"),
    ],
)
def test_a_broken_transcript_is_named_by_its_line(tmp_path: Path, line: str, words: str) -> None:
    path = write(tmp_path / "t.jsonl", ROWS)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(BadInput, match=words):
        RecordedEngine(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="none.jsonl"):
        lm_for(f"recorded:{tmp_path / 'none.jsonl'}")


def test_fields_come_back_from_a_rendered_prompt() -> None:
    signature = dspy.Signature("text, note -> label")
    inputs = {"text": "two\n\nlines [[ ## note ## ]] inside", "note": "Respond with the corresponding output fields"}
    chat = dspy.ChatAdapter().format(signature, [], inputs)
    assert input_fields(request_of_chat("m", chat, dspy.lm15.Config())) == inputs
    answer = render_fields({"label": "x", "n": 3, "flag": True})
    parsed = dspy.ChatAdapter().parse(dspy.Signature("q -> label, n: int, flag: bool"), answer)
    assert parsed == {"label": "x", "n": 3, "flag": True}


def test_a_heading_of_no_field_is_part_of_a_text() -> None:
    """A trajectory of ReAct is written with headings of its own."""
    signature = dspy.Signature("question, trajectory -> answer")
    steps = "[[ ## thought_0 ## ]]\nI look\n\n[[ ## observation_0 ## ]]\nit is 42"
    inputs = {"question": "what?", "trajectory": steps}
    request = request_of_chat("m", dspy.ChatAdapter().format(signature, [], inputs), dspy.lm15.Config())
    assert input_fields(request) == inputs
    assert input_fields(request, ("question", "trajectory")) == inputs
    assert input_fields(request, ("question",))["question"].startswith("what?\n\n[[ ## trajectory ## ]]")
    bare = request_of_chat("m", [{"role": "user", "content": f"[[ ## a ## ]]\nb\n\n{steps}"}], dspy.lm15.Config())
    assert input_fields(bare) == {"a": "b", "thought_0": "I look", "observation_0": "it is 42"}


def test_streams_of_chance_are_named_and_independent() -> None:
    assert derive(0, "a").random() == derive(0, "a").random()
    assert len({derive_int(s, *p) for s in (0, 1) for p in [("a",), ("b",), ("a", 1), ("a", "1"), (1, "a")]}) == 10
    assert 0 <= derive_int(3, "x", bits=8) < 256
