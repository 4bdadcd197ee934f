"""Metrics: how good is a prediction for an example? A number in [0, 1], or a ``Score`` with feedback."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import dspy

from ..runtime.errors import BadMetric, failure
from ..runtime.secrets import redact


@dataclass(frozen=True, slots=True)
class Score:
    """What a metric says of one prediction.

    ``value`` lies in [0, 1]; ``None`` says that the example could not be scored, which is not 0. ``feedback`` is
    what a teacher would write in the margin; proposers that rewrite instructions read it.
    """

    value: float | None
    feedback: str = ""


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
        if verdict.value is None:
            return verdict
        verdict, feedback = verdict.value, verdict.feedback
    elif isinstance(verdict, dspy.Prediction) and "score" in verdict:  # DSPy's own score with feedback
        verdict, feedback = verdict["score"], str(verdict.get("feedback", "") or "")
    if isinstance(verdict, Real) and not math.isnan(float(verdict)) and 0.0 <= float(verdict) <= 1.0:
        return Score(float(verdict), feedback)
    hint = " (a return statement is missing?)" if verdict is None else ""
    raise BadMetric(
        f"the metric {name_of(metric)} returned {verdict!r} on {place}{hint}; expected a number in [0, 1], a bool, "
        "or a dstill.Score (with value None for an example that cannot be scored)"
    )


def name_of(metric: Metric) -> str:
    """What to call a metric: its own name, or its class's."""
    return str(getattr(metric, "__name__", None) or getattr(metric, "name", None) or type(metric).__name__)


@dataclass(frozen=True, slots=True)
class Exact:
    """See ``exact``."""

    field: str
    strict: bool = False

    @property
    def name(self) -> str:
        """``exact(field)``."""
        return f"exact({self.field})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        expected, got = str(example[self.field]), str(prediction.get(self.field, ""))
        same = expected == got if self.strict else _normal(expected) == _normal(got)
        return Score(float(same), "Right." if same else f"Expected {self.field} {expected!r}, got {got!r}.")


def exact(field: str, *, strict: bool = False) -> Exact:
    """1 if an output field equals the example's, else 0.

    Case, surrounding punctuation and runs of white space do not count, unless ``strict``.
    """
    return Exact(field, strict)


@dataclass(frozen=True, slots=True)
class Numeric:
    """See ``numeric``."""

    field: str
    tolerance: float = 1e-6

    @property
    def name(self) -> str:
        """``numeric(field)``."""
        return f"numeric({self.field})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        expected, got = number_in(example[self.field]), number_in(prediction.get(self.field))
        if expected is None:
            return Score(None, f"the example's {self.field} {example[self.field]!r} is no number")
        same = got is not None and math.isclose(expected, got, rel_tol=self.tolerance, abs_tol=self.tolerance)
        shown = prediction.get(self.field)
        return Score(float(same), "Right." if same else f"Expected {expected:g}, got {shown!r}.")


def numeric(field: str, *, tolerance: float = 1e-6) -> Numeric:
    """1 if the last number in an output field equals the example's within a relative or absolute tolerance, else 0.

    Thousands separators, currency signs and units around the number do not count.
    """
    return Numeric(field, tolerance)


_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][+-]?\d+)?|-?\.\d+")


def number_in(value: Any) -> float | None:
    """The last number in a text (or the number itself); ``None`` if there is none."""
    if isinstance(value, Real):
        return float(value)
    found = _NUMBER.findall(str(value))
    return float(found[-1].replace(",", "")) if found else None


def _normal(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .,;:!?\"'`")
