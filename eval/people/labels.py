"""Labels of people, read from a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...runtime.errors import BadInput
from ..interchange.table import rows_in

LABEL, MARK = "label", "answer"
"""The columns of the label, and of the digest of the answer that it is of."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What people say of answers, by the ids of the examples."""

    values: Mapping[str, float]
    """In [0, 1]."""
    empty: int = 0
    """Rows without a label."""
    marks: Mapping[str, str] | None = None
    """Digests of the answers that were labelled, where they are known."""
    source: str = "the labels"
    """What to call them in messages."""


def read_labels(path: Path | str) -> Labels:
    """Labels from a table (.csv, .tsv, .jsonl, .json, also .gz) with the columns ``id`` and ``label``.

    Rows without a label are counted. Other columns are not read, but for ``answer``, which ``write_sheet`` writes.

    Raises:
        BadInput: for a file that is missing or broken or lacks a column, an id that is missing or stands twice, or a
            label that is no number from 0 to 1; file, line and value are named.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"there is no file of labels at {path} (make one: dstill export RUN --to labels --out FILE)")
    values: dict[str, float] = {}
    marks: dict[str, str] = {}
    places: dict[str, int] = {}
    empty = 0
    for line, row in rows_in(path):
        cells = {str(name).strip().lower(): value for name, value in row.items()}
        for name in ("id", LABEL):
            if name not in cells:
                raise BadInput(f"{path}, line {line}: no column {name!r}; it has: {', '.join(map(repr, row))}")
        id = "" if cells["id"] is None else str(cells["id"])
        if not id.strip():
            raise BadInput(f"{path}, line {line}: the id is empty; expected that of an example")
        if id in places:
            raise BadInput(f"{path}, line {line}: the id {id!r} stands in line {places[id]} too; expected it once")
        places[id] = line
        label = _number(cells[LABEL], f"{path}, line {line}")
        if label is None:
            empty += 1
            continue
        values[id] = label
        if cells.get(MARK):
            marks[id] = str(cells[MARK]).strip()
    return Labels(values, empty, marks, str(path))


def _number(cell: Any, where: str) -> float | None:
    """A label, or ``None`` for an empty cell."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return None
    try:
        label = float(cell)
    except (TypeError, ValueError):
        label = -1.0
    if not 0 <= label <= 1:
        raise BadInput(
            f"{where}: the label is {str(cell)[:60]!r}; expected a number from 0 (bad) to 1 (good), or nothing"
        )
    return label
