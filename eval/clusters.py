"""Examples that stand together: rows that say what they share, from which every figure takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..runtime.canonical import canonical
from ..runtime.errors import BadInput
from .report import Report


def clustered(report: Report, field: str, examples: Sequence[Mapping[str, Any]] | None = None) -> Report:
    """The report with examples taken together that share a value of a field, e.g. a document with many questions.

    Its score, and what it is compared with, then have cluster-robust intervals and tests
    (``dstill.eval.statistics.cluster_mean``); the means stay what they are. An example without the field, or with
    ``None`` there, stands alone.

    Args:
        field: of the examples.
        examples: the fields of each row's example; what the report has kept by default.

    Raises:
        BadInput: where examples were not kept, none has the field, all share one value, or the evaluation was stopped
            when decided, whose intervals take examples for independent.
    """
    asked = report.examples if examples is None else examples
    if asked is None:
        raise BadInput(
            f"{report.system} has kept no examples, so their field {field!r} is not known: evaluate it anew, or hand "
            "the examples in"
        )
    if report.planned is not None:
        raise BadInput(
            f"{report.system} was stopped when decided, by intervals that take examples for independent: expected an "
            "evaluation of all examples for clusters"
        )
    if not any(field in example for example in asked):
        known = list(dict.fromkeys(name for example in asked for name in example))
        raise BadInput(f"no example has a field {field!r} to cluster by; expected one of: {', '.join(known)}")
    values = [_label(example.get(field)) for example in asked]
    if None not in values and len(set(values)) == 1:
        raise BadInput(
            f"all {len(values)} examples share one {field}, {values[0]!r:.60}: expected at least two clusters"
        )
    rows = tuple(replace(row, cluster=value) for row, value in zip(report.rows, values, strict=True))
    return replace(report, rows=rows)


def _label(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else canonical(value).decode()
