"""What metrics read: the gold value of an example, the answer of a prediction, and how both are shown.

An example that lacks its gold value, or has one of a wrong type, cannot be scored: that is the example's fault, and the
metric abstains (``Score(None, why)``). Whatever a prediction holds, or fails to hold, is a bad answer and no error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dspy

from ...runtime.errors import BadInput
from .base import Score

RIGHT = "Right."
"""The feedback on a full score."""


def gold_of(example: dspy.Example, field: str, *kinds: type) -> Any:
    """The gold value in an example's field, or the ``Score`` that says why the example cannot be scored.

    Args:
        kinds: the types that a gold value may have; any but ``None`` where there are none. A bool is not taken for
            a number here, because a gold answer ``true`` among numbers is a slip in the data.
    """
    if field not in example:
        return Score(None, f"the example has no field {field!r}; it has: {', '.join(map(str, example.keys()))}")
    value = example[field]
    wrong = bool(kinds) and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds))
    if value is None or wrong:
        wanted = " or ".join(kind.__name__ for kind in kinds) or "a value"
        return Score(None, f"the example's {field} is {shown(value)}: expected {wanted}")
    return value


def wanted_of(example: dspy.Example, prediction: Any, field: str, gold: str, *kinds: type) -> Any:
    """The gold value for an output field, as ``gold_of`` finds it, under its own name ``gold`` or the field's.

    Raises:
        BadInput: as ``check_field``, where the gold value has no name of its own.
    """
    if not gold:
        check_field(example, prediction, field)
    return gold_of(example, gold or field, *kinds)


def check_field(example: dspy.Example, prediction: Any, field: str) -> None:
    """Refuse a slip in a metric's name of an output field.

    Raises:
        BadInput: for a field that neither the example nor the prediction has: that is no unlabelled example but a
            metric made for another program, and every further call would be paid for nothing.
    """
    if field in example or not isinstance(prediction, dspy.Prediction):
        return
    names = [str(name) for name in prediction.keys()]  # noqa: SIM118  # a Prediction is no mapping
    if names and field not in names:
        raise BadInput(
            f"the metric reads the field {field!r}, which neither the example ({', '.join(example.keys())}) nor "
            f"the prediction ({', '.join(names)}) has"
        )


def answer_of(prediction: Any, field: str, otherwise: Any = None) -> Any:
    """What a prediction holds in a field; ``otherwise`` where it has no such field, or is no prediction at all."""
    if isinstance(prediction, Mapping | dspy.Example):
        try:
            return prediction.get(field, otherwise)
        except Exception:  # a prediction of a user's own class
            return otherwise
    return otherwise


def text_of(value: Any) -> str:
    """A value as text; ``None`` is the empty text. Never raises."""
    if value is None:
        return ""
    try:
        return str(value)
    except Exception:  # an int of more digits than Python prints, an object whose __str__ is broken
        return f"<{type(value).__name__}>"


def shown(value: Any, most: int = 200) -> str:
    """A value as it stands in feedback: its ``repr``, cut after ``most`` characters."""
    if isinstance(value, str) and len(value) > most:
        return f"{value[:most]!r}... ({len(value)} characters)"
    try:
        text = repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
    return text if len(text) <= most else f"{text[:most]}..."


def judged(value: float, expected: Any, got: Any) -> Score:
    """A score with the feedback ``Expected ..., got ...`` where it is not full."""
    return Score(value, RIGHT if value == 1.0 else f"Expected {shown(expected)}, got {shown(got)}.")
