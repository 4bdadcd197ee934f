"""The second lessons, one thing after another: words, sentences, other sources, other labels, longer layouts.

What the adapter's layout would hide for millions of tokens is learned here in thousands: which words go together (a
word's own theme has to be named), which label stood behind such a word before (the labels mean nothing), what a label
is said to stand for, and that all of this stays true for texts, for made-up labels, and while headers and markers come
between text and label. A lesson that mixes
all of that from the start teaches none of it (measured: themes of words are named after half a million tokens of words
alone, and hardly after ten million of everything). From the second step on there are lines of bare sums, lists in
which one word does not belong, and lists and paragraphs to be continued.

Words of the themes that are never a class in training are named too: their meaning is vocabulary, the task is not.
"""

from __future__ import annotations

import random
from dataclasses import replace

from .arithmetic import LARGEST, drill
from .classify import Class, Level, classification
from .concepts import Source, sources, support_source, vocabulary
from .episode import TEXT_WEIGHT, Episode
from .lexicon import Split
from .relations import odd_lines, paragraphs, word_lists
from .render import Sig

# Layouts of an example: {i} and {o} are field names, {x} the text, {y} the label. After the last comes the real one.
LAYOUTS = (
    "{x}\n{y}\n",
    "{x} ->\n{y}\n",
    "{x} ## ]]\n{y}\n",
    "{x}\n[[ ## {o} ## ]]\n{y}\n",
    "{x}<[[ ## {o} ## ]]\n{y}\n\n",
    "[[ ## {i} ## ]]\n{x}\n\n[[ ## {o} ## ]]\n{y}\n\n[[ ## completed ## ]]\n",
)
STEPS = 5
"""words; sentences of the themes; every source; labels of any kind; layouts up to the chat"""
OTHERS = 0.5  # the share of lessons that are sums, odd words out, lists of words, or paragraphs


def lesson(rng: random.Random, split: Split, progress: float) -> Episode:
    """A lesson of the steps reached at `progress` (0 to 1): half of them of the last one, the others of any."""
    reached = min(STEPS - 1, int(progress * STEPS))
    step = reached if rng.random() < 0.5 else rng.randint(0, reached)
    if reached and rng.random() < OTHERS:
        largest = 10 + round(progress * (LARGEST - 10))
        others = (lambda: drill(rng, largest), lambda: odd_lines(rng), lambda: word_lists(rng))
        return rng.choice((*others, lambda: paragraphs(rng, split)))()
    how = rng.choice(("name", "demos")) if step == 0 else rng.choice(("name", "demos", "rules"))
    source = vocabulary() if step == 0 and how == "name" else _source(rng, split, step)
    n, turns = rng.choice((2, 2, 3, 4) if step < 3 else (2, 3, 4, 5, 6)), rng.randint(8, 16)
    if how == "name" and step < 3:  # one name, the plainest
        source = replace(source, concepts=tuple(replace(c, names=c.names[:1]) for c in source.concepts), groups=())
    simple = 1.0 if step < 3 and how != "name" else 0.0
    e = classification(rng, split, Level(simple=simple), source, how, n, turns, reasoning=False)
    layout = rng.randint(0, len(LAYOUTS)) if step == STEPS - 1 else 0
    if layout == len(LAYOUTS):
        return Episode(e.sig, e.turns, "lesson/chat", e.weights, facts=e.facts)
    before, after = LAYOUTS[layout].split("{y}")
    i, o = e.sig.inputs[0].name, e.sig.outputs[0].name
    pieces = [(_told(rng, e), 0.0)] if how == "rules" else []
    for t, weight in zip(e.turns, e.weights, strict=True):
        pieces.append((before.format(i=i, o=o, x=t[i]), TEXT_WEIGHT))
        pieces.append((str(t[o]), weight.get(o, 1.0)))
        pieces.append((after, 0.0))
    return Episode(Sig((), ()), ({},), f"lesson/{layout}", raw=("", tuple(pieces)), facts=e.facts)


def _told(rng: random.Random, e: Episode) -> str:
    """What each label stands for, a line each."""
    form = rng.choice(("{y}: {x}\n", "{y} = {x}\n", "{x} = {y}\n", "{x}: {y}\n", "{x} -> {y}\n", "{x}\n{y}\n"))
    classes: list[Class] = list(e.facts["classes"])  # type: ignore[call-overload]
    return "".join(form.format(x=rng.choice(c.descs), y=c.label) for c in rng.sample(classes, len(classes)))


def _source(rng: random.Random, split: Split, step: int) -> Source:
    """What a step's texts are of."""
    every = {s.key: s for s in sources(split)}
    if step == 0:
        return every["theme_word"]
    if step == 1:
        return every[rng.choice([key for key in ("theme", "theme", "word") if key in every])]
    chance = rng.random()
    if chance < 0.4:
        return support_source(0.2 * (step - 1))
    if chance < 0.65:
        return every["theme"]
    return rng.choice([s for key, s in every.items() if key not in ("word", "theme_word", "support", "theme", "mood")])
