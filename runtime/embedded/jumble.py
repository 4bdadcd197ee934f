"""Texts made rough: words left out, put in, changed about. Only training reads them.

The small world has some dozens of sentences for each meaning. A model that reads them again and again knows them by
heart, and does not know what to make of one it has never read (measured: 0.93 right of 4 classes shown by 8
demonstrations in sentences of the training, 0.71 in others with the same key words). No two rough texts are alike: what
one is about has to be told from whatever word is left, among words that say nothing about it.
"""

from __future__ import annotations

import random
import re
from functools import cache

from .lexicon import lines
from .themes import themes

_FILES = ("frames.txt", "support.txt", "support_around.txt", "topics.txt", "feelings.txt", "classify.txt")


def roughness(rng: random.Random) -> float:
    """How rough an episode's texts are, 0 to 0.7: half of all episodes stay as they were written."""
    chance = rng.random()
    return 0.0 if chance < 0.5 else rng.uniform(0.0, 0.3) if chance < 0.9 else rng.uniform(0.3, 0.7)


def jumble(rng: random.Random, text: str, rough: float) -> str:
    """The text with words left out, strange ones put in, and neighbours swapped, each at a rate of `rough` or less."""
    if not rough:
        return text
    out: list[str] = []
    for word in text.split(" "):
        if rng.random() < rough / 2:
            out.append(rng.choice(fillers()))
        if rng.random() > rough / 2:
            out.append(word)
            if len(out) > 1 and rng.random() < rough / 4:
                out[-2:] = out[:-3:-1]
    return " ".join(out) if len(out) > 1 else text


@cache
def fillers() -> tuple[str, ...]:
    """Every word of the corpus, sorted, but for those that tell themes apart."""
    telling = {w for t in themes() for part in t.words.values() for phrase in part for w in phrase.split()}
    found: set[str] = set()
    for file in _FILES:
        for line in lines(file):
            if not line.startswith("="):
                found.update(re.findall(r"[a-z']+[a-z]", re.sub(r"\{[^}]*\}", " ", line.lower())))
    return tuple(sorted(found - telling))
