"""An episode: a signature, examples of it, and the question whether the model can do the last one."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from .lexicon import Split
from .render import Adapter, Field, Sig, Values, answer_parts, messages

LAST_WEIGHT = 1.8  # of the last answer in the loss, the only one that stands below the adapter's reminder
FORM_WEIGHT = 0.5  # of an answer's headers and markers in the loss, beside 1 for what stands below them
TEXT_WEIGHT = 0.1  # of what the user says: which words go together shows there too


@dataclass(frozen=True)
class Episode:
    """Turns of one signature; all but the last are demonstrations. Every answer is supervised."""

    sig: Sig
    turns: tuple[Values, ...]
    """the values of all fields of each example, reasoning included"""
    family: str
    weights: tuple[Mapping[str, float], ...] = ()
    """per turn: output field -> weight of its value in the loss; absent means 1"""
    hidden: frozenset[str] = frozenset()
    """output fields the demonstrations lack (reasoning, in labelled demonstrations of a chain of thought)"""
    adapter: Adapter = "chat"
    raw: tuple[str, tuple[tuple[str, float], ...]] | None = None
    """a bare question and the pieces of its answer, with weights, in place of a rendered signature"""
    facts: Mapping[str, object] = field(default_factory=dict)
    """what a probe wants to know: number of demonstrations, how labels are explained, gold labels"""

    @property
    def demos(self) -> list[dict[str, object]]:
        """The demonstrations as DSPy would hold them."""
        return [{k: v for k, v in turn.items() if k not in self.hidden} for turn in self.turns[:-1]]

    def prompt(self) -> list[dict[str, str]]:
        """What the model is asked: all turns but the last answer."""
        if self.raw:
            return [{"role": "user", "content": self.raw[0]}] if self.raw[0] else []
        return messages(self.sig, self.demos, self.turns[-1], self.adapter)

    def answer(self) -> list[tuple[str, float]]:
        """The last answer in pieces, each with its weight in the loss."""
        if self.raw:
            return list(self.raw[1])
        return [(text, LAST_WEIGHT * weight) for text, weight in self._weighed(len(self.turns) - 1)]

    def conversation(self) -> list[tuple[str, list[tuple[str, float]]]]:
        """All turns (role, pieces with weights); what the user says has weight 0."""
        out, i = [], 0
        for m in self.prompt():
            if m["role"] == "assistant":
                out.append(("assistant", self._weighed(i)))
                i += 1
            else:
                out.append((m["role"], [(m["content"], TEXT_WEIGHT if m["role"] == "user" else 0.0)]))
        return [*out, ("assistant", self.answer())]

    def _weighed(self, i: int) -> list[tuple[str, float]]:
        scale: Mapping[str, float] = dict(self.weights[i]) if self.weights else {}
        values = self.turns[-1]
        if i < len(self.turns) - 1:
            values = self.demos[i]
            scale = {**scale, **dict.fromkeys(self.hidden, 0.0)}
        parts = answer_parts(self.sig, values, self.adapter)
        return [(text, scale.get(name, 1.0) if name else FORM_WEIGHT) for text, name in parts]


_INPUTS = [
    "text", "input", "content", "document", "passage", "item", "data", "entry", "record", "query", "body", "subject",
    "value", "source",
]  # fmt: skip
_OUTPUTS = [
    "answer", "output", "result", "response", "label", "value", "outcome", "reply", "decision", "solution", "verdict",
]  # fmt: skip
_PARTS = ["customer", "user", "first", "main", "raw", "target", "final", "new", "given", "my", "the", "short", "full"]
_DESCS = (
    "the {noun} to look at",
    "{noun} of the customer",
    "the {noun} itself",
    "what we were given",
    "{noun}",
    "the input {noun}",
    "a {noun}",
    "one {noun} of many",
)


def field_name(rng: random.Random, usual: tuple[str, ...], output: bool, taken: Collection[str] = ()) -> str:
    """A name for a field: mostly a usual one, sometimes a general or a compound one, never one of `taken`."""
    while True:
        chance = rng.random()
        name = rng.choice(usual) if chance < 0.7 else rng.choice(_OUTPUTS if output else _INPUTS)
        if chance > 0.9:
            name = f"{rng.choice(_PARTS)}_{name}"
        name = name.replace(" ", "_")
        if name not in taken:
            return name


def field_desc(rng: random.Random, noun: str) -> str:
    """A description of an input field, mostly none."""
    return rng.choice(_DESCS).format(noun=noun.replace("_", " ")) if rng.random() < 0.3 else ""


REASONING = Field("reasoning")


def with_reasoning(outputs: tuple[Field, ...]) -> tuple[Field, ...]:
    """The outputs as dspy.ChainOfThought extends them."""
    return (REASONING, *outputs)


def demo_count(rng: random.Random, most: int = 8) -> int:
    """Number of demonstrations: 0 to `most`, more often many, because each of them is supervised."""
    return 0 if rng.random() < 0.25 else rng.randint(1, most) if rng.random() < 0.6 else rng.randint(most // 2, most)


__all__ = ["Episode", "Field", "Sig", "Split", "Values", "demo_count", "field_desc", "field_name", "with_reasoning"]
