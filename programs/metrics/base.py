"""What a metric is: a number in [0, 1] for an example and a prediction, or a ``Score`` with feedback."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import dspy

from ...runtime.budget import Cost
from ...runtime.canonical import encodable
from ...runtime.errors import BadInput, BadMetric, failure
from ...runtime.secrets import redact


@dataclass(frozen=True, slots=True)
class Score:
    """What a metric says of one prediction.

    ``value`` lies in [0, 1]; ``None`` says that the example could not be scored, which is not 0. ``feedback`` is
    what a teacher would write in the margin; proposers that rewrite instructions read it.
    """

    value: float | None
    feedback: str = ""


ROUNDING = 1e-9
"""A value so near to 0 or 1, on either side, is that: 0.7 + 0.2 + 0.1 is full marks, though floating-point numbers add
up to less."""

Metric: TypeAlias = Callable[[dspy.Example, dspy.Prediction], "float | bool | Score"]
"""Takes an example and a prediction for it. DSPy's metrics with further optional arguments are metrics too."""


def call(metric: Metric, example: dspy.Example, prediction: dspy.Prediction, place: str) -> Score:
    """The metric's verdict, checked.

    Args:
        place: what to call the example in messages, e.g. ``dev example 't0012'``.

    Raises:
        BadMetric: if the metric raises, or returns anything but a number in [0, 1], a bool, or a Score; it is a
            stop, because an optimizer that swallows errors would take it for a bad candidate.
    """
    try:
        verdict: Any = metric(example, prediction)
    except (Exception, SystemExit) as error:
        raise BadMetric(
            f"the metric {name_of(metric)} raised {redact(failure(error))} on {place}; "
            "it must return a number in [0, 1] for any prediction"
        ) from error
    feedback = ""
    if isinstance(verdict, Score):
        value, feedback = verdict.value, _text(verdict.feedback)
        if value is None:
            return Score(None, feedback)
        verdict = value
    elif isinstance(verdict, dspy.Prediction) and "score" in verdict:  # DSPy's own score with feedback
        verdict, feedback = verdict["score"], _text(verdict.get("feedback"))
    if not isinstance(verdict, Real) and getattr(verdict, "shape", None) == ():  # a bool of numpy, a scalar of torch
        verdict = verdict.item()
    if isinstance(verdict, Real) and -ROUNDING <= float(verdict) <= 1.0 + ROUNDING:  # nan is not
        value = float(verdict)
        return Score(next((end for end in (0.0, 1.0) if abs(value - end) <= ROUNDING), value), feedback)
    hint = " (a return statement is missing?)" if verdict is None else ""
    raise BadMetric(
        f"the metric {name_of(metric)} returned {verdict!r} on {place}{hint}; expected a number in [0, 1], a bool, "
        "or a dstill.Score (with value None for an example that cannot be scored)"
    )


def _text(feedback: Any) -> str:
    """Feedback as text that every prompt, file and page takes: no row that was paid for is lost by its words."""
    return "" if feedback is None else encodable(str(feedback))


def check(metric: object, given: str) -> None:
    """That it can be called with an example and a prediction, before anything is paid for.

    Args:
        given: what to call the argument in the message, e.g. ``Task(metric=...)``.

    Raises:
        BadInput: if it cannot.
    """
    if not callable(metric):
        raise BadInput(f"{given}: expected a function of an example and a prediction")
    try:
        signature = inspect.signature(metric)
    except (TypeError, ValueError):  # written in C
        return
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise BadInput(
            f"{given}: called with an example and a prediction it would fail, {error}; it takes {signature}, and what "
            "it takes besides the two must have a default"
        ) from error


def asks(metric: Metric, example: dspy.Example) -> tuple[Cost, bool]:
    """The most that a metric may ask of models for an example, its parts included, and whether the prices are known;
    nothing of a metric that does not say (``Judge`` does)."""
    parts = [asks(part, example) for part in getattr(metric, "metrics", ())]
    if hasattr(metric, "bound"):
        parts.append((metric.bound(example), metric.priced))  # type: ignore[attr-defined]
    return sum((cost for cost, _ in parts), Cost()), all(priced for _, priced in parts)


def name_of(metric: Metric) -> str:
    """What to call a metric: its own name, or its class's."""
    return str(getattr(metric, "__name__", None) or getattr(metric, "name", None) or type(metric).__name__)
