"""The one source of chance: ``derive(seed, *path)`` names a random stream by what it is for."""

from __future__ import annotations

import hashlib
from random import Random

from .errors import BadInput

Part = str | int


def seed_of(given: int) -> int:
    """The seed that a public call was given.

    Raises:
        BadInput: for what is no whole number, or one that JSON would not hold.
    """
    if isinstance(given, bool) or not isinstance(given, int) or not -(2**63) <= given < 2**63:
        raise BadInput(f"seed={given!r}: expected a whole number, of 64 bits at the most")
    return given


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
