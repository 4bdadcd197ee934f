"""A sample: one answer to one example as another tool recorded it, and how its values become scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ...runtime.errors import BadInput
from ..rows import Failure

Repeats = Literal["mean", "each"]


@dataclass(frozen=True, slots=True)
class Mark:
    """What a metric gave for a sample."""

    value: Any
    """A number, a truth value, text that spells one, or ``None`` for no score; anything else is no score at all."""
    feedback: str = ""
    failure: Failure | None = None
    """Why there is no value; with a value of 0, why there was no answer."""


@dataclass(slots=True)
class Sample:
    """One answer to one example."""

    id: str
    place: int
    """Which line, sample or entry of the file it is, from 1 on; errors name it."""
    marks: dict[str, Mark]
    """By metric."""
    unit: str = "line"
    """What ``place`` counts."""
    repeat: int = 0
    """Which of several answers to the example (an epoch, a trial)."""
    layer: str = ""
    """Which of several records of the same answer, e.g. the filter; a record may come once."""
    outputs: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    """The example's fields."""
    failure: Failure | None = None
    """Why none of the metrics that are missing has a value."""
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Reading:
    """How results are to be read; ``read_results`` says what each means."""

    system: str | None = None
    metrics: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    id: str | None = None
    scale: tuple[float, float] | None = None
    repeats: Repeats = "mean"
    columns: Literal["metrics", "systems"] | None = None
    """What the number columns of a table are, where it was said."""

    def __post_init__(self) -> None:
        if self.repeats not in ("mean", "each"):
            raise BadInput(f"repeats={self.repeats!r}: expected 'mean' or 'each'")
        if self.scale is None:
            return
        scale: Any = self.scale
        numbers = isinstance(scale, Sequence) and len(scale) == 2 and all(isinstance(x, int | float) for x in scale)
        if not numbers or not all(map(math.isfinite, scale)) or scale[0] == scale[1]:
            raise BadInput(f"scale={scale!r}: expected the worst and the best value, e.g. (0, 100)")

    def name(self, given: str) -> str:
        """What a task, a split or a metric is to be called."""
        return self.rename.get(given, given)

    def wants(self, metric: str) -> bool:
        """Whether a metric was asked for, by the name that it is to have."""
        return not self.metrics or metric in self.metrics


class NoScore(ValueError):
    """A value that is no score; says why, and what can be done."""


def score_of(value: Any, scale: tuple[float, float] | None) -> float | None:
    """A value as a score in [0, 1]; ``None`` for a missing one (``None``, empty text, not a number).

    Args:
        value: as the file has it.
        scale: the worst and the best value of the metric.

    Raises:
        NoScore: for anything else.
    """
    number = _number(value)
    if number is None or math.isnan(number):
        return None
    if scale is not None:
        number = (number - scale[0]) / (scale[1] - scale[0])
        if not -1e-9 <= number <= 1 + 1e-9:
            raise NoScore(f"{value!s:.40} is outside the scale from {scale[0]:g} to {scale[1]:g}")
        return min(1.0, max(0.0, number))
    if not 0 <= number <= 1:
        worst, best = ("0", "100") if 0 < number <= 100 else ("WORST", "BEST")
        raise NoScore(
            f"{value!s:.40} is outside [0, 1]; if the metric runs from {worst} to {best}, read it with "
            f"scale=({worst}, {best}), on the command line --scale {worst}:{best}"
        )
    return number


def _number(value: Any) -> float | None:
    if value is None or isinstance(value, bool | int | float):
        return None if value is None else float(value)
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        word = {"true": 1.0, "false": 0.0}.get(text.lower())
        if word is not None:
            return word
        try:
            return float(text)
        except ValueError:
            pass
    raise NoScore(f"{str(value)[:60]!r} is no number")
