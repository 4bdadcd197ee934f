"""Reuse of prompt prefixes: what each piece of a prompt leaves behind is kept by content, with all that came before it.

As in paged prefix caching (Kwon et al., "PagedAttention", 2023). A token's keys and values do not depend on which
other tokens were computed with it, so a reused piece is bit for bit the one that would be computed.
"""

from __future__ import annotations

import hashlib
import threading
from array import array
from collections import OrderedDict
from collections.abc import Sequence

from .cache import PIECE, Block


def names(ids: Sequence[int]) -> list[bytes]:
    """A digest for each whole piece of a prompt, which covers it and everything before it.

    The prompt's last token belongs to no piece: the first answer token is read off it.
    """
    found, running = [], hashlib.sha256()
    for start in range(0, len(ids) - PIECE, PIECE):
        running.update(array("i", ids[start : start + PIECE]).tobytes())
        found.append(running.digest())
    return found


class PrefixStore:
    """The most recently used pieces, up to a size in bytes. Thread-safe."""

    def __init__(self, capacity: int) -> None:
        self._capacity, self._size = capacity, 0
        self._blocks: OrderedDict[bytes, Block] = OrderedDict()
        self._lock = threading.Lock()
        self.hits = 0
        """Pieces taken from the store so far."""
        self.computed = 0
        """Pieces that were put into it."""

    def walk(self, chain: Sequence[bytes]) -> list[Block]:
        """The pieces of a prompt that are there, from the first on; they count as just used."""
        found: list[Block] = []
        with self._lock:
            for name in chain:
                block = self._blocks.get(name)
                if block is None:
                    break
                self._blocks.move_to_end(name)
                found.append(block)
            self.hits += len(found)
        return found

    def put(self, name: bytes, block: Block) -> None:
        """Keep a piece; the least recently used ones make room."""
        with self._lock:
            self.computed += 1
            if name in self._blocks or block.nbytes > self._capacity:
                return
            self._blocks[name] = block
            self._size += block.nbytes
            while self._size > self._capacity:
                _, old = self._blocks.popitem(last=False)
                self._size -= old.nbytes
