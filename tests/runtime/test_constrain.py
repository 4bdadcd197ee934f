"""Constrained decoding: the automaton is what regular expressions say, and answers always have their form."""

from __future__ import annotations

import json
import math
import random
import re
from pathlib import Path
from typing import Any, Literal

import pydantic
import pytest
import tiny_models
import torch
from dspy.lm15 import Config
from dstill.runtime.engines.local.answers import FREE, NUMBER, WHOLE, schema, value
from dstill.runtime.engines.local.causal import CausalEngine
from dstill.runtime.engines.local.constrain import Form, Guide, Vocabulary, byte_letters
from dstill.runtime.engines.local.grammar import Automaton, Either, Many, One, Text, Then, Without, either, sign, text
from dstill.runtime.wire import request_of_chat


class Item(pydantic.BaseModel):
    name: str
    size: Literal["s", "m", "l"]
    count: int
    tags: list[str] = pydantic.Field(max_length=2)
    price: float | None


class Order(pydantic.BaseModel):
    items: list[Item] = pydantic.Field(min_length=1, max_length=2)
    paid: bool
    extra: dict[str, int]


def test_it_accepts_what_a_regular_expression_accepts() -> None:
    cases = {
        "(ab|a)(c|bcd)": Then((either(["ab", "a"]), either(["c", "bcd"]))),
        "(a|b)*abb": Then((Many(One(((97, 98),))), Text(b"abb"))),
        "a{2,4}b?": Then((Many(Text(b"a"), 2, 4), Many(Text(b"b"), 0, 1))),
        "(|a)b+": Then((Either((Text(b""), Text(b"a"))), Many(Text(b"b"), 1))),
        "(a*b*)*c": Then((Many(Then((Many(Text(b"a")), Many(Text(b"b"))))), Text(b"c"))),
    }
    chance = random.Random(0)
    for pattern, part in cases.items():
        automaton = Automaton(part)
        for _ in range(400):
            word = "".join(chance.choice("abcd") for _ in range(chance.randrange(8)))
            assert automaton.accepts(word.encode()) == (re.fullmatch(pattern, word) is not None), (pattern, word)
    assert [Automaton(cases[p]).left(0) for p in cases] == [2, 3, 2, 1, 1]


def test_a_sign_is_exactly_one_valid_utf8_sequence() -> None:
    automaton = Automaton(sign(but="[\n"))
    for one in ["a", "é", "漢", "😀", "\x7f", "]", "퟿", "\U0010ffff"]:
        assert automaton.accepts(one.encode())
    for bad in (b"[", b"\n", b"\x80", b"\xc0\x80", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ab", b""):
        assert not automaton.accepts(bad)


@pytest.mark.parametrize(
    ("part", "good", "bad"),
    [
        (WHOLE, ["0", "-7", "120"], ["", "007", "1.5", "-", "+1"]),
        (NUMBER, ["0", "-1.50", "2e10", "3.1E-2"], [".5", "1.", "1e", "nan"]),
        (
            FREE,
            ["", "a [b] c", "two\nlines", "漢", "[[Red]]", "[[1], [2]]", "a [", "[[ #", "[[[ [[", "[\u2028"],
            ["x [[ ## y", "[[ ##", "[[[ ## x", "[[ #[[ ##"],
        ),
        (value({"literal": ["a b", "c"]}), ["a b", "c"], ["a", "ab", "C"]),
        (value({"type": "bool"}), ["True", "False"], ["true", "1"]),
    ],
)
def test_kinds_of_values(part: Any, good: list[str], bad: list[str]) -> None:
    automaton = Automaton(part)
    assert all(automaton.accepts(one.encode()) for one in good)
    assert not any(automaton.accepts(one.encode()) for one in bad)


def test_a_text_without_words_is_any_other_text() -> None:
    chance = random.Random(0)
    for words in (("[[ ##",), ("aab", "ba"), ("abab", "\nb"), ("aaa",), ("a", "bb"), ()):
        automaton = Automaton(Then((Without(tuple(word.encode() for word in words)), Text(b"!"))))
        for _ in range(400):
            said = "".join(chance.choice("ab\n[ #ü") for _ in range(chance.randrange(10)))
            assert automaton.accepts(f"{said}!".encode()) == all(word not in said for word in words), (words, said)
        assert not automaton.accepts(b"\xff!")


def test_json_of_a_schema() -> None:
    automaton = Automaton(schema(pydantic.TypeAdapter(Order).json_schema()))
    item = {"name": 'a "b" \\ ü', "size": "m", "count": -3, "tags": ["x"], "price": None}
    for order in (
        {"items": [item], "paid": True, "extra": {}},
        {"items": [item, {**item, "price": 2.5, "tags": []}], "paid": False, "extra": {"a": 1, "b": 2}},
    ):
        for dumped in (json.dumps(order), json.dumps(order, ensure_ascii=False, separators=(",", ":"))):
            assert automaton.accepts(dumped.encode()), dumped
    for wrong in (
        {"items": [], "paid": True, "extra": {}}, {"items": [{**item, "size": "xl"}], "paid": True, "extra": {}},
        {"items": [item], "paid": 1, "extra": {}}, {"items": [item], "extra": {}},
        {"items": [{**item, "tags": ["a", "b", "c"]}], "paid": True, "extra": {}},
    ):  # fmt: skip
        assert not automaton.accepts(json.dumps(wrong).encode())


INT = {"type": "integer"}
PAIR: dict[str, Any] = {"type": "array", "prefixItems": [INT, {"type": "string"}]}
FIRSTS = [[], [1], ["a", "b"], ["a", 1]]


@pytest.mark.parametrize(
    ("body", "good", "bad"),
    [
        (pydantic.TypeAdapter(tuple[int, str]).json_schema(), [[1, "a"]], [*FIRSTS, [1, "a", 2]]),
        (PAIR, [[1, "a"]], [*FIRSTS, [1, "a", 2]]),
        ({**PAIR, "maxItems": 1}, [[1]], [[], [1, "a"]]),
        ({**PAIR, "minItems": 3}, [[1, "a", 2], [1, "a", {"b": "c"}, 3]], [*FIRSTS, [1, "a"]]),
        ({**PAIR, "items": INT, "maxItems": 3}, [[1, "a"], [1, "a", 2]], [[1, "a", "b"], [1, "a", 2, 3]]),
        ({"type": "object", "additionalProperties": False, "properties": {}}, [{}], [{"a": 1}]),
        ({"type": "object"}, [{}, {"a": 1}], [[]]),
    ],
)
def test_tuples_and_objects_without_more(body: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    automaton = Automaton(schema(body))
    for separators in ((", ", ": "), (",", ":")):
        assert all(automaton.accepts(json.dumps(one, separators=separators).encode()) for one in good)
        assert not any(automaton.accepts(json.dumps(one, separators=separators).encode()) for one in bad)


def walk(form: Form, words: list[bytes | None], chance: random.Random, room: int) -> str:
    """A model that wants anything, held to a form."""
    guide, said = Guide(form, frozenset({0})), b""
    for step in range(room):
        scores = torch.tensor([chance.gauss(0, 3) for _ in words])
        left = guide.masked(scores, room - step)
        anyhow = guide.masked(scores, None)
        token = int(left.argmax())
        for other in {0, token, int(anyhow.argmax()), step % len(words)}:
            assert guide.fits(other, None) == (anyhow[other] > -math.inf)
            assert guide.fits(other, room - step) <= (left[other] > -math.inf)
        if token == 0:
            break
        said += words[token] or b""
        guide.take(token)
        if guide.stuck:
            break
    return said.decode()


@pytest.mark.parametrize("room", [300, 130])
def test_whatever_a_model_wants_its_answer_has_the_form_and_ends_in_time(room: int) -> None:
    words: list[bytes | None] = [None, *(bytes([b]) for b in range(256)), b'{"', b'":', b"items", b"true", b", ", b'"]']
    form = Form(schema(pydantic.TypeAdapter(Order).json_schema()), Vocabulary(words))
    for seed in range(12):
        said = walk(form, words, random.Random(seed), room)
        Order.model_validate_json(said)
    fields = Form(Then((text("colour: "), either(["red", "dark red"]), text("\nwhy: "), FREE)), Vocabulary(words))
    for seed in range(12):
        assert re.fullmatch(r"colour: (dark )?red\nwhy: .*", walk(fields, words, random.Random(seed), 40), re.S)


def test_room_is_counted_in_tokens_and_not_in_bytes() -> None:
    words: list[bytes | None] = [None, *(bytes([b]) for b in range(256)), b"delivery", b"\n\n[[ ## completed ## ]]\n"]
    encode = lambda said: [257, 258] if said.startswith("delivery") else [258] if said.startswith("\n") else []  # noqa: E731
    form = Form(Then((either(["delivery", "fax"]), text("\n\n[[ ## completed ## ]]\n"))), Vocabulary(words, encode))
    wants = torch.zeros(len(words))
    wants[257] = 1.0
    for room, first in ((30, 257), (2, 257), (1, None)):
        found = int(Guide(form, frozenset({0})).masked(wants, room).argmax())
        assert first is None or found == first
    assert Automaton(either(["abc", "ab", "x"])).shortest(0) == b"x"
    assert form.need(0) == len(b"fax\n\n[[ ## completed ## ]]\n")  # for which this tokenizer has no tokens


def test_where_room_is_short_a_long_answer_of_few_tokens_still_fits() -> None:
    """One that takes as many tokens as bytes fits too, so that bytes would rule out the other alone."""
    words: list[bytes | None] = [None, *(bytes([b]) for b in range(256)), b"delivery", b" now"]
    encode = lambda said: [258] if said == " now" else []  # noqa: E731
    form = Form(either(["delivery now", "fax"]), Vocabulary(words, encode))
    wants = torch.zeros(len(words))
    wants[257] = 1.0
    assert int(Guide(form, frozenset({0})).masked(wants, 3).argmax()) == 257


def test_an_answer_that_may_end_is_not_led_on_to_where_it_is_cut() -> None:
    words: list[bytes | None] = [None, *(bytes([b]) for b in range(256))]
    form = Form(either(["no", "not applicable"]), Vocabulary(words))
    guide = Guide(form, frozenset({0}))
    for letter in b"no":
        guide.take(letter + 1)
    wants = torch.zeros(len(words))
    wants[ord("t") + 1] = 1.0
    assert int(guide.masked(wants, 12).argmax()) == ord("t") + 1
    assert int(guide.masked(wants, 11).argmax()) == 0  # one less than "t applicable" takes
    endless = Guide(form, frozenset())
    for letter in b"no":
        endless.take(letter + 1)
    assert int(endless.masked(wants, 2).argmax()) == ord("t") + 1


def test_a_vocabulary_with_holes_writes_what_it_can_end() -> None:
    words: list[bytes | None] = [None, b"a", b"b", b"{b", "\u00e9".encode(), b"1"]
    vocabulary = Vocabulary(words)
    for said, ends in (("ab", True), ("{b", True), ("a\u00e9", True), ("{a", False), ("a{", False), ("c", False)):
        form = Form(text(said), vocabulary)
        assert form.can_end() == ends, said
        assert not ends or form.need(0) <= len(said)
    form = Form(either(["ab", "a{", "1{1", "{b1"]), vocabulary)
    assert form.fitting(0)[0].tolist() == [1, 3]  # after "1" nothing could be ended
    assert [form.need(0), *map(form.need, form.fitting(0)[1].tolist())] == [2, 1, 1]
    guide = Guide(form, frozenset({0}))
    guide.take(1)
    assert guide.masked(torch.zeros(len(words)), None).isfinite().tolist() == [False, False, True, False, False, False]
    lines = Form(Then((text("1\n"), Many(sign()))), vocabulary)
    assert not lines.can_end() and not lines.can_end(lines.automaton.step(0, ord("1")) or 0)


def test_tokens_as_bytes() -> None:
    assert len(set(byte_letters().values())) == 256
    tokenizer = tiny_models.tokenizer()
    vocabulary = Vocabulary.of(tokenizer, 400)
    assert vocabulary is not None

    def fits(data: bytes) -> list[int]:
        return list(vocabulary.walk(Automaton(Text(data)), 0)[0])

    for token in tokenizer("the quick [[ ## ünï")["input_ids"]:
        data = tokenizer.decode([token]).encode()
        if b"\xef\xbf\xbd" not in data:
            assert token in fits(data)
            assert vocabulary.tokens(data) is not None
    anything = vocabulary.walk(Automaton(Many(One(((0, 255),)))), 0)[0]
    assert set(anything.tolist()) == set(tokenizer.get_vocab().values()) - set(range(5))  # which are special


def test_tokens_of_a_llama_are_known_as_bytes() -> None:
    """Its decoder is several in a row, the first of which reads the sign of a space."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    vocab = {"<unk>": 0, "<0x0A>": 1, "\u2581a": 2, "b": 3}
    raw = Tokenizer(models.BPE(vocab, [], unk_token="<unk>", byte_fallback=True))
    parts = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    raw.decoder = decoders.Sequence(parts)
    vocabulary = Vocabulary.of(PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>"), 4)
    assert vocabulary is not None
    walks = [vocabulary.walk(Automaton(Text(data)), 0)[0].tolist() for data in (b"\n", b" a", b"b", b"<unk>")]
    assert walks == [[1], [2], [3], []]


def test_all_tokens_at_once_go_where_each_goes_alone() -> None:
    chance = random.Random(4)
    words: list[bytes | None] = [
        None,
        *(bytes(chance.choice(b'ab{": 1') for _ in range(chance.randrange(1, 9))) for _ in range(200)),
    ]
    automaton = Automaton(schema({"type": "object"}))
    state = automaton.step(0, ord("{"))
    assert state is not None
    tokens, states = Vocabulary(words).walk(automaton, state)
    found = dict(zip(tokens.tolist(), states.tolist(), strict=True))
    for token, word in enumerate(words):
        at: int | None = state
        for byte in word or b"":
            at = automaton.step(at, byte) if at is not None else None
        assert found.get(token) == (at if word else None)
    assert 3 < len(found) < 200


@pytest.mark.parametrize("temperature", [None, 1.5])
def test_a_model_of_noise_answers_in_form(tmp_path: Path, temperature: float | None) -> None:
    engine = CausalEngine(tiny_models.causal(tmp_path / "m", "llama"))
    part = Then((text("[[ ## n ## ]]\n"), WHOLE, text("\n\n[[ ## team ## ]]\n"), either(["sales", "care"])))
    assert engine.answers_in(part)
    for n in range(4):
        chat = [{"role": "user", "content": f"question {n}"}]
        config = Config(max_tokens=60, temperature=temperature, seed=n)
        said = engine.complete(request_of_chat("m", chat, config)).text
        assert re.fullmatch(r"\[\[ ## n ## \]\]\n-?\d+\n\n\[\[ ## team ## \]\]\n(sales|care)", said or "")
    engine.form = None
    free = engine.complete(request_of_chat("m", [{"role": "user", "content": "q"}], Config(max_tokens=20))).text
    assert "[[ ## n" not in (free or "")
    engine.close()
