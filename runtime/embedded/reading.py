"""Reading episodes: entailment, extraction, questions over a paragraph that need one or two facts."""

from __future__ import annotations

import random
from collections.abc import Callable

from .concepts import say
from .episode import Episode, Field, Sig, demo_count, field_name, with_reasoning
from .lexicon import Slots, Split, article, plural, words

Pair = tuple[str, str, str, str]  # premise, hypothesis, verdict (yes, no, maybe), why


def _kinds(rng: random.Random, split: Split) -> Pair:
    """All, some, no: a thing and its kind."""
    key = rng.choice(("is_fruit", "is_animal", "is_bird", "is_tool", "is_vehicle", "is_flower", "is_drink"))
    thing, prop, other = rng.choice(words(key)), *rng.sample(words("adjective"), 2)
    name, kind = rng.choice(words("first", split)), plural(key[3:])
    things, verdict = plural(thing), rng.choice(("yes", "no", "maybe"))
    own, claim = f"{name} has {article(thing)}.", f"The {thing} of {name} is {prop}."
    if verdict == "yes":
        return f"All {things} are {prop}. {own}", claim, verdict, f"All {things} are {prop}."
    if verdict == "no":
        return f"No {kind} are {prop}. {own}", claim, verdict, f"No {kind} are {prop}."
    said = rng.choice((f"Some {things} are {prop}. {own}", f"All {things} are {other}. {own}"))
    return said, claim, verdict, f"It is not said that all {things} are {prop}."


def _facts(rng: random.Random, split: Split) -> Pair:
    """Who does what where: same fact, another value, another person."""
    slots = Slots(rng, split)
    a, b = slots("first"), slots("first2")
    form = rng.choice(
        (
            ("{} lives in {}.", "town"),
            ("{} works in the {}.", "place"),
            ("{} is a {}.", "job"),
            ("{} bought a {} scarf.", "color"),
            ("{} came on {}.", "day"),
            ("{} was born in {}.", "month"),
            ("{} likes {}.", "hobby"),
        )
    )
    x, y, z = slots(form[1]), slots(form[1] + "2"), slots(form[1] + "3")
    facts = [form[0].format(a, x), form[0].format(b, y)]
    rng.shuffle(facts)
    verdict = rng.choice(("yes", "no", "maybe"))
    if verdict == "yes":
        claim, why = form[0].format(a, x), form[0].format(a, x)
    elif verdict == "no":
        claim, why = form[0].format(a, rng.choice((y, z))), form[0].format(a, x)
    else:
        c = slots("first3")
        claim, why = form[0].format(c, rng.choice((x, z))), f"{c} is not mentioned."
    return " ".join(facts), claim, verdict, why


def _amounts(rng: random.Random, split: Split) -> Pair:
    """More, fewer, at least."""
    slots = Slots(rng, split)
    a, b, things = slots("first"), slots("first2"), plural(rng.choice(words("shopthing")))
    m, n = rng.sample(range(2, 30), 2)
    premise = f"{a} has {m} {things} and {b} has {n} {things}."
    verdict = rng.choice(("yes", "no", "maybe"))
    if verdict == "maybe":
        return premise, f"{a} has {rng.choice(('old', 'new', 'red', 'big'))} {things}.", verdict, "It is not said."
    true = rng.choice(
        (
            f"{a if m > n else b} has more {things} than {b if m > n else a}.",
            f"{a if m < n else b} has fewer {things} than {b if m < n else a}.",
        )
    )
    false = rng.choice(
        (
            f"{a if m < n else b} has more {things} than {b if m < n else a}.",
            f"{a if m > n else b} has fewer {things} than {b if m > n else a}.",
        )
    )
    sign = ">" if m > n else "<"
    return premise, true if verdict == "yes" else false, verdict, f"{m} {sign} {n}."


def _order(rng: random.Random, split: Split) -> Pair:
    """A chain of comparisons of three people."""
    slots = Slots(rng, split)
    a, b, c = slots("first"), slots("first2"), slots("first3")
    more = rng.choice(("taller", "older", "faster", "richer", "stronger"))
    facts = [f"{a} is {more} than {b}.", f"{b} is {more} than {c}."]
    rng.shuffle(facts)
    verdict = rng.choice(("yes", "no", "maybe"))
    chain = f"{a} > {b} > {c}."
    if verdict == "yes":
        return " ".join(facts), f"{a} is {more} than {c}.", verdict, chain
    if verdict == "no":
        return " ".join(facts), f"{c} is {more} than {a}.", verdict, chain
    other = rng.choice(("kinder", "louder", "smaller"))
    return " ".join(facts), f"{a} is {other} than {c}.", verdict, f"It is not said who is {other}."


PAIRS: tuple[Callable[[random.Random, Split], Pair], ...] = (_kinds, _facts, _amounts, _order)
_VERDICTS = (("yes", "no", "maybe"), ("true", "false", "unknown"), ("entailment", "contradiction", "neutral"))


def entailment(rng: random.Random, split: Split, n_demos: int = -1, reasoning: bool | None = None) -> Episode:
    """Premise and hypothesis: does it follow? The names of the verdicts vary."""
    think = rng.random() < 0.3 if reasoning is None else reasoning
    named = rng.random()
    verdicts = rng.choice(_VERDICTS) if named < 0.8 else tuple(rng.sample(words("label_word", split), 3))
    name = dict(zip(("yes", "no", "maybe"), verdicts, strict=True))
    p, h = rng.choice((("premise", "hypothesis"), ("text", "claim"), ("facts", "statement"), ("context", "claim")))
    answer = field_name(rng, ("verdict", "answer", "label", "entailment", "judgement"), output=True)
    literal = rng.random() < 0.6
    told = [say("reading.txt", rng, split, "entail", p=p, h=h)]
    if named >= 0.8 or rng.random() < 0.5:
        told.append(say("reading.txt", rng, split, "entail_rules", p=p, h=h, **name))
    order = tuple(rng.sample(verdicts, 3))
    out: tuple[Field, ...] = (Field(answer, "Literal" if literal else "str", choices=order if literal else ()),)
    sig = Sig((Field(p), Field(h)), with_reasoning(out) if think else out, " ".join(told))
    turns: list[dict[str, object]] = []
    kinds = PAIRS if rng.random() < 0.6 else (rng.choice(PAIRS),)
    for _ in range((n_demos if n_demos >= 0 else demo_count(rng, 6)) + 1):
        premise, hypothesis, verdict, why = rng.choice(kinds)(rng, split)
        turns.append({p: premise, h: hypothesis, answer: name[verdict]})
        if think:
            turns[-1]["reasoning"] = why
    hidden = frozenset({"reasoning"}) if think and rng.random() < 0.3 else frozenset()
    return Episode(sig, tuple(turns), "entailment", hidden=hidden, facts={"answer": answer, "labels": order})
