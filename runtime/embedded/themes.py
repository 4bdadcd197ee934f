"""Themes: what a sentence is about, told by words that go together.

A theme is a list of people, things, places, deeds and qualities (`corpus/themes.txt`); the sentences around them
(`corpus/frames.txt`) fit every theme, so that nothing but these words tells themes apart. Two texts of one theme
share some of its words at most: whoever wants to know that they belong together has to know which words do. Every
fifth frame belongs to the held-out split, and the themes of `HELD` are never a class in training.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from .grammar import expand
from .lexicon import Slots, Split, article, held_out, lines, plural

HELD = (
    "sea", "law", "clothes", "music", "pets", "camping",
    "chess", "dentist", "fire", "painting", "horses", "photography",
)  # fmt: skip
PARTS = ("who", "thing", "place", "act", "be")
_NUMBERED = re.compile(r"(.*?)\d*")


@dataclass(frozen=True)
class Theme:
    """The words of a theme by their part in a sentence."""

    key: str
    names: tuple[str, ...]
    about: str
    words: dict[str, tuple[str, ...]]
    """who, thing, place, act, be"""

    def sentence(self, rng: random.Random, split: Split) -> str:
        """One sentence of the split's frames."""
        return self.fill(rng.choice(frames(split)), rng, split)

    def fill(self, frame: str, rng: random.Random, split: Split, given: Mapping[str, str] | None = None) -> str:
        """A frame with the theme's words in its blanks, but for those that are given."""
        text = expand(frame, rng, _Fill(self, rng, split, dict(given or {})))
        return text[0].upper() + text[1:]

    def text(self, rng: random.Random, split: Split, most: int = 3) -> str:
        """One to `most` sentences, more often few."""
        return " ".join(self.sentence(rng, split) for _ in range(min(rng.randint(1, most), rng.randint(1, most))))

    def word(self, rng: random.Random) -> str:
        """A person, thing or place."""
        return rng.choice(self.words[rng.choice(("who", "thing", "thing", "place"))])

    def typical(self, rng: random.Random, n: int) -> list[str]:
        """n different words."""
        return rng.sample([w for part in ("who", "thing", "place") for w in self.words[part]], n)

    def descriptions(self) -> tuple[str, ...]:
        """Phrases that explain it: what it is about, and some of its words."""
        rng = random.Random(self.key)
        out = [self.about, self.about, f"the theme {self.names[0]}"]
        for n in (2, 2, 2, 3, 3, 3, 4, 4):
            for form in ("{}", "{}", "things like {}", "words such as {}", f"{self.about}, for example {{}}"):
                named = self.typical(rng, n)
                out.append(form.format(", ".join(named[:-1]) + rng.choice((" or ", " and ")) + named[-1]))
        return tuple(out)


class _Fill:
    """Fills a frame: the theme's words where it asks for them, the small world's names elsewhere."""

    def __init__(self, theme: Theme, rng: random.Random, split: Split, used: dict[str, str]):
        self.theme, self.rng = theme, rng
        self.slots = Slots(rng, split)
        self.used = used

    def __call__(self, slot: str) -> str:
        name, _, form = slot.partition(":")
        if name == "a":
            return article(self._word(form))
        found = _NUMBERED.fullmatch(name)
        if found is None or found[1] not in PARTS:
            return self.slots(slot)
        return plural(self._word(name)) if form == "s" else self._word(name)

    def _word(self, slot: str) -> str:
        if slot not in self.used:
            words = self.theme.words[slot.rstrip("0123456789")]
            self.used[slot] = self.rng.choice([w for w in words if w not in self.used.values()])
        return self.used[slot]


@cache
def frames(split: Split) -> tuple[str, ...]:
    """The sentences of the split, with blanks."""
    every = [line for line in lines("frames.txt") if not line.startswith("=")]
    return tuple(f for i, f in enumerate(every) if held_out(i) == (split == "held"))


@cache
def themes() -> tuple[Theme, ...]:
    """All themes, those of HELD included."""
    out: list[Theme] = []
    for line in lines("themes.txt"):
        if line.startswith("="):
            key, names, about = (part.strip() for part in line[1:].split("|"))
            out.append(Theme(key, tuple(n.strip() for n in names.split(",")), about, {}))
        else:
            part, _, entries = line.partition(":")
            out[-1].words[part.strip()] = tuple(w.strip() for w in entries.split(","))
    return tuple(out)
