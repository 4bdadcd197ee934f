"""Metrics of structured answers: JSON that is equal to the gold JSON, or agrees with it in so many fields.

JSON is read from the text of an answer, a Markdown fence around it or not; a dict, a list or a pydantic model is taken
as it is. The order of keys does not count. Types do: ``1`` and ``1.0`` are one number, but no ``"1"`` and no ``true``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dspy

from .base import Score
from .fields import RIGHT, answer_of, judged, shown, wanted_of

NO_JSON = object()
"""What ``json_in`` finds where there is no JSON."""

_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_MOST = 1_000_000
"""Leaves that are compared; an answer with more is wrong."""


def json_in(value: Any) -> Any:
    """The JSON value of an answer, ``NO_JSON`` where it holds none.

    Text is parsed whole, or else the first fenced block in it; ``NaN`` and ``Infinity`` are no JSON.
    """
    if hasattr(value, "model_dump"):
        try:
            return value.model_dump(mode="json")
        except Exception:  # a model whose own serializer fails
            return NO_JSON
    if not isinstance(value, str):
        return value
    fence = _FENCE.search(value) if "```" in value else None
    for text in (value, fence.group(1) if fence else None):
        if text is not None:
            try:
                return json.loads(text, parse_constant=_refuse)
            except (ValueError, RecursionError):
                continue
    return NO_JSON


def leaves(value: Any) -> dict[tuple[str | int, ...], Any] | None:
    """A JSON value as its leaves, by path: keys of objects, places in lists; an empty object or list is a leaf.

    ``None`` for what is no JSON or too large.
    """
    found: dict[tuple[str | int, ...], Any] = {}
    for path, leaf in _walk(value):
        if leaf is NO_JSON or len(found) >= _MOST:
            return None
        found[path] = leaf
    return found


@dataclass(frozen=True, slots=True)
class JsonEqual:
    """See ``json_equal``."""

    field: str
    gold: str = ""

    @property
    def name(self) -> str:
        """``json_equal(field)``."""
        return f"json_equal({self.field})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        found = _both(example, prediction, self.field, self.gold)
        if isinstance(found, Score):
            return found
        gold, got = found
        same = got is not None and gold.keys() == got.keys() and all(_same(gold[path], got[path]) for path in gold)
        return judged(float(same), example[self.gold or self.field], answer_of(prediction, self.field))


def json_equal(field: str, *, gold: str = "") -> JsonEqual:
    """1 if the JSON in an output field equals the example's, whatever the order of keys, else 0.

    Args:
        gold: the example's field with the gold JSON, where it has another name than the output field.
    """
    return JsonEqual(field, gold)


@dataclass(frozen=True, slots=True)
class JsonFields:
    """See ``json_fields``."""

    field: str
    gold: str = ""

    @property
    def name(self) -> str:
        """``json_fields(field)``."""
        return f"json_fields({self.field})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        found = _both(example, prediction, self.field, self.gold)
        if isinstance(found, Score):
            return found
        gold, got = found
        if got is None:
            return Score(0.0, f"Expected JSON, got {shown(answer_of(prediction, self.field))}.")
        right = sum(path in got and _same(gold[path], got[path]) for path in gold)
        return Score(right / len(gold.keys() | got.keys()), _feedback(gold, got))


def json_fields(field: str, *, gold: str = "") -> JsonFields:
    """The share of fields, at any depth, in which the JSON in an output field agrees with the example's.

    A field is a leaf with its path. The share is of the fields that either has, so that what is missing and what was
    not asked for both count against an answer. Lists are compared place by place.

    Args:
        gold: the example's field with the gold JSON, where it has another name than the output field.
    """
    return JsonFields(field, gold)


def _walk(value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    left: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while left:  # no recursion: answers may nest deeper than Python's stack
        path, here = left.pop()
        if isinstance(here, Mapping) and here and len(path) < 100:
            if not all(isinstance(key, str) for key in here):
                yield path, NO_JSON
            left.extend(((*path, key), below) for key, below in here.items())
        elif isinstance(here, list | tuple) and here and len(path) < 100:
            left.extend(((*path, place), below) for place, below in enumerate(here))
        elif here is None or isinstance(here, bool | int | float | str):
            yield path, here
        elif isinstance(here, Mapping | list | tuple) and not here:
            yield path, {} if isinstance(here, Mapping) else []
        else:
            yield path, NO_JSON


def _same(one: Any, other: Any) -> bool:
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    return (type(one) is type(other) or (numbers and bool not in (type(one), type(other)))) and bool(one == other)


def _both(example: Any, prediction: Any, field: str, gold: str) -> Any:
    value = wanted_of(example, prediction, field, gold)
    if isinstance(value, Score):
        return value
    wanted = leaves(json_in(value))
    if wanted is None:
        return Score(None, f"the example's {gold or field} is {shown(value)}: expected JSON")
    return wanted, leaves(json_in(answer_of(prediction, field, NO_JSON)))


def _feedback(gold: dict[Any, Any], got: dict[Any, Any]) -> str:
    said = []
    for path in sorted(gold.keys() | got.keys(), key=str):
        place = ".".join(map(str, path)) or "the value"
        if path not in got:
            said.append(f"{place}: expected {shown(gold[path], 60)}, got nothing")
        elif path not in gold:
            said.append(f"{place}: not expected")
        elif not _same(gold[path], got[path]):
            said.append(f"{place}: expected {shown(gold[path], 60)}, got {shown(got[path], 60)}")
    more = f" (and {len(said) - 5} more)" if len(said) > 5 else ""
    return f"{'; '.join(said[:5])}{more}." if said else RIGHT


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
