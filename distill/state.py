"""What a recipe works on: training rows per predictor, trained students, and a record of what each stage did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dspy

from ..optimizers.compiled import CompiledProgram
from ..programs.task import CompileView
from ..runtime.canonical import digest
from ..runtime.home import file_name
from ..runtime.session import Session


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
    """For a classifier, the probability of each label, where the teacher was asked more than once."""

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "example": self.example, "inputs": dict(self.inputs), "outputs": dict(self.outputs),
            "weight": self.weight, "soft": None if self.soft is None else dict(self.soft),
        }  # fmt: skip


@dataclass(frozen=True)
class Effect:
    """What one stage did, as it stands in the report."""

    stage: str
    rows_in: int
    rows_out: int
    notes: tuple[str, ...] = ()

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {"stage": self.stage, "rows_in": self.rows_in, "rows_out": self.rows_out, "notes": list(self.notes)}


@dataclass(frozen=True)
class Gated:
    """Whether a student ships, and why."""

    shipped: bool
    why: str
    difference: Mapping[str, float] | None = None
    """Student minus teacher on dev, with its interval."""

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {"shipped": self.shipped, "why": self.why, "difference": self.difference and dict(self.difference)}


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
    pairs: Mapping[str, tuple[Pair, ...]] = field(default_factory=dict)
    """Training rows by predictor."""
    students: Mapping[str, Path] = field(default_factory=dict)
    """Trained students by predictor."""
    gates: Mapping[str, Gated] = field(default_factory=dict)
    effects: tuple[Effect, ...] = ()
    stopped: str | None = None
    """Why a stage ended early (a budget), or ``None``."""

    @property
    def rows(self) -> int:
        """Training rows of all predictors."""
        return sum(map(len, self.pairs.values()))

    def with_effect(self, stage: str, rows_in: int, *notes: str, **changes: Any) -> DistillState:
        """The state after a stage, with a line about what it did."""
        after = replace(self, **changes)
        return replace(after, effects=(*self.effects, Effect(stage, rows_in, after.rows, notes)))

    def student_folder(self, predictor: str) -> Path:
        """Where a predictor's student is written; a name that is no file's name gets a digest of its own."""
        safe = file_name(predictor)
        if safe != predictor:
            safe = f"{safe}-{digest(predictor)[:8]}"
        return self.folder / "students" / safe

    def signature(self, predictor: str) -> type[dspy.Signature]:
        """A predictor's declared signature."""
        found: type[dspy.Signature] = dict(self.task.program.named_predictors())[predictor].signature
        return found
