"""Several metrics as one: their weighted mean, or the least of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from ...runtime.errors import BadInput
from .base import Metric, Score, call, name_of
from .describe import described
from .fields import RIGHT


@dataclass(frozen=True, slots=True, repr=False)
class WeightedMean:
    """See ``weighted_mean``."""

    metrics: tuple[Metric, ...]
    weights: tuple[float, ...]

    @property
    def name(self) -> str:
        """``weighted_mean(a, b)``."""
        return f"weighted_mean({', '.join(map(name_of, self.metrics))})"

    def __repr__(self) -> str:
        return f"WeightedMean(metrics=({', '.join(map(described, self.metrics))}), weights={self.weights!r})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        parts = [(name_of(m), call(m, example, prediction, "this example")) for m in self.metrics]
        values = [score.value for _, score in parts if score.value is not None]
        if len(values) < len(parts):
            return _unscored(parts)
        total = math.fsum(weight * value for weight, value in zip(self.weights, values, strict=True))
        return Score(min(1.0, total / math.fsum(self.weights)), _feedback(parts))


def weighted_mean(*metrics: Metric, weights: Sequence[float] = ()) -> WeightedMean:
    """The mean of several metrics; feedback names those that are not full.

    An example that one of them cannot score cannot be scored.

    Args:
        weights: one for each metric, none below 0 and not all 0; equal ones where they are left out.

    Raises:
        BadInput: for no metric, or weights that do not fit.
    """
    made = tuple(float(weight) for weight in weights) or (1.0,) * len(metrics)
    _check("weighted_mean", metrics)
    if len(made) != len(metrics) or any(not 0 <= w < math.inf for w in made) or not any(made):
        raise BadInput(
            f"weighted_mean(weights={list(weights)!r}): expected {len(metrics)} numbers, none below 0 and not all 0"
        )
    return WeightedMean(metrics, made)


@dataclass(frozen=True, slots=True, repr=False)
class Minimum:
    """See ``minimum``."""

    metrics: tuple[Metric, ...]

    @property
    def name(self) -> str:
        """``minimum(a, b)``."""
        return f"minimum({', '.join(map(name_of, self.metrics))})"

    def __repr__(self) -> str:
        return f"Minimum(metrics=({', '.join(map(described, self.metrics))}))"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        parts = [(name_of(m), call(m, example, prediction, "this example")) for m in self.metrics]
        values = [score.value for _, score in parts if score.value is not None]
        return _unscored(parts) if len(values) < len(parts) else Score(min(values), _feedback(parts))


def minimum(*metrics: Metric) -> Minimum:
    """The least of several metrics: an answer is as good as its worst side.

    An example that one of them cannot score cannot be scored.

    Raises:
        BadInput: for no metric.
    """
    _check("minimum", metrics)
    return Minimum(metrics)


def _check(name: str, metrics: tuple[Metric, ...]) -> None:
    for metric in metrics or (None,):
        if not callable(metric):
            raise BadInput(f"{name}({metric!r}): expected metrics, e.g. {name}(exact('team'), contains('answer'))")


def _unscored(parts: list[tuple[str, Score]]) -> Score:
    return Score(None, " ".join(f"{name}: {score.feedback}" for name, score in parts if score.value is None))


def _feedback(parts: list[tuple[str, Score]]) -> str:
    said = [f"{name} {score.value:g}: {score.feedback}".rstrip(": ") for name, score in parts if score.value != 1.0]
    return " ".join(said) or RIGHT
