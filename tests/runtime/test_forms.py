"""Forms read off prompts: what DSPy's adapters show is what they read, and a model of noise answers in it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import dspy
import pydantic
import pytest
import tiny_models
from dspy import lm15
from dstill.runtime import LM, BadInput
from dstill.runtime.engines.local.causal import CausalEngine
from dstill.runtime.engines.local.constrain import Form, Guide, Vocabulary
from dstill.runtime.engines.local.forms import asked_at, asked_form, kind_in, response_form
from dstill.runtime.engines.local.grammar import Automaton, Many, Then, either, sign, text
from dstill.runtime.models import engine_for
from dstill.runtime.wire import request_of_chat


class Size(Enum):
    small = "s"
    large = "very large"


class Item(pydantic.BaseModel):
    name: str
    count: int


class Everything(dspy.Signature):
    """Read it."""

    message: str = dspy.InputField()
    thought: str = dspy.OutputField()
    team: Literal["care", "it's (one)", 'a "b"'] = dspy.OutputField(desc="who answers")
    number: int = dspy.OutputField()
    price: float = dspy.OutputField()
    sure: bool = dspy.OutputField()
    size: Size = dspy.OutputField()
    words: list[str] = dspy.OutputField()
    item: Item = dspy.OutputField()


ANSWER: dict[str, Any] = {
    "thought": "It is [a] {guess}:\nso", "team": "it's (one)", "number": -12, "price": 2.5, "sure": True,
    "size": Size.large, "words": ["a", 'b "c"'], "item": Item(name="pen", count=3),
}  # fmt: skip
ADAPTERS = (dspy.ChatAdapter(), dspy.JSONAdapter())


def prompt(adapter: dspy.Adapter, signature: Any = Everything, **demo: Any) -> tuple[str, str, list[str]]:
    """The system text, the last message from where it asks, and what demonstrations answer."""
    demos = [dspy.Example(message="m", **demo).with_inputs("message")] if demo else []
    messages = adapter.format(signature, demos, {"message": "Respond with care"})
    last = messages[-1]["content"]
    answers = [m["content"] for m in messages if m["role"] == "assistant"]
    return messages[0]["content"], last[asked_at(last) :], answers


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_form_is_what_the_adapter_writes_itself(adapter: dspy.Adapter) -> None:
    system, last, (answer,) = prompt(adapter, **ANSWER)
    part = asked_form(system, last)
    assert part is not None
    automaton = Automaton(part)
    if isinstance(adapter, dspy.JSONAdapter):  # which shows what is no plain type over several lines
        answer = '{\n  "thought": "so",\n  "team": "care",\n  "number": 7,\n  "price": 0.5,\n  "sure": true,\n' \
            '  "size": "s",\n  "words": ["a"],\n  "item": {"name": "pen","count": 3}\n}'  # fmt: skip
    assert automaton.accepts(answer.encode())
    assert not automaton.accepts(answer.replace("it's (one)", "its").replace("care", "car").encode())
    assert not automaton.accepts(answer[:-1].encode())
    assert adapter.parse(Everything, answer)["size"] in Size


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_kinds_are_read_off_the_system_text(adapter: dspy.Adapter) -> None:
    system = prompt(adapter)[0]
    assert kind_in(system, "team") == {"literal": ["care", "it's (one)", 'a "b"']}
    assert [kind_in(system, name)["type"] for name in ("thought", "number", "price", "sure")] == [
        "text", "int", "float", "bool",
    ]  # fmt: skip
    assert kind_in(system, "size") == {"literal": ["s", "very large"]}
    assert kind_in(system, "words")["schema"] == {"type": "array", "items": {"type": "string"}}
    assert set(kind_in(system, "item")["schema"]["properties"]) == {"name", "count"}
    assert kind_in("nothing is said", "team") == {"type": "text"}


def test_a_text_that_may_be_missing_is_written_without_quotes() -> None:
    """ChatAdapter takes quotes for part of it, JSONAdapter needs them."""
    signature = dspy.Signature("message -> note: str | None")
    for adapter, answer in zip(
        ADAPTERS, ("[[ ## note ## ]]\nquite so\n\n[[ ## completed ## ]]\n", '{\n  "note": "quite so"\n}'), strict=True
    ):
        system, last, _ = prompt(adapter, signature)
        part = asked_form(system, last)
        assert part is not None
        assert Automaton(part).accepts(answer.encode())
        assert adapter.parse(signature, answer) == {"note": "quite so"}


def test_a_prompt_that_asks_for_no_fields_leaves_all_open() -> None:
    assert asked_at("Say something.") == -1
    assert asked_form("", "Say something.") is None


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("temperature", [None, 1.3])
def test_a_model_of_noise_answers_what_the_adapter_can_read(
    tmp_path: Path, adapter: dspy.Adapter, temperature: float | None
) -> None:
    engine = CausalEngine(tiny_models.causal(tmp_path / "m", "llama", context=4096), constrained=True)
    lm = LM(engine, max_tokens=200, temperature=temperature)
    short = Everything.delete("thought")
    with dspy.context(lm=lm, adapter=adapter), ThreadPoolExecutor(3) as pool:  # asked together, they share a batch
        asked = [pool.submit(copy_context().run, dspy.Predict(short), message=f"message {n}") for n in range(3)]
        for found in [each.result() for each in asked]:
            assert found.team in ANSWER["team"] or found.team in ("care", 'a "b"')
            assert isinstance(found.number, int) and isinstance(found.sure, bool) and isinstance(found.item, Item)
    loose = LM(CausalEngine(tmp_path / "m"), max_tokens=50)
    with dspy.context(lm=loose, adapter=adapter), pytest.raises(Exception, match="parse"):
        dspy.Predict(short)(message="message")
    engine.close()


@pytest.mark.parametrize("known", [tiny_models.SENTENCE, tiny_models.PROMPT])
def test_what_must_come_is_not_asked_of_the_model_and_changes_nothing(tmp_path: Path, known: str) -> None:
    """Also with a tokenizer that can write it in several ways."""
    folder = tiny_models.causal(tmp_path / "m", "llama", context=4096, text=known)
    engine = CausalEngine(folder, constrained=True)
    signature = dspy.Signature("message -> team: Literal['care', 'sales'], number: int")
    for n in range(6):
        chat = dspy.ChatAdapter().format(signature, [], {"message": f"message {n}"})
        temperature = n % 2 * 1.5
        fast, slow = (
            engine.complete(
                request_of_chat("m", chat, lm15.Config(max_tokens=120, logprobs=scores, temperature=temperature))
            )
            for scores in (None, 0)
        )
        assert fast.text == slow.text == "".join(score.token for score in slow.logprobs)
        assert fast.usage.output_tokens == slow.usage.output_tokens == len(slow.logprobs)
        assert fast.text.startswith("[[ ## team ## ]]\n") and fast.text.endswith("\n\n[[ ## completed ## ]]\n")
        assert fast.usage.input_tokens == slow.usage.input_tokens
    engine.close()


def test_jumps_end_with_a_line_or_with_the_answer(tmp_path: Path) -> None:
    engine = CausalEngine(tiny_models.causal(tmp_path / "m", "llama", context=4096))
    _, tokenizer, _ = engine.loaded
    vocabulary = Vocabulary.of(tokenizer, len(tokenizer))
    assert vocabulary is not None
    read = lambda tokens: tokenizer.decode(tokens)  # noqa: E731
    guide = Guide(Form(Then((text("team:\nca"), either(["re", "ll"]), text(" end"))), vocabulary), frozenset())
    assert read(guide.jump(None)) == "team:\n"  # not "ca", which a tokenizer may write with what follows
    assert guide.jump(None) == [] and not guide.ending
    for letter in b"car":
        guide.take(next(t for t in range(len(tokenizer)) if vocabulary.tokens(bytes([letter])) == [t]))
    assert guide.ending
    assert guide.jump(3) == []  # no room
    assert read(guide.jump(None)) == "e end"
    assert guide.stuck
    free = Guide(Form(Many(sign()), vocabulary), frozenset())
    assert free.jump(None) == [] and not free.ending
    engine.close()


def test_a_response_format_is_kept_to(tmp_path: Path) -> None:
    engine = CausalEngine(tiny_models.causal(tmp_path / "m", "llama", context=4096))
    schema = Item.model_json_schema()
    chat = [{"role": "user", "content": "an item"}]
    config = lm15.Config(max_tokens=200, response_format={"type": "json_schema", "schema": schema, "name": "item"})
    said = engine.complete(request_of_chat("m", chat, config)).text
    assert Item.model_validate_json(said).count is not None
    config = lm15.Config(max_tokens=200, response_format={"type": "json_object"})
    said = engine.complete(request_of_chat("m", chat, config)).text
    assert said.startswith("{") and said.endswith("}")
    assert Automaton(response_form({"type": "json_object"})).accepts(b'{"a": [1,2]}')
    engine.close()


def test_a_constrained_model_is_another_model_in_the_journal(tmp_path: Path) -> None:
    folder = tiny_models.causal(tmp_path / "m", "llama", context=4096)
    held, free = engine_for(f"local:{folder}", constrained=True), engine_for(f"local:{folder}")
    assert held.identity == {**free.identity, "constrained": True}
    assert engine_for("embedded").identity != engine_for("embedded", constrained=False).identity
    with pytest.raises(BadInput, match="takes no setting 'constrained'"):
        engine_for("openai/gpt-4.1-mini", constrained=True)


def test_a_form_that_a_tokenizer_cannot_write_is_refused_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T5's has neither braces nor line breaks."""
    letters = Vocabulary([None] * 5 + [bytes([letter]) for letter in range(97, 123)])
    monkeypatch.setattr(Vocabulary, "of", lambda tokenizer, size: letters)
    engine = CausalEngine(tiny_models.causal(tmp_path / "m", "llama", context=4096))
    free = lm15.Config(max_tokens=60)
    held = lm15.Config(max_tokens=60, response_format={"type": "json_object"})

    def said(config: lm15.Config) -> str | None:
        try:
            return engine.complete(request_of_chat("m", [{"role": "user", "content": "q"}], config)).text
        except lm15.UnsupportedFeatureError as error:
            return str(error)

    alone = said(free)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(said, [free, held, free, free]))
    assert "cannot hold answers to this form" in str(found[1]) and "'{}'" in str(found[1])
    assert [found[0], *found[2:]] == [alone] * 3
    assert not engine.answers_in(text("{}")) and engine.answers_in(either(["yes", "n{"]))
    engine.close()


def test_a_tokenizer_whose_bytes_are_not_known_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Vocabulary, "of", lambda tokenizer, size: None)
    engine = CausalEngine(tiny_models.causal(tmp_path / "m", "llama", context=4096), constrained=True)
    with pytest.raises(lm15.UnsupportedFeatureError, match="cannot hold answers to a form"):
        engine.complete(request_of_chat("m", [{"role": "user", "content": "q"}], lm15.Config()))
    engine.close()
