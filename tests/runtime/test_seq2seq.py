"""Encoder-decoders whose positions are learned: there are so many, and none beyond."""

from __future__ import annotations

import pytest
import tiny_models
from asking import ask_together
from dspy.lm15 import Config, Request
from dstill.runtime.engines.local.seq2seq import Seq2SeqEngine
from dstill.runtime.wire import request_of_chat


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Seq2SeqEngine:
    return Seq2SeqEngine(tiny_models.bart(tmp_path_factory.mktemp("bart"), context=100))


def request(text: str, most: int | None) -> Request:
    return request_of_chat("m", [{"role": "user", "content": text}], Config(max_tokens=most))


@pytest.mark.parametrize("most", [100, 101, 200, None])
def test_an_answer_is_cut_where_the_positions_end(engine: Seq2SeqEngine, most: int | None) -> None:
    reply = engine.complete(request("hi", most))
    assert (reply.usage.output_tokens, reply.finish_reason) == (100, "length")


def test_a_long_answer_does_not_spoil_its_company(engine: Seq2SeqEngine) -> None:
    asked = [request("hi", 4), request("hi", 200), request("he", 4)]
    assert [reply.text for reply in ask_together(engine, asked)] == [engine.complete(one).text for one in asked]


@pytest.mark.parametrize("length", [95, 96, 97, 99])
def test_a_prompt_is_not_padded_beyond_the_positions(engine: Seq2SeqEngine, length: int) -> None:
    import torch

    model, _, prompter = engine.loaded
    asked = request("x" * (length - len(prompter.tokens(request("", 3)))), 3)
    ids = prompter.tokens(asked)
    assert len(ids) == length
    expected = model.generate(torch.tensor([ids]), max_new_tokens=3, do_sample=False, num_beams=1)[0, 1:]
    assert engine.complete(asked).text == engine.loaded[1].decode(expected, skip_special_tokens=True)
