"""Constrained decoding: at every step only tokens with which the answer can still come to have its form.

The form is a regular language over bytes (``grammar``); which tokens fit a state is found once, by walking all tokens
along the automaton a byte at a time, and kept (Willard and Louf, "Efficient Guided Generation for Large Language
Models", 2307.09702). Tokens after which the answer could no longer be finished in the room that is left are ruled out
too, so that an answer is never cut off before its end. So are those after which a vocabulary that lacks bytes could
not write the rest.

What must come whatever the model says is not asked of it: what an answer begins with is read with its prompt, and what
it ends with is written down (as in SGLang's jump-forward decoding, Zheng et al., 2312.07104).
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from .grammar import Automaton, Part

Encode: TypeAlias = "Callable[[str], list[int]]"


class Vocabulary:
    """A tokenizer's tokens as bytes. Special tokens are not part of it."""

    def __init__(self, tokens: Sequence[bytes | None], encode: Encode | None = None) -> None:
        self._said, self._encode = list(tokens), encode
        order = sorted(
            (place for place, data in enumerate(tokens) if data), key=lambda place: -len(tokens[place] or b"")
        )
        self._order = np.array(order, dtype=np.int64)
        self.whole = len({data for data in tokens if data and len(data) == 1}) == 256
        """Whether every byte is a token, so that whatever a form asks for can be written."""
        longest = len(tokens[order[0]] or b"") if order else 0
        lengths = np.array([len(tokens[place] or b"") for place in order])
        self._columns = [
            np.array([(tokens[place] or b"")[at] for place in order[: int((lengths > at).sum())]], dtype=np.uint8)
            for at in range(longest)
        ]  # the longest tokens stand first, so that a column has no holes

    def walk(self, automaton: Automaton, state: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """The tokens that fit a state, in order, and the state after each."""
        states = np.full(len(self._order), state, dtype=np.int32)
        alive = np.arange(len(self._order))
        for column in self._columns:
            alive = alive[alive < len(column)]
            if not alive.size:
                break
            states[alive] = automaton.after(states[alive], column[alive])
            alive = alive[states[alive] >= 0]
        fits = np.flatnonzero(states >= 0)
        order = np.argsort(self._order[fits])
        return self._order[fits][order], states[fits][order]

    @classmethod
    def of(cls, tokenizer: Any, size: int) -> Vocabulary | None:
        """The vocabulary of a byte-level BPE or SentencePiece-like tokenizer; ``None`` for others."""
        read = _reader(tokenizer)
        if read is None:
            return None
        special = {place for place, token in tokenizer.added_tokens_decoder.items() if token.special}
        texts = {place: token for token, place in tokenizer.get_vocab().items() if place not in special}
        return cls(
            [read(texts[place]) if place in texts else None for place in range(size)],
            lambda written: tokenizer(written, add_special_tokens=False)["input_ids"],
        )

    def tokens(self, data: bytes) -> list[int] | None:
        """Bytes as the tokenizer writes them; ``None`` if it has no tokens that say just this."""
        if self._encode is None:
            return None
        try:
            found = self._encode(data.decode())
        except UnicodeDecodeError:
            return None
        return found if b"".join(self._said[token] or b"" for token in found) == data else None


class Form:
    """A form of answers for one vocabulary; what is found is kept for all answers of that form. Thread-safe."""

    def __init__(self, part: Part, vocabulary: Vocabulary) -> None:
        self.automaton = Automaton(part)
        self._vocabulary = vocabulary
        self._fitting: dict[int, tuple[torch.Tensor, torch.Tensor, int]] = {}
        self._need: dict[int, int] = {}
        self._dead: set[int] = set()
        self._sure: dict[int, tuple[list[int], int] | None] = {}
        self._finding = threading.RLock()  # an automaton learns as it is asked

    def fitting(self, state: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Tokens (n,) that fit a state, the states (n,) after them, and with how many tokens any is then ended."""
        if state in self._fitting:
            return self._fitting[state]
        with self._finding:
            tokens, states = self._vocabulary.walk(self.automaton, state)
            live = [after for after in np.unique(states).tolist() if self.can_end(after)]
            kept = np.isin(states, live)
            tokens, states = tokens[kept], states[kept]
            # A vocabulary without holes needs a token a byte at most, which is known at once.
            most = max(map(self.automaton.left if self._vocabulary.whole else self.need, live), default=0)
            self._fitting[state] = torch.from_numpy(tokens), torch.from_numpy(states), most
        return self._fitting[state]

    def sure(self, state: int) -> tuple[list[int], int] | None:
        """Tokens that must come next whatever the model says, and the state after them; ``None`` where none must.

        They are either all that is missing, or end with a line: there a tokenizer begins anew, so that what follows
        has the tokens that it would have had.
        """
        if state not in self._sure:
            with self._finding:
                self._sure[state] = self._find_sure(state)
        return self._sure[state]

    def _find_sure(self, state: int) -> tuple[list[int], int] | None:
        data, after = bytearray(), state
        line: tuple[int, int] | None = None
        while not self.automaton.ends(after) and (byte := self.automaton.only(after)) is not None:
            after = self.automaton.step(after, byte) or 0
            data.append(byte)
            if byte == 10:
                line = len(data), after
        if not self.over(after):
            if line is None:
                return None
            data, after = data[: line[0]], line[1]
        tokens = self._vocabulary.tokens(bytes(data)) if data else None
        return None if tokens is None or not self.can_end(after) else (tokens, after)

    def need(self, state: int) -> int:
        """Tokens with which an answer can be ended from a state where it can; mostly fewer than bytes are left."""
        if state not in self._need and self.can_end(state) and self._vocabulary.whole:
            with self._finding:
                data = self.automaton.shortest(state)
                tokens = self._vocabulary.tokens(data)
                self._need[state] = len(data) if tokens is None else min(len(tokens), len(data))
        return self._need[state]

    def can_end(self, state: int = 0) -> bool:
        """Whether the vocabulary has the tokens to bring an answer from a state, or from the start, to an end."""
        if self._vocabulary.whole:
            return True
        with self._finding:
            if state not in self._need and state not in self._dead:
                self._find_end(state)
        return state in self._need

    def _find_end(self, state: int) -> None:
        """Look for an end token by token, where fewest bytes are left first.

        Then it is known of all states on the way, or, where none leads to an end, of all that were seen.
        """
        before: dict[int, int | None] = {state: None}
        queue = [(self.automaton.left(state), state)]
        while queue:
            at = heapq.heappop(queue)[1]
            if self.automaton.ends(at) or at in self._need:
                need, on = self._need.get(at, 0), before[at]
                self._need[at] = need
                while on is not None:
                    need += 1
                    self._need[on], on = need, before[on]
                return
            if at in self._dead:
                continue
            for after in np.unique(self._vocabulary.walk(self.automaton, at)[1]).tolist():
                if after not in before:
                    before[after] = at
                    heapq.heappush(queue, (self.automaton.left(after), after))
        self._dead.update(before)

    def over(self, state: int) -> bool:
        """Whether an answer has its form and nothing may follow."""
        return self.automaton.ends(state) and not len(self.fitting(state)[0])


class Guide:
    """One answer on its way through a form.

    Args:
        form: what the answer must come to.
        ends: tokens that end it.
    """

    def __init__(self, form: Form, ends: frozenset[int]) -> None:
        self._form, self._ends, self._state = form, sorted(ends), 0

    def masked(self, logits: torch.Tensor, room: int | None) -> torch.Tensor:
        """The logits [vocabulary] with all tokens that do not fit at minus infinity.

        Args:
            room: tokens that the answer may still have, this one included.
        """
        tokens, states, most = self._form.fitting(self._state)
        may_end = bool(self._ends) and self._form.automaton.ends(self._state)
        if room is not None and most > room - 1:
            near = [after for after in states.unique().tolist() if self._form.need(after) <= room - 1]
            kept = torch.isin(states, torch.tensor(near, dtype=states.dtype))
            tokens = tokens[kept] if near or may_end else tokens  # nothing else leads to an end: then it is cut off
        found = torch.full_like(logits, -torch.inf)
        found[tokens] = logits[tokens]
        if may_end:
            ends = torch.tensor(self._ends)
            found[ends] = logits[ends]
        return found

    def fits(self, token: int, room: int | None) -> bool:
        """Whether a token may come next, for certain: where the room is short, only ``masked`` tells."""
        tokens, _, most = self._form.fitting(self._state)
        if room is not None and most > room - 1:
            return False
        if token in self._ends:
            return self._form.automaton.ends(self._state)
        place = int(torch.searchsorted(tokens, token))
        return place < len(tokens) and int(tokens[place]) == token

    def take(self, token: int) -> None:
        """Go on with a token that fits."""
        tokens, states, _ = self._form.fitting(self._state)
        place = int(torch.searchsorted(tokens, token))
        self._state = int(states[place])

    def jump(self, room: int | None) -> list[int]:
        """Go on with the tokens that must come; none where the model is to be asked, or where there is no room."""
        found = self._form.sure(self._state)
        if found is None or (room is not None and len(found[0]) + self._form.need(found[1]) > room):
            return []
        self._state = found[1]
        return found[0]

    @property
    def ending(self) -> bool:
        """Whether what must come is all that is missing."""
        found = self._form.sure(self._state)
        return found is not None and self._form.over(found[1])

    @property
    def stuck(self) -> bool:
        """Whether no token leads on, so that the answer must end here."""
        return not len(self._form.fitting(self._state)[0])


def byte_letters() -> dict[int, str]:
    """How byte-level BPE writes bytes (Radford et al., GPT-2's ``bytes_to_unicode``)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {**{byte: chr(byte) for byte in plain}, **{byte: chr(256 + n) for n, byte in enumerate(others)}}


def tells_bytes(tokenizer: Any) -> bool:
    """Whether a tokenizer's tokens are known as bytes, so that answers can be held to a form."""
    return _reader(tokenizer) is not None


def _reader(tokenizer: Any) -> Callable[[str], bytes] | None:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    decoder = "" if backend is None else repr(backend.decoder)
    return _letters if "ByteLevel" in decoder else _piece if "▁" in decoder or "Metaspace" in decoder else None


def _letters(token: str) -> bytes:
    return bytes(_BYTES[letter] for letter in token) if set(token) <= _BYTES.keys() else token.encode()


def _piece(token: str) -> bytes:
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    return token.replace("▁", " ").encode()


_BYTES = {letter: byte for byte, letter in byte_letters().items()}
