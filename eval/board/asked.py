"""What the systems of a board were asked, held against the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import dspy

from ...runtime.errors import BadInput
from ..report import Report
from ..rows import fields_of

Example: TypeAlias = Mapping[str, Any] | dspy.Example
Asked: TypeAlias = tuple[dict[str, Any], ...]
"""The fields of an example for each row, without its id."""


def asked_of(reports: Sequence[Report], base: Report, examples: Sequence[Example] | None) -> Asked | None:
    """What was asked, in the order of the baseline's rows: as given, or else as the reports have kept it.

    Another tool may describe an example in other words: of reports whose examples have other fields than those of the
    first that has some, nothing is taken. An example that no report has kept has no fields; ``None`` if none was kept
    at all.

    Raises:
        BadInput: for examples that are not those of the rows, and where two reports have different ones under one id.
    """
    if examples is not None:
        return _given(examples, base)
    found: dict[str, tuple[dict[str, Any], str]] = {}
    fields: set[str] = set()
    for report in reports:
        own = {name for example in report.examples or () for name in _body(example)}
        fields = fields or own
        if own != fields:
            continue
        for row, example in zip(report.rows, report.examples or (), strict=report.examples is not None):
            body = _body(example)
            known, owner = found.setdefault(row.id, (body, report.system))
            if known != body:
                raise BadInput(
                    f"{owner} and {report.system} were asked different things under the id {row.id!r} "
                    f"({_difference(known, body)}): expected results on the same examples"
                )
    return tuple(found.get(row.id, ({}, ""))[0] for row in base.rows) if found else None


def _given(examples: Sequence[Example], base: Report) -> Asked:
    if len(examples) != len(base.rows):
        raise BadInput(f"{len(examples)} examples for {len(base.rows)} rows: expected those that were evaluated")
    for example, row in zip(examples, base.rows, strict=True):
        own = dict(example.items()).get("id", row.id)
        if str(own) != row.id:
            raise BadInput(f"the example {own!r} stands where the rows have {row.id!r}: expected the rows' order")
    return tuple(_body(fields_of(example)) for example in examples)


def _body(example: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in example.items() if name != "id"}


def _difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    name = next(name for name in (*one, *other) if one.get(name) != other.get(name))
    return f"{name}: {str(one.get(name))[:40]!r} and {str(other.get(name))[:40]!r}"
