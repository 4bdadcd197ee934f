"""The second lessons: what a word or a text is about, in layouts that grow from bare pairs to the full chat.

Three things are learned here that the adapter's layout would hide for millions of tokens: which words go together
(a text's own class has to be named), which label stood behind such a text before (the labels mean nothing), and that
both stay true while headers and markers come between text and label. Between them stand lines of bare sums, lists
in which one word does not belong, and paragraphs to be continued.
"""

from __future__ import annotations

import random

from .arithmetic import LARGEST, drill
from .classify import Level, classification
from .concepts import Source, sources, support_source
from .episode import TEXT_WEIGHT, Episode
from .lexicon import Split
from .relations import odd_lines, paragraphs
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
DRILLS = 0.3  # the share of lessons that are bare sums, odd words out, or paragraphs


def lesson(rng: random.Random, split: Split, progress: float) -> Episode:
    """Examples of two to six classes in one of the layouts reached at `progress` (0 to 1)."""
    if rng.random() < DRILLS:
        kind = rng.randrange(3)
        largest = 10 + round(progress * (LARGEST - 10))
        return drill(rng, largest) if kind == 0 else odd_lines(rng) if kind == 1 else paragraphs(rng, split)
    source, named = _source(rng, split, progress), rng.random() < 0.5
    easy = max(0.0, 1.0 - 2 * progress)
    n, turns = rng.choice((2, 2, 3) if progress < 0.3 else (2, 3, 4, 5, 6)), rng.randint(8, 16)
    how = "name" if named else "demos"
    e = classification(rng, split, Level(simple=0.0 if named else easy), source, how, n, turns, reasoning=False)
    if not named:
        _repeat(rng, e, 0.8 - progress)
    reached = min(len(LAYOUTS), int(progress * (len(LAYOUTS) + 1)))
    layout = reached if rng.random() < 0.5 else rng.randint(0, reached)
    if layout == len(LAYOUTS):
        return Episode(e.sig, e.turns, "warmup/chat", e.weights, facts=e.facts)
    before, after = LAYOUTS[layout].split("{y}")
    i, o = e.sig.inputs[0].name, e.sig.outputs[0].name
    pieces: list[tuple[str, float]] = []
    for t, weight in zip(e.turns, e.weights, strict=True):
        pieces.append((before.format(i=i, o=o, x=t[i]), TEXT_WEIGHT))
        pieces.append((str(t[o]), weight.get(o, 1.0)))
        pieces.append((after, 0.0))
    return Episode(Sig((), ()), ({},), f"warmup/{layout}", raw=("", tuple(pieces)), facts=e.facts)


def _source(rng: random.Random, split: Split, progress: float) -> Source:
    """Single words at first, then short texts, then support messages that grow."""
    every = {s.key: s for s in sources(split)}
    if rng.random() < max(0.15, 1 - 2 * progress):
        return every[rng.choice([key for key in ("word", "theme_word", "theme_word") if key in every])]
    chance = rng.random()
    if chance < 0.35:
        return support_source(round(progress / 2, 1))
    if chance < 0.75:
        return every["theme"]
    return rng.choice([s for key, s in every.items() if key not in ("word", "theme_word", "support", "theme", "mood")])


def _repeat(rng: random.Random, e: Episode, share: float) -> None:
    """Let a share of the texts come again, so that at first sameness is enough."""
    i, o = e.sig.inputs[0].name, e.sig.outputs[0].name
    for n in range(1, len(e.turns)):
        if rng.random() < share:
            same = [t for t in e.turns[:n] if t[o] == e.turns[n][o]]
            if same:
                e.turns[n][i] = rng.choice(same)[i]  # type: ignore[index]  # the values of a fresh episode are dicts
