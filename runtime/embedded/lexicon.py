"""The words of the small world and how a template's slots are filled with them.

Names of people, towns and labels are split: every fifth belongs to the held-out split and is never seen in
training. Words for things (fruits, tools, ...) belong to both: a tiny model can not know a word it never met.
"""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Literal

Split = Literal["train", "held"]
CORPUS = Path(__file__).parent / "corpus"
_SPLIT_LISTS = ("first", "last", "town", "country", "street", "label_word")
_ONSETS = [
    "b", "bl", "br", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "pl", "r", "s", "sk",
    "sl", "st", "t", "tr", "v", "w", "z",
]  # fmt: skip
_VOWELS = ["a", "e", "i", "o", "u"]
_IRREGULAR = {
    "mouse": "mice", "foot": "feet", "child": "children", "knife": "knives", "goose": "geese", "sheep": "sheep",
    "deer": "deer", "potato": "potatoes", "tomato": "tomatoes", "mosquito": "mosquitoes", "mango": "mangoes",
}  # fmt: skip
_CODAS = ["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "x", "sh", "nd", "rt", "lk", "mp"]


def held_out(index: int) -> bool:
    """Whether the index-th entry of a list of wordings or names belongs to the held-out split: every fifth."""
    return index % 5 == 4


def lines(name: str) -> list[str]:
    """The lines of a corpus file without comments and blanks."""
    text = (CORPUS / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


@cache
def words(key: str, split: Split = "train") -> tuple[str, ...]:
    """The word list `key`; for names of people, places and labels only those of the split."""
    entries = _lists()[key]
    if key in _SPLIT_LISTS:
        return tuple(w for i, w in enumerate(entries) if held_out(i) == (split == "held"))
    return entries


@cache
def _lists() -> dict[str, tuple[str, ...]]:
    pairs = (line.split(":", 1) for line in lines("lexicon.txt"))
    return {key.strip(): tuple(w.strip() for w in entries.split(",")) for key, entries in pairs}


@cache
def categories() -> tuple[str, ...]:
    """The keys of the word lists that name a kind of thing, such as `is_fruit`."""
    return tuple(key for key in _lists() if key.startswith("is_"))


def pseudo_word(rng: random.Random, split: Split) -> str:
    """A pronounceable made-up word; those of the two splits differ in the letters they begin with."""
    while True:
        syllables = [rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(rng.choice((1, 2, 2)))]
        word = "".join(syllables) + (rng.choice(_CODAS) if rng.random() < 0.6 else "")
        if len(word) > 2 and (sum(map(ord, word[:3])) % 5 == 4) == (split == "held"):
            return word


def plural(noun: str) -> str:
    """The plural of a thing of the lexicon (`pair of shoes` and the like stay as they are)."""
    if noun.endswith(("s", "sh", "ch", "x")):
        return noun if noun.endswith("s") and not noun.endswith("ss") else noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    if noun.endswith("f") and not noun.endswith("ff"):
        return noun[:-1] + "ves"
    return _IRREGULAR.get(noun, noun + "s")


def article(noun: str) -> str:
    """The noun with its indefinite article."""
    return ("an " if noun[0].lower() in "aeiou" else "a ") + noun


class Slots:
    """Fills the slots of one text: the same slot keeps its value, numbered ones of a kind differ."""

    def __init__(self, rng: random.Random, split: Split):
        self.rng, self.split = rng, split
        self.values: dict[str, str] = {}

    def __call__(self, slot: str) -> str:
        if slot not in self.values:
            kind = slot.rstrip("0123456789")
            taken = {v for k, v in self.values.items() if k.rstrip("0123456789") == kind}
            for _ in range(20):
                value = self._draw(kind)
                if value not in taken:
                    break
            self.values[slot] = value
        return self.values[slot]

    def _draw(self, kind: str) -> str:
        rng = self.rng
        if kind in _lists():
            return rng.choice(words(kind, self.split))
        if kind == "n":
            return str(rng.randint(2, 12))
        if kind == "number":
            return str(rng.randint(2, 99))
        if kind == "items":
            return plural(self("item"))
        if kind == "price":
            amount = rng.randint(3, 199)
            form = rng.choice(("{} dollars", "{} euros", "${}", "{}.50", "{}.99 euros"))
            return form.format(amount)
        if kind == "order":
            form = rng.choice(("{}", "#{}", "A{}", "{}-B", "KX{}"))
            return form.format(rng.randint(1000, 99999))
        if kind == "code":
            return rng.choice(("404", "500", "E12", "17", "X3", "203", "E7"))
        if kind == "coupon":
            return rng.choice(("SAVE", "WELCOME", "SUN", "GIFT", "NEW")) + str(rng.choice((5, 10, 15, 20)))
        if kind == "email":
            return f"{self('first').lower()}.{self('last').lower()}@{rng.choice(('mail', 'post', 'web'))}.com"
        if kind == "clothing":
            return rng.choice(words("is_clothing"))
        if kind == "device":
            return rng.choice(words("is_device"))
        raise ValueError(f"no word list and no rule for the slot {{{kind}}}")
