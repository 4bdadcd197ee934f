"""Prompts by chat templates that do not take every message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dspy
import pytest
import tiny_models
from dspy import lm15
from dstill.runtime import LM
from dstill.runtime.engines.local.causal import CausalEngine
from dstill.runtime.engines.local.prompt import Prompter, rendered, without_system
from dstill.runtime.wire import request_of_chat

GEMMA = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}<{{ m['role'] }}>{{ m['content'] }}<|end|>{% endfor %}"
    "<|assistant|>"
)


def tokenizer(template: str) -> Any:
    return tiny_models.tokenizer(template=template)


def test_what_the_system_says_stands_before_the_first_user_message() -> None:
    chat = [("system", "Be brief."), ("user", "hi"), ("assistant", "ho"), ("user", "hm")]
    text = rendered(tokenizer(GEMMA), chat, "m")
    assert text == "<user>Be brief.\n\nhi<|end|><assistant>ho<|end|><user>hm<|end|><|assistant|>"
    assert "<|system|>Be brief." in rendered(tokenizer(tiny_models.TEMPLATE), chat, "m")


def test_messages_without_a_system_or_a_user() -> None:
    assert without_system([("system", "a")]) == [("user", "a")]
    assert without_system([("system", ""), ("user", "b")]) == [("user", "b")]
    assert without_system([("system", "a"), ("assistant", "c"), ("user", "b")])[1] == ("user", "a\n\nb")


def test_what_a_template_refuses_all_the_same_is_told_in_its_words() -> None:
    for first in ([], [("system", "s")]):
        with pytest.raises(lm15.InvalidRequestError, match=r"template of m refuses .*user, user: Roles must alternate"):
            rendered(tokenizer(GEMMA), [*first, ("user", "a"), ("user", "b")], "m")


def test_a_prompt_of_nothing_is_refused() -> None:
    prompter = Prompter(tokenizer("{{ '' }}"), 512, "m")
    asked = request_of_chat("m", [{"role": "user", "content": "hi"}], lm15.Config())
    with pytest.raises(lm15.InvalidRequestError, match="prompt has 0 tokens: the chat template of m leaves nothing"):
        prompter.tokens(asked)


def test_dspy_asks_a_model_whose_template_knows_no_system(tmp_path: Path) -> None:
    folder = tiny_models.causal(tmp_path / "m", "llama", context=2048)
    tokenizer(GEMMA).save_pretrained(folder)
    engine = CausalEngine(folder, constrained=True)
    with dspy.context(lm=LM(engine)):
        assert isinstance(dspy.Predict("question -> sure: bool")(question="fox").sure, bool)
    engine.close()
