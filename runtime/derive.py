"""The one source of chance: ``derive(seed, *path)`` names a random stream by what it is for."""

from __future__ import annotations

import hashlib
from random import Random

Part = str | int


def derive_int(seed: int, *path: Part, bits: int = 64) -> int:
    """An integer in [0, 2**bits) that depends on nothing but the seed and the path.

    Streams of different paths are independent, so adding a consumer of chance never shifts another one's.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in (seed, *path))
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") >> (256 - bits)


def derive(seed: int, *path: Part) -> Random:
    """A fresh ``random.Random`` for the stream ``path`` under ``seed``.

    >>> derive(0, "order").random() == derive(0, "order").random()
    True
    """
    return Random(derive_int(seed, *path))
