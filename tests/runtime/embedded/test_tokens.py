"""Text comes back from tokens as it was, and training sees the very tokens that inference sees."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from dstill.runtime.derive import derive
from dstill.runtime.embedded.curriculum import FAMILIES, episode
from dstill.runtime.embedded.episode import TEXT_WEIGHT
from dstill.runtime.embedded.phrases import PHRASES
from dstill.runtime.embedded.tokens import SPECIAL, encode_episode, save_tokenizer, token_id
from tokenizers import Tokenizer

AWKWARD = (
    " ",
    "\n\n  \t\r\n",
    " two  spaces   before words \n",
    "can't, WON'T 'sup '' it'd've",
    "1234567890 3.14 ¾ ٣",
    "naïve Ġ Ċ Ã© Größe 東京 🙂👩‍👩‍👧 e\u0301 \u200b\u00a0\ufeff",
    "\x00\x01\x7f\x80\xff",
    "[[ ## a ## ]]\n{x}\n\n[[ ## completed ## ]]\n[[ ## [[ ## ]]",
)


def back(tokenizer: Tokenizer, text: str) -> str:
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return str(tokenizer.decode(ids, skip_special_tokens=False))


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_text_survives(tokenizer: Tokenizer, text: str) -> None:
    assert back(tokenizer, text) == text


def test_any_unicode_survives(tokenizer: Tokenizer) -> None:
    rng = random.Random(0)
    for most in (0x7F, 0x7FF, 0xD7FF, sys.maxunicode):
        for _ in range(100):
            points = (rng.randint(0, most) for _ in range(20))
            text = "".join(chr(p) for p in points if not 0xD800 <= p <= 0xDFFF)  # surrogates are no text
            assert back(tokenizer, text) == text


def test_phrases_are_one_token_and_digits_stand_alone(tokenizer: Tokenizer) -> None:
    assert [len(tokenizer.encode(p).ids) for p in PHRASES] == [1] * len(PHRASES)
    assert tokenizer.encode("2075").tokens == ["2", "0", "7", "5"]


@pytest.mark.parametrize("family", FAMILIES)
def test_an_episode_is_encoded_as_the_chat_template_writes_it(
    family: str, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    save_tokenizer(tokenizer, tmp_path, 4096)
    fast = AutoTokenizer.from_pretrained(tmp_path)
    for i in range(4):
        e = FAMILIES[family][2](derive(0, "tokens", family, i), "train", 1.0)
        ids, weights = encode_episode(tokenizer, e)
        prompt = fast.apply_chat_template(e.prompt(), add_generation_prompt=True, return_dict=False)
        assert ids[: len(prompt)] == prompt
        answer = "".join(text for text, _ in e.answer())
        assert tokenizer.decode(ids[len(prompt) :], skip_special_tokens=False) == answer + SPECIAL[0]
        assert len(ids) == len(weights)


def test_what_the_model_writes_counts_and_what_the_user_says_a_little(tokenizer: Tokenizer) -> None:
    marks = [token_id(tokenizer, name) for name in SPECIAL]
    end, _, _, user, assistant = marks
    for i in range(30):
        e = episode(derive(0, "weights", i))
        speaker = -1
        for token, weight in zip(*encode_episode(tokenizer, e), strict=True):
            if token in marks:
                assert (weight > 0) == (speaker == assistant and token == end)
                speaker = token
            elif speaker != assistant:
                assert weight == (TEXT_WEIGHT if speaker == user else 0)


def test_a_foreign_tokenizer_is_refused() -> None:
    from tokenizers import models

    with pytest.raises(ValueError, match=r"no token '<\|assistant\|>'"):
        token_id(Tokenizer(models.BPE()), "<|assistant|>")
