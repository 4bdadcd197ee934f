"""Regular languages over bytes: built from small parts, run as an automaton whose states are made when first met.

Enough for what answers look like: fixed text, choices, numbers, free text, and JSON of a schema of bounded nesting.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Range: TypeAlias = "tuple[int, int]"


@dataclass(frozen=True)
class Text:
    """These bytes."""

    data: bytes


@dataclass(frozen=True)
class One:
    """One byte out of some ranges, ends included."""

    ranges: tuple[Range, ...]


@dataclass(frozen=True)
class Either:
    """One of the parts."""

    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Then:
    """The parts one after another."""

    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Many:
    """A part ``least`` to ``most`` times; without end where ``most`` is left out."""

    part: Part
    least: int = 0
    most: int | None = None


@dataclass(frozen=True)
class Without:
    """Any text, of Unicode's signs, in which none of these ASCII words stands."""

    words: tuple[bytes, ...]


Part: TypeAlias = "Text | One | Either | Then | Many | Without"


def text(value: str) -> Text:
    """A fixed text."""
    return Text(value.encode())


def either(values: Sequence[str]) -> Either:
    """One of some texts."""
    return Either(tuple(text(value) for value in values))


def sign(but: str = "") -> Part:
    """One Unicode sign, as UTF-8; ``but`` names ASCII signs that it is not."""
    out = sorted(ord(one) for one in but)
    plain, start = [], 0
    for code in [*out, 0x80]:
        if code > start:
            plain.append((start, code - 1))
        start = code + 1
    more = One(((0x80, 0xBF),))
    return Either((
        One(tuple(plain)),
        Then((One(((0xC2, 0xDF),)), more)),
        Then((Text(b"\xe0"), One(((0xA0, 0xBF),)), more)),
        Then((One(((0xE1, 0xEC), (0xEE, 0xEF))), more, more)),
        Then((Text(b"\xed"), One(((0x80, 0x9F),)), more)),
        Then((Text(b"\xf0"), One(((0x90, 0xBF),)), more, more)),
        Then((One(((0xF1, 0xF3),)), more, more, more)),
        Then((Text(b"\xf4"), One(((0x80, 0x8F),)), more, more)),
    ))  # fmt: skip


class Automaton:
    """Runs a part's language byte by byte. States are numbers; 0 is the start. One thread at a time."""

    def __init__(self, part: Part) -> None:
        self._empty: list[list[int]] = []
        self._edges: list[list[tuple[int, int, int]]] = []
        start, self._end = self._build(part)
        self._left = self._distances()
        self._sets: list[frozenset[int]] = []
        self._numbers: dict[frozenset[int], int] = {}
        self._table: NDArray[np.int32] = np.empty((16, 256), dtype=np.int32)
        self._known: NDArray[np.bool_] = np.zeros(16, dtype=np.bool_)
        self._number(self._closed({start}))

    def step(self, state: int, byte: int) -> int | None:
        """The state after a byte, or ``None`` where it cannot come."""
        self._learn(state)
        after = int(self._table[state, byte])
        return None if after < 0 else after

    def after(self, states: NDArray[np.integer], data: NDArray[np.integer]) -> NDArray[np.int32]:
        """The states ``(n,)`` after a byte from each of some states; -1 where it cannot come."""
        met = np.zeros(len(self._known), dtype=np.bool_)
        met[states] = True
        for state in np.flatnonzero(met & ~self._known).tolist():
            self._learn(state)
        found: NDArray[np.int32] = self._table[states, data]
        return found

    def only(self, state: int) -> int | None:
        """The one byte that may come; ``None`` if there are several or none."""
        self._learn(state)
        found = np.flatnonzero(self._table[state] >= 0)
        return int(found[0]) if len(found) == 1 else None

    def _learn(self, state: int) -> None:
        """Find what follows a state, range of bytes by range of bytes."""
        if self._known[state]:
            return
        edges = [edge for at in self._sets[state] for edge in self._edges[at]]
        ends = sorted({0, 256, *(low for low, _, _ in edges), *(high + 1 for _, high, _ in edges)})
        row = np.full(256, -1, dtype=np.int32)
        for low, end in pairwise(ends):
            after = {to for first, last, to in edges if first <= low <= last}
            if after:
                row[low:end] = self._number(self._closed(after))
        self._table[state], self._known[state] = row, True

    def ends(self, state: int) -> bool:
        """Whether the text may end here."""
        return self._end in self._sets[state]

    def left(self, state: int) -> int:
        """How many bytes are needed at least until it may end."""
        return min(self._left[at] for at in self._sets[state])

    def shortest(self, state: int) -> bytes:
        """The least that is missing until the text may end; of several such texts the first in the order of bytes."""
        found = bytearray()
        while need := self.left(state):
            self._learn(state)
            row = self._table[state]
            byte = next(b for b in np.flatnonzero(row >= 0).tolist() if self.left(int(row[b])) == need - 1)
            found.append(byte)
            state = int(row[byte])
        return bytes(found)

    def accepts(self, data: bytes) -> bool:
        """Whether a whole text is in the language."""
        state: int | None = 0
        for byte in data:
            state = self.step(state, byte) if state is not None else None
        return state is not None and self.ends(state)

    def _number(self, states: frozenset[int]) -> int:
        if states not in self._numbers:
            self._numbers[states] = len(self._sets)
            self._sets.append(states)
            if len(self._sets) > len(self._known):
                self._table = np.concatenate([self._table, np.empty_like(self._table)])
                self._known = np.concatenate([self._known, np.zeros_like(self._known)])
        return self._numbers[states]

    def _closed(self, states: set[int]) -> frozenset[int]:
        found, todo = set(states), list(states)
        while todo:
            for other in self._empty[todo.pop()]:
                if other not in found:
                    found.add(other)
                    todo.append(other)
        return frozenset(found)

    def _new(self) -> int:
        self._empty.append([])
        self._edges.append([])
        return len(self._edges) - 1

    def _build(self, part: Part) -> tuple[int, int]:
        """Thompson's construction: the part's first and last state."""
        start = self._new()
        if isinstance(part, Text):
            at = start
            for byte in part.data:
                after = self._new()
                self._edges[at].append((byte, byte, after))
                at = after
            return start, at
        if isinstance(part, One):
            end = self._new()
            self._edges[start] += [(low, high, end) for low, high in part.ranges]
            return start, end
        if isinstance(part, Then):
            at = start
            for one in part.parts:
                first, last = self._build(one)
                self._empty[at].append(first)
                at = last
            return start, at
        if isinstance(part, Either):
            end = self._new()
            for one in part.parts:
                first, last = self._build(one)
                self._empty[start].append(first)
                self._empty[last].append(end)
            return start, end
        if isinstance(part, Without):
            return self._build_without(part.words)
        at = start
        for _ in range(part.least):
            first, last = self._build(part.part)
            self._empty[at].append(first)
            at = last
        if part.most is None:
            first, last = self._build(part.part)
            self._empty[at].append(first)
            self._empty[last].append(at)
            end = self._new()
            self._empty[at].append(end)
            return start, end
        end = self._new()
        self._empty[at].append(end)
        for _ in range(part.most - part.least):
            first, last = self._build(part.part)
            self._empty[at].append(first)
            at = last
            self._empty[at].append(end)
        return start, end

    def _build_without(self, words: Sequence[bytes]) -> tuple[int, int]:
        """One state for each beginning of a word that the text may just have come to (Aho and Corasick, "Efficient
        String Matching", 1975): as many as the words have bytes, however they begin anew within one another."""
        begun = {word[:size] for word in words for size in range(len(word))} | {b""}
        states = {seen: self._new() for seen in sorted(begun)}
        first, last = self._build(sign(but="".join(map(chr, range(0x80)))))  # no word has any of these
        end = self._new()
        self._empty[last].append(states[b""])
        for seen, at in states.items():
            self._empty[at] += [first, end]
            self._edges[at] += [(low, high, states[after]) for low, high, after in _onward(seen, begun, words)]
        return states[b""], end

    def _distances(self) -> list[int]:
        """Bytes from every state to the end, by Dijkstra's algorithm backwards."""
        back: list[list[tuple[int, int]]] = [[] for _ in self._edges]
        for at, edges in enumerate(self._edges):
            for _, _, to in edges:
                back[to].append((at, 1))
            for to in self._empty[at]:
                back[to].append((at, 0))
        far = 10**9
        found = [far] * len(back)
        found[self._end] = 0
        queue = [(0, self._end)]
        while queue:
            distance, at = heapq.heappop(queue)
            if distance > found[at]:
                continue
            for other, cost in back[at]:
                if distance + cost < found[other]:
                    found[other] = distance + cost
                    heapq.heappush(queue, (found[other], other))
        return found


def _onward(seen: bytes, begun: Collection[bytes], words: Sequence[bytes]) -> list[tuple[int, int, bytes]]:
    """Ranges of ASCII that may follow what was seen of a word, each with the longest beginning that is come to."""
    found: list[tuple[int, int, bytes]] = []
    for byte in range(0x80):
        text = seen + bytes([byte])
        if text.endswith(tuple(words)):
            continue
        after = next(text[cut:] for cut in range(len(text) + 1) if text[cut:] in begun)
        joins = bool(found) and found[-1][1:] == (byte - 1, after)
        low = found.pop()[0] if joins else byte
        found.append((low, byte, after))
    return found
