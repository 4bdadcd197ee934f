"""Labelled texts: what a sentence is about, in several small worlds.

A `Source` is a set of concepts of one kind (intents of support messages, topics, kinds of things, opinions, ...). A
concept writes texts, knows names a person would give it, and phrases that explain it. Classification tasks pick
some concepts, or unions of them, and give them labels.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from .grammar import expand
from .lexicon import Slots, Split, categories, held_out, lines, plural, words
from .synonyms import vary
from .themes import HELD as HELD_THEMES
from .themes import Theme, themes

Write = Callable[[random.Random, Split], str]
# Concepts that are never a class in training: the held-out families.
HELD_TOPICS = ("sea", "law", "clothes", "music", "pets")
HELD_CATEGORIES = ("is_tree", "is_shape", "is_kitchenware", "is_toy", "is_metal", "is_bird")
HELD_GROUPS = ("time",)


@dataclass(frozen=True)
class Concept:
    """Something a text can be about."""

    key: str
    names: tuple[str, ...]
    """names a person would give it as a label, the plainest first"""
    descs: tuple[str, ...]
    """noun phrases that explain it"""
    write: Write = field(repr=False)

    def __str__(self) -> str:
        return self.key


@dataclass(frozen=True)
class Source:
    """Concepts of one kind; two of them never fit the same text."""

    key: str
    concepts: tuple[Concept, ...]
    noun: tuple[str, ...]
    """what its texts are called; good field names too"""
    groups: tuple[tuple[str, tuple[str, ...], tuple[str, ...], tuple[int, ...]], ...] = ()
    """departments: (key, names, descs, indices of the concepts that belong to it)"""


@dataclass
class _Block:
    key: str
    names: tuple[str, ...]
    descs: tuple[str, ...]
    wordings: list[str]
    group: str


def _list(text: str, sep: str) -> tuple[str, ...]:
    return tuple(t.strip() for t in text.split(sep) if t.strip())


@cache
def _blocks(name: str) -> tuple[list[_Block], dict[str, tuple[tuple[str, ...], tuple[str, ...]]]]:
    blocks: list[_Block] = []
    groups: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    group = ""
    for line in lines(name):
        if line.startswith("@"):
            head = _list(line[1:], "|")
            group = head[0]
            if len(head) > 1:
                groups[group] = (_list(head[1], ","), _list(head[2], ";"))
        elif line.startswith("="):
            head = _list(line[1:], "|")
            key = head[0]
            names = _list(head[1], ",") if len(head) > 2 else (key.replace("_", " "),)
            descs = _list(head[-1], ";") if len(head) > 1 else ()
            blocks.append(_Block(key, names, descs, [], group))
        else:
            blocks[-1].wordings.append(line)
    return blocks, groups


@cache
def wordings(file: str, key: str, split: Split) -> tuple[str, ...]:
    """The templates below `= key` of a corpus file that belong to the split.

    Of the held-out families half are for training, which meets their words in other kinds of task (cloze, copying).
    """
    block = next(b for b in _blocks(file)[0] if b.key == key)
    unseen = (lambda i: i % 2 == 1) if key in HELD_TOPICS or block.group in HELD_GROUPS else held_out
    return tuple(w for i, w in enumerate(block.wordings) if unseen(i) == (split == "held"))


def say(file: str, rng: random.Random, split: Split, key: str, **slots: str) -> str:
    """One of the wordings of a corpus file, its blanks filled, those in `slots` with what they say."""
    fill = Slots(rng, split)
    fill.values |= slots
    return expand(rng.choice(wordings(file, key, split)), rng, fill)


def sentence(file: str, rng: random.Random, split: Split, key: str) -> str:
    """One of the wordings of a corpus file, with synonyms."""
    return vary(rng.choice(wordings(file, key, split)), rng, Slots(rng, split))


def _sentence(file: str, key: str) -> Write:
    return lambda rng, split: sentence(file, rng, split, key)


def support_message(
    rng: random.Random, split: Split, intent: str, mood: str = "", size: float = 1.0, slots: Slots | None = None
) -> str:
    """A support message: greeting, context, the core, a wish, a farewell; 25 words in the median at size 1.

    `mood` is a part of support_around.txt (mood_angry, mood_kind, urgent) that is put in for sure; `slots` shows the
    caller what its blanks were filled with.
    """
    slots = slots or Slots(rng, split)

    def part(key: str) -> str:
        return vary(rng.choice(wordings("support_around.txt", key, split)), rng, slots)

    cores = wordings("support.txt", intent, split)
    core = rng.sample(cores, k=min(len(cores), 2 if rng.random() < 0.3 * size else 1))
    out = [vary(c, rng, slots) for c in core]
    if rng.random() < 0.4 * size:
        out.insert(0, part("context"))
    if rng.random() < 0.1 * size:
        out.append(part("context"))
    if mood:
        out.insert(rng.randint(0, len(out)), part(mood))
    elif rng.random() < 0.12 * size:
        out.append(part(rng.choice(("mood_angry", "mood_kind", "urgent"))))
    if rng.random() < 0.3 * size:
        out.append(part("ask"))
    if rng.random() < 0.35 * size:
        out.insert(0, part("open"))
    if rng.random() < 0.35 * size:
        out.append(part("close"))
    text = " ".join(out)
    style = rng.random()
    if style < 0.06:
        text = text.lower()
    elif style < 0.09:
        text = text.replace("'", "").replace(",", "")
    elif style < 0.1:
        text = text.upper()
    return text


def _support(intent: str, size: float = 1.0) -> Write:
    return lambda rng, split: support_message(rng, split, intent, size=size)


def _moody(mood: str) -> Write:
    def write(rng: random.Random, split: Split) -> str:
        return support_message(rng, split, rng.choice(INTENTS), mood, size=0.6)

    return write


INTENTS = tuple(b.key for b in _blocks("support.txt")[0])
_CARRIERS = (
    "I bought {a} and {b} [in {town}|on {day}|].",
    "{first} likes {a}[, but not {x}|].",
    "There is {a} [in the picture|on the card|here].",
    "[Yesterday|On {day}] we talked about {as} [and {bs}|].",
    "{as}, {bs} and {cs}",
    "The word is {w}.",
    "{w}",
    "{first} and {first2} drew {a}.",
    "My list says {w}, {w2} and {w3}.",
    "{w} or {w2}",
    "Look, {a}!",
    "[A child|{first}] asked me what {a} is.",
)


def _thing(key: str) -> Write:
    def write(rng: random.Random, split: Split) -> str:
        slots = Slots(rng, split)
        a, b, c = rng.sample(words(key), 3)
        an = "an " if a[0] in "aeiou" else "a "
        slots.values |= {"w": a, "w2": b, "w3": c, "a": an + a, "b": "a " + b, "x": slots("day")}
        slots.values |= {"as": plural(a), "bs": plural(b), "cs": plural(c)}
        carriers = [t for i, t in enumerate(_CARRIERS) if held_out(i) == (split == "held")]
        return expand(rng.choice(carriers), rng, slots)

    return write


def _word(key: str) -> Write:
    def write(rng: random.Random, split: Split) -> str:
        return " ".join(rng.sample(words(key), 1 if rng.random() < 0.7 else 2))

    return write


def _theme(theme: Theme, bare: bool) -> Concept:
    def write(rng: random.Random, split: Split) -> str:
        return theme.word(rng) if bare else theme.text(rng, split)

    return Concept(theme.key, theme.names, theme.descriptions(), write)


@cache
def theme_source(held: bool, bare: bool = False) -> Source:
    """The themes that are classes in training, or those that never are; `bare`: single words instead of texts."""
    concepts = tuple(_theme(t, bare) for t in themes() if (t.key in HELD_THEMES) == held)
    noun = ("word", "term", "expression") if bare else ("text", "sentence", "note", "post", "snippet")
    return Source("theme_word" if bare else "theme", concepts, noun)


@cache
def vocabulary() -> Source:
    """Single words of all themes, held out or not: a word's meaning has to be known before it can be asked for."""
    return Source("vocabulary", tuple(_theme(t, bare=True) for t in themes()), ("word", "term", "expression"))


@cache
def sources(split: Split) -> tuple[Source, ...]:
    """The sources of a split. The held-out one has support messages too (in held-out wordings)."""
    held = split == "held"
    topics = [
        Concept(b.key, b.names, b.descs, _sentence("topics.txt", b.key))
        for b in _blocks("topics.txt")[0]
        if (b.key in HELD_TOPICS) == held
    ]
    things = [
        Concept(k, (k[3:],), (f"{plural(k[3:])}", f"the name of a {k[3:]}"), _thing(k))
        for k in categories()
        if (k in HELD_CATEGORIES) == held
    ]
    out = [
        theme_source(held),
        Source("topic", tuple(topics), ("sentence", "text", "line", "note", "paragraph")),
        Source("thing", tuple(things), ("words", "phrase", "text", "line", "entry")),
        support_source(),
    ]
    feelings = _blocks("feelings.txt")[0]
    for group in dict.fromkeys(b.group for b in feelings):
        concepts = tuple(
            Concept(b.key, b.names, b.descs, _sentence("feelings.txt", b.key)) for b in feelings if b.group == group
        )
        if (group in HELD_GROUPS) == held:
            out.append(Source(group, concepts, ("text", "sentence", "review", "utterance", "remark")))
    if not held:
        moods = (
            Concept("angry", ("angry", "upset"), ("an angry writer", "anger and threats"), _moody("mood_angry")),
            Concept("kind", ("kind", "friendly"), ("a friendly writer", "kind words"), _moody("mood_kind")),
            Concept("urgent", ("urgent", "high"), ("something urgent", "no time to wait"), _moody("urgent")),
        )
        out.append(Source("mood", moods, ("message", "ticket", "email")))
        bare = tuple(Concept(c.key, c.names, c.descs, _word(c.key)) for c in things)
        out.append(Source("word", bare, ("word", "text", "words", "term", "entry")))  # the curriculum's first step
    out.append(theme_source(held, bare=True))
    return tuple(out)


@cache
def support_source(size: float = 1.0) -> Source:
    """The support messages, intents grouped into departments; `size` as for support_message."""
    blocks, groups = _blocks("support.txt")
    concepts = tuple(Concept(b.key, b.names, b.descs, _support(b.key, size)) for b in blocks)
    departments = tuple(
        (key, names, descs, tuple(i for i, b in enumerate(blocks) if b.group == key))
        for key, (names, descs) in groups.items()
    )
    return Source("support", concepts, ("message", "ticket", "email", "request", "complaint"), departments)
