"""Classification episodes: what a label means is told by its name, by the instruction, by the demonstrations.

A task takes 2 to 8 classes of one source, each a concept or a union of concepts, and gives them labels: their own
names, or words that mean something else, or made-up words, letters, numbers. `explain` says where the meaning is:

    name         the label is the class's own name
    rules        the instruction explains every label (`some`: only a part of them)
    demos        nothing but the demonstrations
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .concepts import Concept, Source, say, sources, support_source, wordings
from .episode import Episode, demo_count, field_desc, field_name, with_reasoning
from .grammar import expand
from .jumble import fillers, jumble, roughness
from .lexicon import Slots, Split, pseudo_word, words
from .render import Field, Sig

_ANSWERS = ("label", "category", "class", "topic", "kind", "team", "group", "type", "tag", "department", "queue")
MANY = 24
SHORT = ("word", "theme_word", "thing", "vocabulary")  # sources whose texts are too short to be made rough
LOOSE = 0.5  # the share of training's instructions whose rules are in no known wording
UNSEEN_WEIGHT = 0.1  # of a label in the loss that nothing before it could have told
LISTED_WEIGHT = 1.0  # of such a label if it is one of those listed: which one is luck, that it is one of them is not


@dataclass(frozen=True)
class Class:
    """One class of a task."""

    label: str
    concepts: tuple[Concept, ...]
    names: tuple[str, ...]
    descs: tuple[str, ...]

    def write(self, rng: random.Random, split: Split) -> str:
        return rng.choice(self.concepts).write(rng, split)


@dataclass(frozen=True)
class Level:
    """How hard the curriculum's classification is at a moment (0 easy to 1 full)."""

    classes: int = 8
    """most classes of a task"""
    own_names: float = 0.25
    """share of tasks whose labels are the classes' own names"""
    demos: int = 8
    short: float = 0.3
    """share of tasks on short texts"""
    bare: float = 0.0
    """share of those that are on single words"""
    simple: float = 0.0
    """share of tasks whose labels are letters"""
    long: float = 0.0
    """share of tasks with up to MANY demonstrations"""
    size: float = 1.0
    """how much stands around the core of a support message"""


def labels(rng: random.Random, split: Split, n: int) -> list[str]:
    """n different labels without meaning, of one style."""
    style = rng.random()
    if style < 0.35:
        return rng.sample(words("label_word", split), n)
    if style < 0.6:
        out: list[str] = []
        while len(out) < n:
            word = pseudo_word(rng, split)
            if word not in out:
                out.append(word)
        return [w.capitalize() for w in out] if rng.random() < 0.1 else out
    if style < 0.7:
        return rng.sample("ABCDEFGHKLMNPQRSTUVWXYZ", n)
    if style < 0.78:
        return [str(i) for i in rng.sample(range(1, 10), n)]
    if style < 0.9:
        stem = rng.choice(("team_{}", "group {}", "class-{}", "T{}", "type {}", "Label {}", "k{}", "box {}"))
        return [stem.format(i) for i in rng.sample("123456789" if rng.random() < 0.5 else "ABCDEFGHK", n)]
    key = rng.choice(("color", "is_animal", "is_fruit", "month", "day", "is_tool", "first", "town"))
    return rng.sample(words(key, split), n) if len(words(key, split)) >= n else labels(rng, split, n)


def pick_classes(
    rng: random.Random, split: Split, source: Source, n: int, own_names: bool, simple: bool = False
) -> list[Class]:
    """n classes of the source: departments, concepts, or unions of concepts."""
    raw: list[tuple[tuple[Concept, ...], tuple[str, ...], tuple[str, ...]]] = []
    if source.groups and rng.random() < 0.5:
        for _, names, descs, members in rng.sample(source.groups, min(n, len(source.groups))):
            raw.append((tuple(source.concepts[i] for i in members), names, descs))
    else:
        n = min(n, len(source.concepts))
        union = 2 if not own_names and len(source.concepts) >= 3 * n and rng.random() < 0.25 else 1
        chosen = rng.sample(source.concepts, n * union)
        for i in range(n):
            part = tuple(chosen[i * union : (i + 1) * union])
            descs = part[0].descs if union == 1 else (" or ".join(rng.choice(c.descs) for c in part),)
            raw.append((part, part[0].names, descs))
    given = [rng.choice(names) for _, names, _ in raw]
    if not own_names or len(set(given)) < len(given):
        given = labels(rng, split, len(raw))
    if simple:
        given = rng.sample("ABCDEFGH", len(raw))
    if own_names and rng.random() < 0.15:
        given = [g.capitalize() for g in given]
    return [Class(g, *r) for g, r in zip(given, raw, strict=True)]


def _join(rng: random.Random, names: Sequence[str]) -> str:
    style = rng.random()
    if style < 0.5:
        return ", ".join(names[:-1]) + " or " + names[-1]
    return (", " if style < 0.75 else " / " if style < 0.85 else "; ").join(names)


def _loose(rng: random.Random) -> str:
    """A rule in no wording that anybody would use: what is told stands before its label, whatever else is said."""
    most = rng.choice((0, 1, 3))
    before, between, behind = (" ".join(rng.choices(fillers(), k=rng.randint(0, n))) for n in (most, most, most // 2))
    mark = rng.choice(("", "", ",", ":", " -", " =", " ->", "?", ";", " /", " is", " means"))
    return re.sub(" +", " ", f"{before} {{desc}}{mark} {between} {{label}} {behind}").strip()


def rules_text(
    rng: random.Random, split: Split, classes: Sequence[Class], noun: str, answer: str, lines: float = 0.5
) -> str:
    """The sentences that explain the classes, in one style, as lines (with that chance) or as running text."""
    loose = split == "train" and rng.random() < LOOSE
    template = _loose(rng) if loose else rng.choice(wordings("classify.txt", "rule", split))
    out = []
    for c in rng.sample(list(classes), len(classes)):
        fill = Slots(rng, split)
        fill.values |= {"label": c.label, "desc": rng.choice(c.descs), "noun": noun, "answer": answer}
        out.append(expand(template, rng, fill))
    if rng.random() < lines:
        bullet = rng.choice(("- ", "", "* ", "  - "))
        return "\n" + "\n".join(bullet + line.removesuffix(".") for line in out)
    return " ".join(line if line.endswith(".") else line + "." for line in out)


def instruction(
    rng: random.Random, split: Split, classes: Sequence[Class], explain: str, noun: str, answer: str
) -> str:
    """An instruction that explains all classes (rules), half of them (some), or nothing."""
    names = _join(rng, rng.sample([c.label for c in classes], len(classes)))
    slots = {"noun": noun, "answer": answer, "labels": names, "count": str(len(classes))}
    if explain in ("demos", "name") and rng.random() < 0.2:
        return ""
    parts = [say("classify.txt", rng, split, "bare", **slots)]
    if rng.random() < 0.15:
        parts.insert(0, say("classify.txt", rng, split, "role", **slots))
    if rng.random() < 0.4:
        parts.append(say("classify.txt", rng, split, "listed", **slots))
    if explain in ("rules", "some"):
        told = list(classes) if explain == "rules" else rng.sample(list(classes), (len(classes) + 1) // 2)
        if rng.random() < 0.4:
            parts.append(say("classify.txt", rng, split, "lead", **slots))
        parts.append(rules_text(rng, split, told, noun, answer))
    if rng.random() < 0.1:
        parts.append(say("classify.txt", rng, split, "role", **slots))
    return "".join(p if p.startswith("\n") or i == 0 else " " + p for i, p in enumerate(parts))


def pick_source(rng: random.Random, split: Split, level: Level) -> Source:
    """A source: words (those held out are only in short texts), short texts, support messages, or sentences."""
    every = {s.key: s for s in sources(split)}
    if rng.random() < level.short:
        words = [every[key] for key in ("word", "theme_word") if key in every]
        return rng.choice(words) if words and rng.random() < level.bare else every["thing"]
    chance = rng.random()
    if chance < 0.35:
        return support_source(level.size)
    if chance < 0.75:
        return every["theme"]
    return rng.choice([s for key, s in every.items() if key not in (*SHORT, "support", "theme")])


def _weights(gold: Sequence[str], known: set[str], luck: Mapping[str, float]) -> tuple[Mapping[str, float], ...]:
    """Per turn, what its answer counts in the loss: less (`luck`) where nothing before it told what the label means."""
    return tuple({} if label in known | set(gold[:i]) else luck for i, label in enumerate(gold))


def classification(
    rng: random.Random,
    split: Split,
    level: Level | None = None,
    source: Source | None = None,
    explain: str = "",
    n_classes: int = 0,
    n_demos: int = -1,
    reasoning: bool | None = None,
    balanced: bool = False,
) -> Episode:
    """One classification episode; what is not given is drawn."""
    level = level or Level()
    source = source or pick_source(rng, split, level)
    explain = explain or (
        "name" if rng.random() < level.own_names else rng.choice(("demos", "demos", "rules", "rules", "some"))
    )
    n = n_classes or rng.randint(2, max(2, min(level.classes, 2 + int(rng.expovariate(0.4)))))
    classes = pick_classes(rng, split, source, n, explain == "name", rng.random() < level.simple)
    if explain == "name" and rng.random() < 0.4:
        explain = rng.choice(("rules", "some"))  # names that fit and rules that explain them
    fits = classes[0].label in classes[0].names
    noun, answer = rng.choice(source.noun), rng.choice(_ANSWERS)
    most = MANY if rng.random() < level.long else level.demos
    count = n_demos if n_demos >= 0 else demo_count(rng, most)
    text = field_name(rng, source.noun, output=False)
    out = field_name(rng, (answer, answer, *_ANSWERS), output=True, taken=(text,))
    told = instruction(rng, split, classes, explain, noun, answer.replace("_", " "))
    listed = rng.random()
    order = tuple(rng.sample([c.label for c in classes], len(classes)))
    slots = {"noun": noun, "answer": answer, "labels": _join(rng, order)}
    desc = say("classify.txt", rng, split, "desc", **slots) if rng.random() < 0.3 else ""
    kind = "Literal" if listed < 0.65 else "str"
    outputs: tuple[Field, ...] = (Field(out, kind, desc, order if kind == "Literal" else ()),)
    think = rng.random() < 0.2 if reasoning is None else reasoning
    sig = Sig((Field(text, desc=field_desc(rng, noun)),), with_reasoning(outputs) if think else outputs, told)

    because = rng.choice(wordings("classify.txt", "because", split))
    known = {c.label for c in classes} if explain == "rules" or fits else set()
    guess = LISTED_WEIGHT if kind == "Literal" or all(c.label in told for c in classes) else UNSEEN_WEIGHT
    turns, gold = [], []
    rough = 0.0 if split == "held" or source.key in SHORT else roughness(rng)
    queue = rng.sample(classes, len(classes)) if balanced else []
    for i in range(count + 1):
        if balanced and not queue and i < count:
            queue = rng.sample(classes, len(classes))
        c = queue.pop() if balanced and i < count else rng.choice(classes)
        values: dict[str, object] = {text: jumble(rng, c.write(rng, split), rough), out: c.label}
        if think:
            fill = Slots(rng, split)
            fill.values |= {"label": c.label, "desc": c.descs[0], "noun": noun, "answer": answer}
            values["reasoning"] = expand(because, rng, fill)
        turns.append(values)
        gold.append(c.label)
    hidden = frozenset({"reasoning"}) if think and rng.random() < 0.3 else frozenset()
    return Episode(
        sig,
        tuple(turns),
        f"classify/{source.key}",
        _weights(gold, known, {out: guess, "reasoning": 0.5}),
        hidden,
        facts={"explain": explain, "fits": fits, "answer": out, "labels": order, "gold": gold, "classes": classes},
    )
