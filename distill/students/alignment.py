"""Whether two tokenizers cut alike, and what a student's tokenizer cannot write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...runtime.errors import BadInput
from ..state import Pair


def check_same_vocabulary(student: Any, teacher: Any, names: tuple[str, str]) -> None:
    """Refuse a teacher whose tokens are others: its probabilities would be of other events.

    Raises:
        BadInput: naming a token that differs, and what can be done.
    """
    mine, theirs = student.get_vocab(), teacher.get_vocab()
    if mine == theirs:
        return
    token = min((t for t in mine.keys() | theirs.keys() if mine.get(t) != theirs.get(t)), key=lambda t: (len(t), t))
    said = " and ".join(
        f"{name} {'lacks it' if vocabulary.get(token) is None else f'has it as {vocabulary[token]}'}"
        for name, vocabulary in zip(names, (mine, theirs), strict=True)
    )
    raise BadInput(
        f"token-level distillation compares probabilities of the same tokens, and the tokenizers of {names[0]} "
        f"({len(mine):,} tokens) and {names[1]} ({len(theirs):,}) differ: of {token!r}, {said}. Take a student with "
        "the teacher's tokenizer, or learn from the teacher's answers alone (kd = 'none')"
    )


def stored_answer(tokenizer: Any, row: Pair, student: str) -> tuple[list[int], list[dict[int, float]]] | None:
    """A hosted teacher's answer as the student's tokens, with the log-probabilities it told of each.

    Alternatives that are no single token of the student's are left out; they count as the rest. ``None`` where
    a token is a part of a sign, whose text does not say which.

    Raises:
        BadInput: for a row without log-probabilities, or a token of the answer that is not one of the student's.
    """
    if row.tokens is None:
        raise BadInput(
            f"row {row.example} has no log-probabilities: collect them (collect with logprobs = 5) from a teacher that "
            "tells them"
        )
    if any("\ufffd" in token for token, _ in row.tokens):
        return None
    ids: list[int] = []
    tops: list[dict[int, float]] = []
    for token, top in row.tokens:
        place = _single(tokenizer, token)
        if place is None:
            raise BadInput(
                f"token-level distillation needs the teacher's tokens, and its token {token!r} (row {row.example}) is "
                f"not one token of {student}: their tokenizers differ. Learn from the answers alone (kd = 'none')"
            )
        ids.append(place)
        known = {_single(tokenizer, other): logprob for other, logprob in top.items()}
        tops.append({other: logprob for other, logprob in known.items() if other is not None})
    return ids, tops


def _single(tokenizer: Any, text: str) -> int | None:
    found = tokenizer(text, add_special_tokens=False)["input_ids"]
    return int(found[0]) if len(found) == 1 and tokenizer.decode(found) == text else None


def unwritable(tokenizer: Any, text: str) -> str | None:
    """The first sign of a text that the tokenizer cannot write, or ``None``; white space does not count."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    back = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    if "".join(back.split()) == "".join(text.split()):
        return None
    for sign in dict.fromkeys(text):
        one = tokenizer(sign, add_special_tokens=False)["input_ids"]
        if sign.strip() and tokenizer.decode(one, skip_special_tokens=True).strip() != sign:
            return sign
    return text[:20]


def writes_breaks(tokenizer: Any) -> bool:
    """Whether a tokenizer has a token for a line break, and does not read it as a space."""
    ids = tokenizer("a\nb", add_special_tokens=False)["input_ids"]
    return "\n" in tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def leads(tokenizer: Any) -> bool:
    """Whether a tokenizer begins a text with a space of its own."""
    ids = tokenizer("a", add_special_tokens=False)["input_ids"]
    return bool(ids) and str(tokenizer.convert_ids_to_tokens(ids[0])).startswith("\u2581")


def check_writable(tokenizer: Any, texts: Sequence[str], what: str, student: str) -> None:
    """Refuse a student that cannot write what it must.

    Raises:
        BadInput: naming the text and the sign.
    """
    for text in texts:
        sign = unwritable(tokenizer, text)
        if sign is not None:
            raise BadInput(f"the tokenizer of {student} has no token for {sign!r}, which {what} {text!r} needs")
