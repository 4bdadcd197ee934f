"""The mixture of tasks and how it grows harder: `episode(rng, split, hardness)`."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace

from .arithmetic import arithmetic
from .classify import Level, classification
from .episode import Episode
from .formats import formatting
from .lessons import lesson
from .lexicon import Split
from .passages import cloze, extraction, hops, questions
from .proposing import mend, write_rule
from .proposing_dspy import copro, describe, observe, propose, summarize
from .reading import entailment
from .relations import gap, odd
from .tools import react, tool_choice

Make = Callable[[random.Random, Split, float], Episode]


WARM = 0.5  # up to this hardness there is nothing but lessons, from there on fewer and fewer
KEPT = 0.35  # the share of lessons in the end


def level(hardness: float) -> Level:
    """Classification at a hardness of 0 (single words, two or three classes) to 1 (everything)."""
    return Level(
        classes=2 + round(6 * hardness),
        own_names=0.35 - 0.1 * hardness,
        demos=round(14 - 6 * min(1.0, 2 * hardness)),
        short=0.95 - 0.8 * hardness,
        bare=max(0.05, 0.9 - 1.6 * hardness),
        long=0.08 * hardness,
        size=round(hardness, 1),
    )


def _classify(rng: random.Random, split: Split, hardness: float) -> Episode:
    return classification(rng, split, level(hardness))


def _arithmetic(rng: random.Random, split: Split, hardness: float) -> Episode:
    return arithmetic(rng, split, largest=10 + round(10 * hardness))


def _plain(make: Callable[[random.Random, Split], Episode]) -> Make:
    return lambda rng, split, hardness: make(rng, split)


# family: (share at hardness 0, share at hardness 1, maker). Binding a label to its examples is learned first, on
# short episodes; the proposers' long answers come when the rest is in place.
FAMILIES: Mapping[str, tuple[float, float, Make]] = {
    "classify": (80, 50, _classify),
    "arithmetic": (6, 16, _arithmetic),
    "entailment": (3, 6, _plain(entailment)),
    "extraction": (4, 6, _plain(extraction)),
    "questions": (2, 6, _plain(questions)),
    "hops": (0, 3, _plain(hops)),
    "cloze": (1, 2, _plain(cloze)),
    "odd": (1, 2, _plain(odd)),
    "gap": (1, 3, _plain(gap)),
    "formats": (4, 6, _plain(formatting)),
    "tools": (0, 3, _plain(tool_choice)),
    "react": (0, 2, _plain(react)),
    "rule": (0, 3, _plain(write_rule)),
    "mend": (0, 3, _plain(mend)),
    "observe": (0, 2, _plain(observe)),
    "summarize": (0, 1, _plain(summarize)),
    "describe": (0, 1, _plain(describe)),
    "propose": (0, 3, _plain(propose)),
    "copro": (0, 1, _plain(copro)),
}
JSON_SHARE = 0.06  # of the other episodes, rendered by JSONAdapter, to which ChatAdapter falls back


def episode(rng: random.Random, split: Split = "train", hardness: float = 1.0) -> Episode:
    """One episode of the mixture."""
    rest = (hardness - WARM) / (1 - WARM)
    if rng.random() > (1 - KEPT) * rest:
        return lesson(rng, split, min(1.0, hardness / WARM))
    names = list(FAMILIES)
    shares = [easy + (hard - easy) * rest for easy, hard, _ in FAMILIES.values()]
    e = FAMILIES[rng.choices(names, shares)[0]][2](rng, split, rest)
    return replace(e, adapter="json") if e.raw is None and rng.random() < JSON_SHARE else e
