"""Lab tasks of three predictors: a desk that sorts, weighs and copies; a docket; a hunt from fact to fact."""

from __future__ import annotations

from random import Random
from typing import Any

import dspy

from ...runtime.embedded.classify import rules_text
from ...runtime.embedded.concepts import sources, support_message, support_source
from ...runtime.embedded.lexicon import Slots
from ...runtime.embedded.passages import world
from ..metrics import exact, weighted_mean
from .kinds import claims, mail, topics
from .material import Material, Sorting, signature


class Desk(dspy.Module):
    """A message's queue, its tone, and the order it is about."""

    def __init__(self, queues: Any, tones: Any) -> None:
        super().__init__()
        self.sort = dspy.Predict(signature("Choose the queue.", ("message",), queue=queues))
        self.weigh = dspy.Predict(signature("Choose the tone.", ("message",), tone=tones))
        self.copy = dspy.Predict(signature("Give the value.", ("message",), value=str))

    def forward(self, message: str) -> dspy.Prediction:
        """All three of them read the message."""
        queue, tone = self.sort(message=message).queue, self.weigh(message=message).tone
        return dspy.Prediction(queue=queue, tone=tone, value=self.copy(message=message).value)


def desk(rng: Random, classes: int) -> Material:
    """Three answers about a message, each worth a third."""
    queues = Sorting.of(rng, support_source(), classes)
    tones = Sorting.of(rng, next(s for s in sources("train") if s.key == "mood"), 3)

    def draw(rng: Random) -> dict[str, Any]:
        queue, tone = rng.choice(queues.classes), rng.choice(tones.classes)
        mood = {"angry": "mood_angry", "kind": "mood_kind"}.get(tone.concepts[0].key, tone.concepts[0].key)
        while True:
            slots = Slots(rng, "held")
            message = support_message(rng, "held", queue.concepts[0].key, mood, slots=slots)
            message = f"{message} My order is {slots('order')}."
            if not message.isupper() and not message.islower():
                return {"message": message, "queue": queue.label, "tone": tone.label, "value": slots("order")}

    def rule(sorting: Sorting, told: str, answer: str) -> str:
        return f"{told} {rules_text(rng, 'held', sorting.classes, 'message', answer, lines=0.0)}"

    rules = {"sort": rule(queues, "Choose the queue.", "queue"), "weigh": rule(tones, "Choose the tone.", "tone")}
    rules["copy"] = "Copy the order number from the message."
    metric = weighted_mean(exact("queue"), exact("tone"), exact("value"))
    return Material(Desk(queues.type, tones.type), ("message",), draw, metric, rules)


class Docket(dspy.Module):
    """The theme of a text, whether a claim follows from a statement, and the queue of a message."""

    def __init__(self, labels: Any, verdicts: Any, queues: Any) -> None:
        super().__init__()
        self.sort = dspy.Predict(signature("Sort the text.", ("text",), label=labels))
        self.judge = dspy.Predict(signature("Judge the claim.", ("statement", "claim"), verdict=verdicts))
        self.send = dspy.Predict(signature("Choose the queue.", ("message",), queue=queues))

    def forward(self, text: str, statement: str, claim: str, message: str) -> dspy.Prediction:
        """Each of them reads a part of the docket."""
        label, queue = self.sort(text=text).label, self.send(message=message).queue
        return dspy.Prediction(label=label, verdict=self.judge(statement=statement, claim=claim).verdict, queue=queue)


def docket(rng: Random, classes: int) -> Material:
    """Three answers about three texts, each worth a third."""
    parts = {"sort": topics(rng, classes), "judge": claims(rng, classes), "send": mail(rng, classes)}

    def draw(rng: Random) -> dict[str, Any]:
        claim = parts["judge"].draw(rng)
        rest = {"statement": claim["text"], "claim": claim["claim"], "verdict": claim["verdict"]}
        return {**parts["sort"].draw(rng), **rest, **parts["send"].draw(rng)}

    types = [
        next(iter(parts[name].program.predictors()[0].signature.output_fields.values())).annotation for name in parts
    ]
    rules = {name: part.rules["self"] for name, part in parts.items()}
    metric = weighted_mean(exact("label"), exact("verdict"), exact("queue"))
    return Material(Docket(*types), ("text", "statement", "claim", "message"), draw, metric, rules)


class Hunt(dspy.Module):
    """Find a fact, find the next one, answer from both."""

    def __init__(self) -> None:
        super().__init__()
        self.first = dspy.Predict(signature("Give the fact.", ("context", "question"), fact=str))
        self.second = dspy.Predict(signature("Give the next fact.", ("context", "fact"), next_fact=str))
        self.answer = dspy.Predict(signature("Answer.", ("facts", "question"), answer=str))

    def forward(self, context: str, question: str) -> dspy.Prediction:
        """Each step reads what the one before it found."""
        fact = self.first(context=context, question=question).fact
        found = self.second(context=context, fact=fact).next_fact
        return dspy.Prediction(
            fact=fact, next_fact=found, answer=self.answer(facts=f"{fact} {found}", question=question).answer
        )


def hunt(rng: Random, classes: int) -> Material:
    """Questions that need two facts of a paragraph; only the answer is scored."""

    def draw(rng: Random) -> dict[str, Any]:
        told, asks = world(rng, "held")
        ask = rng.choice([a for a in asks if len(a.needs) == 2])
        return {"context": " ".join(rng.sample(told, len(told))), "question": ask.question, "answer": ask.answer}

    rules = {
        "first": "Find the fact in the context that tells of the person in the question.",
        "second": "Find another fact in the context that tells of the same place or person as the fact.",
        "answer": "Use the facts to answer the question.",
    }
    return Material(Hunt(), ("context", "question"), draw, exact("answer"), rules)
