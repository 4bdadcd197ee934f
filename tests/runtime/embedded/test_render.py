"""Prompts are byte for byte those of DSPy's adapters."""

from __future__ import annotations

from dataclasses import replace

import dspy
import pytest
from dstill.runtime.derive import derive
from dstill.runtime.embedded import curriculum, render
from dstill.runtime.embedded.as_dspy import as_dspy
from dstill.runtime.embedded.episode import Episode
from dstill.runtime.embedded.render import Field, Sig


def adapter(name: render.Adapter) -> dspy.ChatAdapter:
    return dspy.ChatAdapter() if name == "chat" else dspy.JSONAdapter()


def check(e: Episode) -> None:
    reference, made = adapter(e.adapter), as_dspy(e.sig)
    inputs = {f.name: e.turns[-1][f.name] for f in e.sig.inputs}
    assert e.prompt() == reference.format(made, e.demos, inputs)
    outputs = {f.name: e.turns[-1][f.name] for f in e.sig.outputs}
    answer = "".join(text for text, _ in e.answer())
    assert answer == reference.format_assistant_message_content(made, outputs)
    assert reference.parse(made, answer) == outputs


@pytest.mark.parametrize("family", curriculum.FAMILIES)
@pytest.mark.parametrize("name", ["chat", "json"])
def test_episodes_are_rendered_as_dspy_does(family: str, name: render.Adapter) -> None:
    for i in range(6):
        e = curriculum.FAMILIES[family][2](derive(0, family, i), "train", 1.0)
        if e.raw is None and e.sig.outputs[-1].name != "instructions":  # DSPy allows no field of that name
            check(replace(e, adapter=name))


def test_awkward_values_are_rendered_as_dspy_does() -> None:
    sig = Sig(
        (Field("message", desc="what"), Field("opts", "list[str]"), Field("d", "dict[str, str]")),
        (Field("reasoning"), Field("a", "Literal", "the team", ("it's", "b", "c d")), Field("l", "list[str]"),
         Field("n", "int"), Field("x", "float"), Field("y", "bool"), Field("z", "dict[str, int]")),
        "Sort.\n  - a: b\n  - c",
    )  # fmt: skip
    full = {"message": " hi\n\nyou ", "opts": ["a", 'b"é'], "d": {"k": "v"}, "reasoning": "r\ns", "a": "b", "l": [],
            "n": 3, "x": 1.5, "y": False, "z": {"q": 3}}  # fmt: skip
    for name in ("chat", "json"):
        check(Episode(sig, (full, full, full), "test", hidden=frozenset({"reasoning"}), adapter=name))


def test_a_value_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(TypeError, match="names"):
        render.format_value(Field("names"), ["a"])
