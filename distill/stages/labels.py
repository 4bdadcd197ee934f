"""Which labels a classifier learns to give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

from ...runtime.errors import BadInput
from ..state import Pair
from ..students.formats import admits_none


def label_field_of(signature: Any, name: str) -> str:
    """The one output field that a classifier answers.

    Raises:
        BadInput: for a predictor with others.
    """
    fields: list[str] = [field for field in signature.output_fields if field != "reasoning"]
    if len(fields) != 1:
        raise BadInput(
            f"predictor {name} has the output fields {', '.join(fields)}: a classifier answers one field besides "
            "reasoning; use a generative student (recipe 'sft' or 'step-by-step')"
        )
    return fields[0]


def declared_labels(signature: Any, label_field: str) -> list[str]:
    """The labels of a field's ``Literal`` type; none for another type."""
    annotation = signature.output_fields[label_field].annotation
    return [str(value) for value in get_args(annotation)] if get_origin(annotation) is Literal else []


def may_be_none(signature: Any, label_field: str) -> bool:
    """Whether the field may have no value."""
    return admits_none(signature.output_fields[label_field].annotation)


def labels_of(signature: Any, label_field: str, rows: Sequence[Pair]) -> tuple[list[str], list[str]]:
    """The labels, and remarks on those that the rows hardly teach."""
    met = Counter(row.outputs[label_field] for row in rows)
    labels = declared_labels(signature, label_field)
    if declared := bool(labels):
        strange = sorted(set(met) - set(labels))
        if strange:
            raise BadInput(f"labels that {label_field} does not allow: {', '.join(strange[:5])}")
    else:
        labels = sorted(met)
    if len(set(met)) < 2:
        raise BadInput(
            f"all {len(rows)} rows have one label ({next(iter(met), 'none')}): a classifier needs two or more"
        )
    if not declared and len(labels) > len(rows) / 2:
        raise BadInput(
            f"{label_field} has {len(labels)} different values in {len(rows)} rows: that is no set of labels, or too "
            "few rows to tell; declare the labels as a Literal, keep more rows, or use a generative student (recipe "
            "'sft' or 'step-by-step')"
        )
    unseen, lone = [label for label in labels if not met[label]], [label for label in labels if met[label] == 1]
    remarks = [f"labels that no row has, and that it will hardly give: {_few(unseen)}"] if unseen else []
    return labels, remarks + ([f"labels with one row: {_few(lone)}"] if lone else [])


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
