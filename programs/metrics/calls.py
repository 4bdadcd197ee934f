"""Function calls judged by their syntax tree, as the Berkeley Function-Calling Leaderboard judges them.

Source: Patil et al., "The Berkeley Function Calling Leaderboard (BFCL)", ICML 2025 (its AST categories). The gold
answer is a list of calls, each ``{name: {argument: [accepted values]}}``; ``""`` among the accepted values says that
the argument may be left out, and the fields of an object are lists of accepted values in turn. Text is compared without
case, spaces and the characters ``,./-_*^``. Calls may stand in any order. An empty list wants no call.

Differences from the leaderboard's script: types are judged by the accepted values and not by the functions'
declarations, so that ``5.0`` is taken for ``5``; calls are paired by a maximum matching, where the script takes the
first that fits; a value that is no literal (a variable, a nested call) makes the answer unreadable; an example with an
argument that accepts no value cannot be scored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from .base import Score
from .calls_in import FunctionCall, calls_in
from .fields import RIGHT, answer_of, shown, wanted_of

Gold = list[tuple[str, dict[str, list[Any]]]]


@dataclass(frozen=True, slots=True)
class FunctionCalls:
    """See ``function_calls``."""

    field: str
    gold: str = ""

    @property
    def name(self) -> str:
        """``function_calls(field)``."""
        return f"function_calls({self.field})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        place = self.gold or self.field
        raw = wanted_of(example, prediction, self.field, self.gold, list, tuple)
        if isinstance(raw, Score):
            return raw
        gold = _gold(raw)
        if gold is None:
            wanted = "[{name: {argument: [accepted values]}}], with one accepted value at least"
            return Score(None, f"the example's {place} is {shown(raw)}: expected {wanted}")
        answer = answer_of(prediction, self.field)
        try:
            why = _wrong(gold, calls_in(answer), answer)
        except RecursionError:
            why = "Expected arguments of the gold answer's depth."
        return Score(float(not why), why or RIGHT)


def function_calls(field: str, *, gold: str = "") -> FunctionCalls:
    """1 if an output field makes the calls that the example wants, in any order, else 0; nothing is run.

    Args:
        gold: the example's field with the wanted calls, where it has another name than the output field.
    """
    return FunctionCalls(field, gold)


def matches(value: Any, accepted: Any) -> bool:
    """Whether a value is one accepted value; the fields of an accepted object are lists of accepted values."""
    if isinstance(value, str) and isinstance(accepted, str):
        return _standard(value) == _standard(accepted)
    if isinstance(value, bool) or isinstance(accepted, bool) or value is None or accepted is None:
        return value is accepted
    if isinstance(value, int | float) and isinstance(accepted, int | float):
        return value == accepted
    if isinstance(value, list | tuple) and isinstance(accepted, list | tuple):
        return len(value) == len(accepted) and all(map(matches, value, accepted))
    if isinstance(value, Mapping) and isinstance(accepted, Mapping):
        return _argument_wrong(value, accepted) == ""
    return False


def _argument_wrong(given: Mapping[str, Any], accepted: Mapping[str, Any]) -> str:
    """What is wrong with the first argument that is wrong; empty where none is."""
    for name, value in given.items():
        if name not in accepted:
            return f"argument {shown(name)} is not expected"
        choices = accepted[name]
        if not any(matches(value, choice) for choice in _choices(choices)) and not matches(value, choices):
            return f"argument {name}: expected one of {shown(choices)}, got {shown(value)}"
    for name, choices in accepted.items():
        if name not in given and "" not in _choices(choices):
            return f"argument {name} is missing, expected one of {shown(choices)}"
    return ""


def _choices(choices: Any) -> Sequence[Any]:
    return choices if isinstance(choices, list | tuple) else [choices]


def _wrong(gold: Gold, calls: list[FunctionCall] | None, answer: Any) -> str:
    """What is wrong with the calls; empty where nothing is."""
    if not gold:
        return f"Expected no call, got {shown(answer)}." if calls else ""
    wanted = ", ".join(name for name, _ in gold)
    if calls is None:
        return f"Expected calls of {wanted}, got no readable call: {shown(answer)}."
    if len(calls) != len(gold):
        return f"Expected {len(gold)} calls ({wanted}), got {len(calls)}."
    if len(gold) == 1:
        (name, accepted), call = gold[0], calls[0]
        if call.name != name:
            return f"Expected a call of {name}, got {shown(call.name)}."
        why = _argument_wrong(call.arguments, accepted)
        return f"{name}: {why}." if why else ""
    fits = [[c.name == name and not _argument_wrong(c.arguments, accepted) for c in calls] for name, accepted in gold]
    left = _unmatched(fits)
    return f"Expected calls of {wanted}; none is left for {gold[left][0]} {shown(gold[left][1])}." if left >= 0 else ""


def _unmatched(fits: list[list[bool]]) -> int:
    """The first row that no matching of rows to columns has a place for, -1 if there is none (Kuhn, 1955)."""
    owner: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for column, fit in enumerate(fits[row]):
            if fit and column not in tried:
                tried.add(column)
                if column not in owner or place(owner[column], tried):
                    owner[column] = row
                    return True
        return False

    return next((row for row in range(len(fits)) if not place(row, set())), -1)


def _gold(raw: Sequence[Any]) -> Gold | None:
    found: Gold = []
    for item in raw:
        if not isinstance(item, Mapping) or len(item) != 1:
            return None
        (name, arguments), *_ = item.items()
        if not isinstance(arguments, Mapping) or not all(isinstance(a, list | tuple) and a for a in arguments.values()):
            return None
        found.append((str(name), {str(key): list(value) for key, value in arguments.items()}))
    return found


def _standard(text: str) -> str:
    return re.sub(r"[ ,./\-_*^]", "", text).lower().replace("'", '"')
