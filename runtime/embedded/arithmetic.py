"""Word problems of one to three steps; the reasoning writes the steps out ("12 + 5 = 17. 17 - 3 = 14.").

Most are little stories, composed of a beginning, events and a question; some have a wording of their own. `drill`
gives bare sums, many to an episode, from which the facts of addition are learned.
"""

from __future__ import annotations

import operator
import random
from dataclasses import dataclass

from .concepts import wordings
from .episode import Episode, Field, Sig, demo_count, field_desc, field_name, with_reasoning
from .grammar import expand
from .lexicon import Slots, Split, plural, words

_OPS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_FILE = "arithmetic.txt"
LARGEST = 20
TIMES = 9
"""The largest factor."""
Step = tuple[int, str, int, int]  # left, operation, right, result


@dataclass(frozen=True)
class Problem:
    """A question, its steps in words, its result."""

    question: str
    steps: str
    result: int


def _said(steps: list[Step]) -> str:
    return " ".join(f"{a} {op} {b} = {c}." for a, op, b, c in steps)


def _slots(rng: random.Random, split: Split) -> Slots:
    slots = Slots(rng, split)
    thing = rng.choice(words("shopthing"))
    slots.values |= {"t": plural(thing), "t1": thing, "p": slots("first"), "q": slots("first2"), "r": slots("first3")}
    return slots


def story(rng: random.Random, split: Split, steps: int, largest: int) -> Problem:
    """A beginning and as many events as there are steps; a beginning of equal parts is a step of its own."""
    slots = _slots(rng, split)

    def say(key: str, **numbers: int) -> str:
        slots.values |= {name: str(value) for name, value in numbers.items()}
        return expand(rng.choice(wordings(_FILE, key, split)), rng, slots)

    done: list[Step] = []
    if rng.random() < 0.3:
        n, m = rng.randint(2, min(largest, TIMES)), rng.randint(2, min(largest, TIMES))
        total = n * m
        text = [say("each", N=n, M=m)]
        done.append((n, "*", m, total))
    else:
        total = rng.randint(2, largest)
        text = [say("start", N=total)]
    while len(done) < steps:
        gain = total < 4 or (rng.random() < 0.5 and total < 2 * largest)
        change = rng.randint(2, largest) if gain else rng.randint(2, min(largest, total - 1))
        event = say("more" if gain else "less", N=change)
        if len(text) > 1 or rng.random() < 0.2:
            event = f"{say('then')} {event}"
        text.append(event)
        after = total + change if gain else total - change
        done.append((total, "+" if gain else "-", change, after))
        total = after
    return Problem(" ".join([*text, say("ask")]), _said(done), total)


def _numbers(rng: random.Random, plan: list[str], largest: int) -> tuple[dict[str, int], list[Step]]:
    """Operands A to D and the steps, all results in 1..2*largest."""
    while True:
        values: dict[str, int] = {}
        for step in plan:
            for name in step[0], step[2]:
                if name in "ABCD" and name not in values:
                    values[name] = rng.randint(2, min(largest, TIMES) if step[1] == "*" else largest)
        done = []
        for name, step in zip("XYZ", plan, strict=False):
            left, right = values[step[0]], values[step[2]]
            values[name] = _OPS[step[1]](left, right)
            done.append((left, step[1], right, values[name]))
        if all(0 < d[3] <= max(2 * largest, TIMES**2 * ("*" in d)) for d in done):
            return values, done


def problem(rng: random.Random, split: Split, steps: int, largest: int) -> Problem:
    """A word problem of 1 to 3 steps with operands up to `largest`."""
    if steps == 3 or rng.random() < 0.6:
        return story(rng, split, steps, largest)
    template, plan = rng.choice(wordings(_FILE, ("one", "two")[steps - 1], split)).split(" ## ")
    values, done = _numbers(rng, [s.strip() for s in plan.split(";")], largest)
    slots = _slots(rng, split)
    slots.values |= {k: str(v) for k, v in values.items()}
    return Problem(expand(template, rng, slots), _said(done), done[-1][3])


def drill(rng: random.Random, largest: int = LARGEST, n: int = 16) -> Episode:
    """n bare sums, a line each."""
    pieces: list[tuple[str, float]] = []
    for _ in range(n):
        op = rng.choice("++--*")
        values, _ = _numbers(rng, [f"A{op}B"], largest)
        result = _OPS[op](values["A"], values["B"])
        pieces += [(f"{values['A']} {op} {values['B']} =", 0.0), (f" {result}.\n", 1.0)]
    return Episode(Sig((), ()), ({},), "arithmetic/drill", raw=("", tuple(pieces)))


def arithmetic(
    rng: random.Random,
    split: Split,
    steps: int = 0,
    largest: int = LARGEST,
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
        told.append(expand(rng.choice(wordings(_FILE, "bare", split)), rng, Slots(rng, split)))
        if think and rng.random() < 0.5:
            told.append(expand(rng.choice(wordings(_FILE, "steps", split)), rng, Slots(rng, split)))
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
