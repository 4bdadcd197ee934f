"""Which words go together: lists, paragraphs, the odd one out, the word that fits a gap. Over all themes.

Held-out ones are among them: such a theme is never a class in training, and that its words belong together is
known from here alone.
"""

from __future__ import annotations

import random
import re

from .episode import Episode, Field, Sig, demo_count, field_name
from .lexicon import Split
from .themes import Theme, frames, themes

_ODD = (
    "Which word does not belong?",
    "Find the odd one out.",
    "One of the words does not fit. Which one?",
    "Say which word is different.",
    "Name the word that does not fit.",
)
_GAP = (
    "Which word is missing?",
    "Fill the gap.",
    "Choose the word for the gap.",
    "What stands at ___?",
    "Find the missing word.",
)
PARTS_IN = re.compile(r"\{(?:a:)?(?:who|thing|place|act|be)")

READ_WEIGHT = 0.3  # in the loss, of a word that the words before it only hint at


def _choose(rng: random.Random, split: Split, wordings: tuple[str, ...]) -> str:
    """One of the wordings; the last is the held-out split's."""
    return wordings[-1] if split == "held" else rng.choice(wordings[:-1])


def _odd(rng: random.Random) -> tuple[list[str], str]:
    """Three to five words, all but one of a theme, and that one."""
    own, other = rng.sample(themes(), 2)
    words, strange = own.typical(rng, rng.randint(3, 4)), other.word(rng)
    every = [*words, strange]
    rng.shuffle(every)
    return every, strange


def odd_lines(rng: random.Random, n: int = 12) -> Episode:
    """n bare lines of words and the odd one out."""
    pieces: list[tuple[str, float]] = []
    for _ in range(n):
        every, strange = _odd(rng)
        pieces += [(", ".join(every) + ": ", 0.0), (strange, 1.0), ("\n", 0.0)]
    return Episode(Sig((), ()), ({},), "lesson/odd", raw=("", tuple(pieces)))


def word_lists(rng: random.Random, n: int = 16) -> Episode:
    """n bare lines of words, each of a theme, to be continued word by word."""
    pieces: list[tuple[str, float]] = []
    for _ in range(n):
        first, *others = rng.choice(themes()).typical(rng, rng.randint(4, 7))
        pieces += [(first, 0.0), (", " + ", ".join(others), READ_WEIGHT), ("\n", 0.0)]
    return Episode(Sig((), ()), ({},), "lesson/lists", raw=("", tuple(pieces)))


def paragraphs(rng: random.Random, split: Split, n: int = 6) -> Episode:
    """n bare paragraphs, each of a theme, to be continued word by word."""
    pieces = [(rng.choice(themes()).text(rng, split, 5) + "\n\n", READ_WEIGHT) for _ in range(n)]
    return Episode(Sig((), ()), ({},), "lesson/paragraphs", raw=("", tuple(pieces)))


def odd(rng: random.Random, split: Split, n_demos: int = -1) -> Episode:
    """The odd one out of a list of words."""
    given = field_name(rng, ("words", "list", "items"), output=False)
    answer = field_name(rng, ("odd_one_out", "answer", "word", "outlier"), output=True, taken=(given,))
    turns: list[dict[str, object]] = []
    for _ in range((n_demos if n_demos >= 0 else demo_count(rng, 8)) + 1):
        every, strange = _odd(rng)
        turns.append({given: ", ".join(every), answer: strange})
    sig = Sig((Field(given),), (Field(answer),), _choose(rng, split, _ODD))
    return Episode(sig, tuple(turns), "odd", facts={"answer": answer})


def _gapped(rng: random.Random, split: Split) -> tuple[str, list[str], str]:
    """A theme's sentences with a gap, three words of different themes, and the one that fits."""
    three: list[Theme] = rng.sample(themes(), 3)
    own, part = three[0], rng.choice(("who", "thing", "place", "act"))
    choice = [rng.choice(t.words[part]) for t in three]
    frame = rng.choice([f for f in frames(split) if f"{{{part}}}" in f])
    text = own.fill(frame, rng, split, {part: "___"})
    if len(PARTS_IN.findall(frame)) < 2 or rng.random() < 0.4:  # something has to tell the theme
        text = f"{own.sentence(rng, split)} {text}"
    return text, rng.sample(choice, 3), choice[0]


def gap(rng: random.Random, split: Split, n_demos: int = -1) -> Episode:
    """The word or words that fit a gap, out of three."""
    given, answer = rng.choice((("sentence", "word"), ("text", "missing_words"), ("gap_text", "answer")))
    turns: list[dict[str, object]] = []
    for _ in range((n_demos if n_demos >= 0 else demo_count(rng, 6)) + 1):
        text, choice, gold = _gapped(rng, split)
        turns.append({given: text, "choices": "; ".join(choice), answer: gold})
    sig = Sig((Field(given), Field("choices")), (Field(answer),), _choose(rng, split, _GAP))
    return Episode(sig, tuple(turns), "gap", facts={"answer": answer})
