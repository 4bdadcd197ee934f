"""Other words for the same: every sentence of the corpus is written with its synonyms, so that no word decides alone.

The words are swapped in a template's text and never in what its slots are filled with: a copied value stays a copy.
"""

from __future__ import annotations

import random
import re
from functools import cache

from .grammar import expand
from .lexicon import Slots, lines, plural

SHARE = 0.35  # of the words that have a synonym
_SLOT = re.compile(r"\{(\w+)\}(s\b)?")
_ARTICLE = re.compile(r"\b([Aa])n? (?=([A-Za-z]+))")
_VOWEL = re.compile(r"[ai]|e(?![uw])|o(?!ne\b|nce\b)|u(?!ni(?![mn])|s[eu]|ti)|hour|honest|honou?r|heir", re.IGNORECASE)


@cache
def table() -> dict[str, tuple[str, ...]]:
    """What each word or phrase may be swapped for, as it stands inside a sentence and at its beginning."""
    out: dict[str, tuple[str, ...]] = {}
    for line in lines("synonyms.txt"):
        every = [w.strip() for w in line.split("|")]
        words = [w.removesuffix("*") for w in every]
        for word in (w for w in every if not w.endswith("*")):
            if word in out:
                raise ValueError(f"synonyms.txt has {word!r} in two sets: no word can belong to both")
            out[word] = tuple(w for w in words if w != word)
    return {**{_capital(word): tuple(map(_capital, others)) for word, others in out.items()}, **out}


def _capital(word: str) -> str:
    return word[0].upper() + word[1:]


@cache
def _pattern() -> re.Pattern[str]:
    """All of them, the longest first, by their first letter: a search looks at few of them."""
    by_letter: dict[str, list[str]] = {}
    for word in sorted(table(), key=len, reverse=True):
        by_letter.setdefault(word[0], []).append(re.escape(word[1:]))
    branches = (f"{letter}(?:{'|'.join(rests)})" for letter, rests in by_letter.items())
    return re.compile(rf"\b(?<![{{'-])(?:{'|'.join(branches)})(?![\w'-])")


def swap(text: str, rng: random.Random) -> str:
    """The text with a share of its words swapped; names of slots in braces stay."""
    others, chance = table(), rng.random

    def other(found: re.Match[str]) -> str:
        if chance() > SHARE:
            return found[0]
        choice = others[found[0]]
        return choice[int(chance() * len(choice))] if choice else found[0]

    return _pattern().sub(other, text)


def articles(text: str) -> str:
    """The text with `a` or `an` as the word behind it asks for."""

    def right(found: re.Match[str]) -> str:
        word = found[2]
        if word.isupper():  # a letter or an abbreviation: nobody knows how it is spoken
            return found[0]
        return found[1] + ("n " if _VOWEL.match(word) else " ")

    return _ARTICLE.sub(right, text)


def vary(template: str, rng: random.Random, slots: Slots) -> str:
    """One sentence of the template, in other words; `{slot}s` is the plural of what fills the slot."""

    def filled(slot: re.Match[str]) -> str:
        return plural(slots(slot[1])) if slot[2] else slots(slot[1])

    text = swap(expand(template, rng, "{{{}}}".format), rng)
    return articles(_SLOT.sub(filled, text) if "{" in text else text)
