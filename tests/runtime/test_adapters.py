"""The faster ChatAdapter writes and reads byte for byte what DSPy's does."""

from __future__ import annotations

import enum
import random
from typing import Any, Literal

import dspy
import pydantic
import pytest
from dstill.runtime import BadInput, adapter_named
from dstill.runtime.adapters import ChatAdapter
from dstill.runtime.internals import AdapterParseError


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Place(pydantic.BaseModel):
    name: str
    lat: float


class Rich(dspy.Signature):
    """Do several things.

    Over two paragraphs."""

    text: str = dspy.InputField(desc="what to read")
    items: list[str] = dspy.InputField()
    count: int = dspy.InputField()
    place: Place = dspy.InputField()
    label: Literal["yes", "no", "may be"] = dspy.OutputField(desc="the label")
    number: int = dspy.OutputField()
    colour: Colour = dspy.OutputField()
    places: list[Place] = dspy.OutputField()
    ok: bool = dspy.OutputField()


SIGNATURES = [
    dspy.Signature("question -> answer"),
    dspy.Signature("premise, hypothesis -> reasoning, label: Literal['entailment', 'neutral']"),
    dspy.Signature("texts: list[str], k: int -> summary, score: float"),
    Rich,
    dspy.Signature("q -> a: str | None"),
    dspy.Signature("q -> a: Literal[1, 2, 3]"),
]

VALUES: dict[Any, list[Any]] = {
    str: ["plain", "", "two\nlines", "  padded  ", "[[ ## answer ## ]]", "«quoted»", "日本語", "{braces}"],
    int: [0, -3, 12345678901234567890],
    float: [0.5, 1e-9, float("inf")],
    bool: [True, False],
}


def value(chance: random.Random, annotation: Any) -> Any:
    if annotation in VALUES:
        return chance.choice(VALUES[annotation])
    if annotation == list[str]:
        return [chance.choice(VALUES[str]) for _ in range(chance.randrange(3))]
    if annotation is Place:
        return Place(name="x", lat=1.5)
    if annotation == list[Place]:
        return [Place(name="x", lat=1.5)]
    if annotation is Colour:
        return Colour.RED
    return getattr(annotation, "__args__", ["x"])[0]


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda s: s.signature)
@pytest.mark.parametrize("seed", range(12))
def test_messages_are_the_same_bytes(signature: Any, seed: int) -> None:
    chance = random.Random(seed)
    ours, theirs = ChatAdapter(), dspy.ChatAdapter()
    demos: list[Any] = []
    for _ in range(chance.randrange(6)):
        demo = {name: value(chance, field.annotation) for name, field in signature.fields.items()}
        for name in list(demo):
            if chance.random() < 0.15:
                demo.pop(name) if chance.random() < 0.5 else demo.update({name: None})
        demos.append(dspy.Example(**demo) if chance.random() < 0.5 else demo)
    inputs = {name: value(chance, field.annotation) for name, field in signature.input_fields.items()}
    if chance.random() < 0.2:
        inputs.popitem()
    for _ in range(2):  # the second time from the caches
        assert ours.format(signature, demos, inputs) == theirs.format(signature, demos, inputs)


COMPLETIONS = [
    "[[ ## reasoning ## ]]\nbecause\n\n[[ ## label ## ]]\nneutral\n\n[[ ## completed ## ]]",
    "[[ ## reasoning ## ]] same line\n[[ ## label ## ]] 'entailment'",
    "[[ ## label ## ]]\nentailment\n[[ ## label ## ]]\nneutral\n[[ ## reasoning ## ]]\nr",
    "chatter first\n  [[ ## reasoning ## ]]\n  a\n\n b [[ ## no header ## ]] \n[[ ## label ## ]]\n neutral \n"
    "[[ ## completed ## ]] bye",
    "[[ ## reasoning ## ]]\nr\n[[ ## label ## ]]\nmaybe",
    "[[ ## label ## ]]\nneutral",
    "",
    "nothing of the kind",
    "[[ ## reasoning ## ]]\n\n[[ ## label ## ]]\nneutral",
]


@pytest.mark.parametrize("completion", COMPLETIONS)
def test_answers_are_read_the_same(completion: str) -> None:
    def read(adapter: Any) -> Any:
        try:
            return adapter.parse(SIGNATURES[1], completion)
        except AdapterParseError as error:
            return str(error)

    assert read(ChatAdapter()) == read(dspy.ChatAdapter())


def test_typed_answers_are_read_the_same() -> None:
    text = (
        "[[ ## label ## ]]\nmay be\n[[ ## number ## ]]\n 7 \n[[ ## colour ## ]]\nblue\n"
        '[[ ## places ## ]]\n[{"name": "x", "lat": 1}]\n[[ ## ok ## ]]\nTrue\n[[ ## completed ## ]]'
    )
    assert ChatAdapter().parse(Rich, text) == dspy.ChatAdapter().parse(Rich, text)


def test_a_signature_changed_in_place_is_rendered_anew() -> None:
    adapter = ChatAdapter()
    signature = dspy.Signature("q -> a", "First.")
    before = adapter.format(signature, [], {"q": "x"})
    signature.instructions = "Second."
    signature.model_fields["a"].json_schema_extra["desc"] = "new words"
    after = adapter.format(signature, [], {"q": "x"})
    assert before != after == dspy.ChatAdapter().format(signature, [], {"q": "x"})


def test_a_demo_changed_in_place_is_rendered_anew() -> None:
    adapter, demo = ChatAdapter(), dspy.Example(q="x", a="y")
    signature = dspy.Signature("q -> a")
    adapter.format(signature, [demo], {"q": "x"})
    demo["a"] = "z"
    assert adapter.format(signature, [demo], {"q": "x"})[2]["content"].startswith("[[ ## a ## ]]\nz")


def test_images_and_histories_are_left_to_dspy() -> None:
    signature = dspy.Signature("picture: dspy.Image, question -> answer")
    inputs = {"picture": dspy.Image(url="http://example.com/x.png"), "question": "?"}
    assert ChatAdapter().format(signature, [], inputs) == dspy.ChatAdapter().format(signature, [], inputs)
    signature = dspy.Signature("history: dspy.History, question -> answer")
    inputs = {"history": dspy.History(messages=[{"question": "a", "answer": "b"}]), "question": "?"}
    assert ChatAdapter().format(signature, [], inputs) == dspy.ChatAdapter().format(signature, [], inputs)


def test_an_unknown_adapter_is_refused_with_what_there_is() -> None:
    with pytest.raises(BadInput, match="'yaml'.*chat, json, xml"):
        adapter_named("yaml")
