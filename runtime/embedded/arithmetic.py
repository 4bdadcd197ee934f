"""Word problems of one to three steps; the reasoning writes the steps out ("12 + 5 = 17. 17 - 3 = 14.")."""

from __future__ import annotations

import operator
import random
from dataclasses import dataclass

from .concepts import wordings
from .episode import Episode, Field, Sig, demo_count, field_desc, field_name, with_reasoning
from .grammar import expand
from .lexicon import Slots, Split, plural, words

_OPS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_KINDS = ("one", "two", "three")
Step = tuple[int, str, int, int]  # left, operation, right, result


@dataclass(frozen=True)
class Problem:
    """A question, its steps in words, its result."""

    question: str
    steps: str
    result: int


def _numbers(rng: random.Random, plan: list[str], largest: int) -> tuple[dict[str, int], list[Step]]:
    """Operands A to D and the steps, all results in 1..2*largest."""
    while True:
        values: dict[str, int] = {}
        for step in plan:
            for name in step[0], step[2]:
                if name in "ABCD" and name not in values:
                    small = step[1] == "*"
                    values[name] = rng.randint(2, min(largest, 9)) if small else rng.randint(2, largest)
        done = []
        for name, step in zip("XYZ", plan, strict=False):
            left, right = values[step[0]], values[step[2]]
            values[name] = _OPS[step[1]](left, right)
            done.append((left, step[1], right, values[name]))
        if all(0 < d[3] <= 2 * largest for d in done):
            return values, done


def problem(rng: random.Random, split: Split, steps: int, largest: int) -> Problem:
    """A word problem of 1 to 3 steps with operands up to `largest`."""
    template, plan = rng.choice(wordings("arithmetic.txt", _KINDS[steps - 1], split)).split(" ## ")
    values, done = _numbers(rng, [s.strip() for s in plan.split(";")], largest)
    slots = Slots(rng, split)
    thing = rng.choice(words("shopthing"))
    slots.values |= {k: str(v) for k, v in values.items()}
    slots.values |= {"t": plural(thing), "t1": thing, "p": slots("first"), "q": slots("first2"), "r": slots("first3")}
    said = " ".join(f"{a} {op} {b} = {c}." for a, op, b, c in done)
    return Problem(expand(template, rng, slots), said, done[-1][3])


def arithmetic(
    rng: random.Random,
    split: Split,
    steps: int = 0,
    largest: int = 50,
    n_demos: int = -1,
    reasoning: bool | None = None,
) -> Episode:
    """An episode of word problems of the same number of steps (0: drawn, now and then mixed)."""
    think = rng.random() < 0.65 if reasoning is None else reasoning
    kind = steps or rng.choice((1, 1, 2, 2, 3))
    mixed = not steps and rng.random() < 0.3
    count = n_demos if n_demos >= 0 else demo_count(rng, 6)
    question = field_name(rng, ("question", "problem", "question", "task", "puzzle"), output=False)
    answer = field_name(rng, ("answer", "answer", "result", "number", "total", "solution"), output=True)
    out: tuple[Field, ...] = (Field(answer, rng.choice(("str", "int"))),)
    told = []
    if rng.random() < 0.8:
        told.append(expand(rng.choice(wordings("arithmetic.txt", "bare", split)), rng, Slots(rng, split)))
        if think and rng.random() < 0.5:
            told.append(expand(rng.choice(wordings("arithmetic.txt", "steps", split)), rng, Slots(rng, split)))
    asked = (Field(question, desc=field_desc(rng, "question")),)
    sig = Sig(asked, with_reasoning(out) if think else out, " ".join(told))
    turns = []
    for _ in range(count + 1):
        p = problem(rng, split, rng.choice((1, 2, 3)) if mixed else kind, largest)
        result = p.result if sig.outputs[-1].type == "int" else str(p.result)
        turns.append({question: p.question, answer: result, "reasoning": p.steps})
        if not think:
            del turns[-1]["reasoning"]
    hidden = frozenset({"reasoning"}) if think and rng.random() < 0.3 else frozenset()
    return Episode(sig, tuple(turns), f"arithmetic/{kind}", hidden=hidden, facts={"answer": answer, "steps": kind})
