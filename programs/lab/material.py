"""What a lab task is made of: a program, a way to draw examples, and the instructions that would explain it all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

import dspy

from ...runtime.embedded.classify import Class, labels, rules_text
from ...runtime.embedded.concepts import Source
from ..metrics import Metric

Draw = Callable[[Random], Mapping[str, Any]]
"""Draws the fields of one example."""


@dataclass(frozen=True)
class Material:
    """One task of a kind."""

    program: dspy.Module
    inputs: tuple[str, ...]
    draw: Draw
    metric: Metric
    rules: Mapping[str, str] = field(default_factory=dict)
    """By predictor, an instruction that leaves nothing open."""


def signature(instructions: str, inputs: tuple[str, ...], **outputs: Any) -> Any:
    """A signature of text inputs and typed outputs."""
    fields: dict[str, Any] = {name: (str, dspy.InputField()) for name in inputs}
    fields |= {name: (kind, dspy.OutputField()) for name, kind in outputs.items()}
    return dspy.make_signature(fields, instructions)


@dataclass(frozen=True)
class Sorting:
    """Classes of a source with labels that mean nothing."""

    classes: tuple[Class, ...]

    @classmethod
    def of(cls, rng: Random, source: Source, n: int) -> Sorting:
        """n concepts of the source, each with a made-up label."""
        chosen = rng.sample(source.concepts, n)
        return cls(
            tuple(Class(label, (c,), c.names, c.descs) for label, c in zip(labels(rng, "held", n), chosen, strict=True))
        )

    @property
    def type(self) -> Any:
        """A Literal of the labels."""
        return Literal[tuple(c.label for c in self.classes)]

    def draw(self, rng: Random) -> tuple[str, str]:
        """A text and its label."""
        c = rng.choice(self.classes)
        return c.write(rng, "held"), c.label

    def rule(self, rng: Random, told: str, noun: str, answer: str) -> str:
        """The instruction, with a sentence for every label."""
        return f"{told} {rules_text(rng, 'held', self.classes, noun, answer, lines=0.0)}"
