"""Reuse of prompt prefixes: a prompt is cut at fixed places, and each piece's keys and values are kept by content.

The cuts depend on the prompt's own tokens only (as in paged prefix caching, Kwon et al., "PagedAttention", 2023),
and a piece is always computed in the same shape, so a reused piece is bit for bit the one that would be computed.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Sequence

from .cache import Block

LARGE, SMALL = 64, 16
"""Tokens in a piece: as many large ones as fit, then small ones; what is left over goes token by token."""


def cuts(tokens: int) -> list[int]:
    """Where a prompt of so many tokens is cut: the ends of its pieces, the last at most ``tokens - 1``.

    At least one token is left over, since the first answer token is read off a single-token step.
    """
    whole = tokens - 1
    ends = list(range(LARGE, whole + 1, LARGE))
    start = ends[-1] if ends else 0
    ends += range(start + SMALL, whole + 1, SMALL)
    return ends


def names(ids: Sequence[int], ends: Sequence[int]) -> list[bytes]:
    """A digest for each piece that covers it and everything before it."""
    found, running, start = [], hashlib.sha256(), 0
    for end in ends:
        running.update(array("i", ids[start:end]).tobytes())
        running.update(b"|")
        found.append(running.digest())
        start = end
    return found


class PrefixStore:
    """The most recently used pieces, up to a size in bytes. Used by one thread."""

    def __init__(self, capacity: int) -> None:
        self._capacity, self._size = capacity, 0
        self._blocks: OrderedDict[bytes, Block] = OrderedDict()
        self.hits = 0
        """Pieces taken from the store so far."""
        self.misses = 0
        """Pieces that had to be computed."""

    def get(self, name: bytes) -> Block | None:
        """A piece, which then counts as just used."""
        block = self._blocks.get(name)
        if block is None:
            self.misses += 1
            return None
        self.hits += 1
        self._blocks.move_to_end(name)
        return block

    def put(self, name: bytes, block: Block) -> None:
        """Keep a piece; the least recently used ones make room."""
        if name in self._blocks or block.nbytes > self._capacity:
            return
        self._blocks[name] = block
        self._size += block.nbytes
        while self._size > self._capacity:
            _, old = self._blocks.popitem(last=False)
            self._size -= old.nbytes
