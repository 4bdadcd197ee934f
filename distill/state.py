"""What a recipe works on: training rows per predictor, trained students, and a record of what each stage did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import dspy

from ..optimizers.compiled import CompiledProgram
from ..programs.fence import Fence
from ..programs.task import CompileView
from ..runtime.budget import Cost
from ..runtime.canonical import digest
from ..runtime.errors import BadInput
from ..runtime.home import file_name
from ..runtime.session import Session
from ..runtime.written import CHECKPOINTS

TokenTop: TypeAlias = "tuple[str, Mapping[str, float]]"
"""A token of a teacher's answer as text, and log-probabilities of the likeliest tokens in its place."""


@dataclass(frozen=True)
class Pair:
    """One training row: what a predictor was given, and what it should have answered."""

    example: str
    """The id of the example it comes from."""
    inputs: Mapping[str, str]
    """Input fields, as they stand in the prompt."""
    outputs: Mapping[str, str]
    """Output fields, as they stand in the answer; ``reasoning`` is the rationale."""
    weight: float = 1.0
    soft: Mapping[str, float] | None = None
    """For a classifier, the probability of each label, where the teacher was asked more than once or told its
    log-probabilities."""
    score: float | None = None
    """What the metric gave the run that the row comes from; ``None`` where the example has no label."""
    confidence: float | None = None
    """The share of all answers to these inputs, of several samples or teachers, that agree with this one."""
    tokens: tuple[TokenTop, ...] | None = None
    """The teacher's answer token by token, with the likeliest alternatives, where it was asked for them."""

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "example": self.example, "inputs": dict(self.inputs), "outputs": dict(self.outputs),
            "weight": self.weight, "soft": None if self.soft is None else dict(self.soft), "score": self.score,
            "confidence": self.confidence,
            "tokens": None if self.tokens is None else [[token, dict(top)] for token, top in self.tokens],
        }  # fmt: skip


@dataclass(frozen=True)
class Effect:
    """What one stage did, as it stands in the report."""

    stage: str
    rows_in: int
    rows_out: int
    notes: tuple[str, ...] = ()
    quality: tuple[float | None, float | None] = (None, None)
    """Mean metric of the rows before and after, over those whose example has a label."""
    dev: Mapping[str, float] = field(default_factory=dict)
    """What the stage measured on dev rows, by name: losses, scores of teacher and students."""
    cost: Cost | None = field(default_factory=Cost)
    """What the answers that it was the first to use in this run cost, whoever paid for them. ``None`` for a stage that
    a budget ended: what was on its way by then depends on the moment, and a replay must have the same report."""

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "stage": self.stage, "rows_in": self.rows_in, "rows_out": self.rows_out, "notes": list(self.notes),
            "quality": list(self.quality), "dev": dict(self.dev),
            "cost": self.cost and {"calls": self.cost.calls, "tokens": self.cost.tokens, "usd": self.cost.usd},
        }  # fmt: skip

    @property
    def score(self) -> str:
        """What changed in score, in words; empty where nothing was measured."""
        before, after = self.quality
        said = [f"{name} {value:.3f}" for name, value in self.dev.items()]
        if after is not None and before != after:
            said.insert(
                0, f"rows {100 * after:.1f}" if before is None else f"rows {100 * before:.1f} → {100 * after:.1f}"
            )
        return ", ".join(said)

    @property
    def price(self) -> str:
        """What its answers cost, in words; empty where nothing was asked."""
        if self.cost is None:
            return "what was left of the budget"
        if not self.cost.calls:
            return ""
        usd = f", {self.cost.usd:.2f} dollars" if self.cost.pico else ""
        return f"{self.cost.calls:,} calls, {self.cost.tokens:,} tokens{usd}"


@dataclass(frozen=True)
class Gated:
    """Whether a student ships, and why."""

    shipped: bool
    why: str
    difference: Mapping[str, float] | None = None
    """Student minus teacher on dev, with its interval."""
    power: Mapping[str, float] | None = None
    """``n`` dev examples, ``needed`` to ship a student that loses nothing in four cases of five, and the ``power``
    with which the examples at hand would have shipped it."""
    threshold: float | None = None
    """For a cascade, the confidence from which on the student's own answer stands."""
    reached: int | None = None
    """How many dev examples called the predictor; ``None`` where nothing was compared."""

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "shipped": self.shipped, "why": self.why, "difference": self.difference and dict(self.difference),
            "power": self.power and dict(self.power), "threshold": self.threshold,
            "reached": self.reached,
        }  # fmt: skip

    def told(self, mine: float | None, teacher: float | None) -> dict[str, str]:
        """For a card: mean dev scores of the program with the student and the teacher, their difference, the verdict;
        empty where nothing was compared."""
        if self.difference is None or self.power is None:
            return {}
        value, low, high = (f"{100 * self.difference[name]:+.1f}" for name in ("value", "low", "high"))
        level = f"{100 * self.difference['level']:.0f} % interval"
        means = {}
        if mine is not None and teacher is not None:
            said = f"{100 * mine:.1f} on {self.power['n']:.0f} examples; teacher {100 * teacher:.1f}"
            means["score on dev, in its place"] = said
        return {
            **means, "difference on dev, in points": f"{value} [{low}, {high}], {level}",
            "verdict": f"{'shipped' if self.shipped else 'held back'}, {self.why}",
        }  # fmt: skip


def check_margin(margin: float) -> None:
    """Refuse a margin that is no share of the score.

    Raises:
        BadInput: showing it.
    """
    if not isinstance(margin, int | float) or not 0 < margin < 1:
        raise BadInput(f"margin={margin!r}: expected a share of the score between 0 and 1, e.g. 0.01 for one point")


@dataclass(frozen=True)
class DistillState:
    """An immutable value that stages hand on; see ``stages.base.Stage``."""

    task: CompileView
    teacher: CompiledProgram
    base: str
    """The student before training: a folder or a hub name."""
    session: Session
    folder: Path
    """Where students are written, ``<folder>/students/<predictor>``."""
    seed: int = 0
    margin: float = 0.01
    """What a student may lose against its teacher, in score."""
    others: tuple[CompiledProgram, ...] = ()
    """Further teachers of the same task, whose answers count beside the teacher's."""
    fence: Fence | None = None
    """Hashes of what stands in test, by which contaminated rows are known; nothing can be read from them."""
    pairs: Mapping[str, tuple[Pair, ...]] = field(default_factory=dict)
    """Training rows by predictor."""
    gold: bool = False
    """Whether the rows are the data's own labels, for which no teacher was asked."""
    dev_pairs: Mapping[str, tuple[Pair, ...]] = field(default_factory=dict)
    """The teacher's rows on dev inputs by predictor, for early stopping, where they were collected."""
    students: Mapping[str, Path] = field(default_factory=dict)
    """Trained students by predictor."""
    gates: Mapping[str, Gated] = field(default_factory=dict)
    effects: tuple[Effect, ...] = ()
    stopped: str | None = None
    """Why a stage ended early (a budget), or ``None``."""
    rung: str = ""
    """What sets the students of one rung of a ladder apart, in the names of their folders."""

    @property
    def rows(self) -> int:
        """Training rows of all predictors."""
        return sum(map(len, self.pairs.values()))

    @property
    def quality(self) -> float | None:
        """Mean metric of the rows, over those whose example has a label."""
        known = [row.score for rows in self.pairs.values() for row in rows if row.score is not None]
        return sum(known) / len(known) if known else None

    def with_effect(
        self, stage: str, rows_in: int, *notes: str, dev: Mapping[str, float] | None = None, **changes: Any
    ) -> DistillState:
        """The state after a stage, with a line about what it did."""
        after = replace(self, **changes)
        effect = Effect(stage, rows_in, after.rows, notes, (self.quality, after.quality), dev or {})
        return replace(after, effects=(*self.effects, effect))

    def student_folder(self, predictor: str) -> Path:
        """Where a predictor's student is written; a name that is no file's name gets a digest of its own."""
        whole = f"{predictor}@{self.rung}" if self.rung else predictor
        safe = file_name(whole)
        if safe != whole:
            safe = f"{safe}-{digest(whole)[:8]}"
        return self.folder / "students" / safe

    def checkpoint_folder(self, student: Path, key: str) -> Path:
        """Where the training of the student in a folder keeps its checkpoints; ``key`` is the training's."""
        return self.folder / CHECKPOINTS / student.name / key[:16]

    def signature(self, predictor: str) -> type[dspy.Signature]:
        """A predictor's declared signature."""
        found: type[dspy.Signature] = dict(self.task.program.named_predictors())[predictor].signature
        return found
