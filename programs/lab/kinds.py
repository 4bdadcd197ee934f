"""Lab tasks of one predictor: sort texts, judge a claim, pick a value, make a list, reckon, find a fact."""

from __future__ import annotations

from random import Random
from typing import Any, Literal

import dspy

from ...runtime.embedded.arithmetic import problem
from ...runtime.embedded.classify import labels
from ...runtime.embedded.concepts import support_source, theme_source
from ...runtime.embedded.formats import mixed
from ...runtime.embedded.lexicon import categories, plural
from ...runtime.embedded.passages import passage, world
from ...runtime.embedded.reading import PAIRS
from ..metrics import exact, label_f1, numeric
from .material import Material, Sorting, signature


def topics(rng: Random, classes: int) -> Material:
    """Texts on themes that are never a class in training."""
    sorting, told = Sorting.of(rng, theme_source(held=True), classes), "Sort the text."

    def draw(rng: Random) -> dict[str, Any]:
        text, label = sorting.draw(rng)
        return {"text": text, "label": label}

    rules = {"self": sorting.rule(rng, told, "text", "label")}
    return Material(
        dspy.Predict(signature(told, ("text",), label=sorting.type)), ("text",), draw, exact("label"), rules
    )


def mail(rng: Random, classes: int) -> Material:
    """Customers' messages by intent."""
    sorting, told = Sorting.of(rng, support_source(), classes), "Choose the queue."

    def draw(rng: Random) -> dict[str, Any]:
        message, queue = sorting.draw(rng)
        return {"message": message, "queue": queue}

    rules = {"self": sorting.rule(rng, told, "message", "queue")}
    program = dspy.Predict(signature(told, ("message",), queue=sorting.type))
    return Material(program, ("message",), draw, exact("queue"), rules)


def claims(rng: Random, classes: int) -> Material:
    """Does a claim follow from a text? The three verdicts have made-up names."""
    yes, no, maybe = labels(rng, "held", 3)
    name, told = {"yes": yes, "no": no, "maybe": maybe}, "Judge the claim."

    def draw(rng: Random) -> dict[str, Any]:
        text, claim, verdict, _ = rng.choice(PAIRS)(rng, "held")
        return {"text": text, "claim": claim, "verdict": name[verdict]}

    rule = f"{told} Answer {yes} if it surely follows, {no} if it is false and {maybe} if it is not said."
    made = dspy.Predict(signature(told, ("text", "claim"), verdict=Literal[yes, no, maybe]))
    return Material(made, ("text", "claim"), draw, exact("verdict"), {"self": rule})


_VALUES = {"order": "order number", "item": "product", "town": "town", "day": "day", "first": "first name"}


def values(rng: Random, classes: int) -> Material:
    """One of the things that a message tells; which one is not said."""
    wanted, told = rng.choice(list(_VALUES)), "Give the value."
    others = tuple(rng.sample([key for key in _VALUES if key != wanted], 1))

    def draw(rng: Random) -> dict[str, Any]:
        message, found = passage(rng, "held", (wanted, *others), support=True)
        return {"message": message, "value": found[wanted]}

    rules = {"self": f"Copy the {_VALUES[wanted]} from the message."}
    return Material(dspy.Predict(signature(told, ("message",), value=str)), ("message",), draw, exact("value"), rules)


def lists(rng: Random, classes: int) -> Material:
    """Those words of a list that are of one kind; which kind is not said."""
    key, told = rng.choice(categories()), "Make a list."

    def draw(rng: Random) -> dict[str, Any]:
        every, own = mixed(rng, key, rng.randint(1, 3), rng.randint(1, 3))
        return {"text": ", ".join(every), "items": own}

    rules = {"self": f"List all {plural(key[3:])}."}
    made = dspy.Predict(signature(told, ("text",), items=list[str]))
    return Material(made, ("text",), draw, label_f1("items"), rules)


def sums(rng: Random, classes: int) -> Material:
    """Word problems of two steps, with reasoning."""

    def draw(rng: Random) -> dict[str, Any]:
        made = problem(rng, "held", 2, 20)
        return {"question": made.question, "answer": str(made.result)}

    program = dspy.ChainOfThought(signature("Answer the question.", ("question",), answer=str))
    rules = {"predict": "Solve the problem. Write down each step before the answer."}
    return Material(program, ("question",), draw, numeric("answer"), rules)


def facts(rng: Random, classes: int) -> Material:
    """Questions over a paragraph, half of which need two of its sentences."""

    def draw(rng: Random) -> dict[str, Any]:
        told, asks = world(rng, "held")
        ask = rng.choice(asks)
        return {"context": " ".join(rng.sample(told, len(told))), "question": ask.question, "answer": ask.answer}

    program = dspy.Predict(signature("Answer.", ("context", "question"), answer=str))
    return Material(
        program, ("context", "question"), draw, exact("answer"), {"self": "Find the answer in the context."}
    )
