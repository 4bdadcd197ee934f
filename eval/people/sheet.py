"""A sheet for people: a random part of an evaluation's answers as CSV, with a column for their labels.

The sheet is blind: it names neither the system nor what the judge said, so that a label is what the person thinks.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

from ...runtime.atomic import write_bytes
from ...runtime.canonical import canonical, digest
from ...runtime.derive import derive
from ...runtime.errors import BadInput
from ..report import Report
from ..rows import Row
from .labels import LABEL, MARK, read_labels

MOST = 30_000
"""Characters in a cell; common spreadsheets take 32,767."""
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[\d.,]+%?")


def write_sheet(report: Report, path: Path | str, n: int = 60, seed: int = 0) -> int:
    """Write answers of an evaluation, drawn at random, for people to label; how many there are.

    Columns: ``id``, the example's fields (``example.NAME``), the answer's (``output.NAME``), ``label``, which is empty,
    and ``answer``, a digest by which a label is known to be of this answer. Rows stand in random order, so those
    labelled first are a random part too, and a larger ``n`` with the same seed begins with the same rows. An answer
    that failed counts as 0 and has that label already. Text that a spreadsheet would take for a formula has an
    apostrophe before it.

    Args:
        n: rows, at most; all that count where there are fewer. Rows that the judge has not scored are left out.

    Raises:
        BadInput: for n below 2, a report without two scored rows, one of several answers to an example, or a file
            that holds labels already.
    """
    if not isinstance(n, int) or isinstance(n, bool) or n < 2:
        raise BadInput(f"n={n!r}: expected a whole number of rows to be labelled, 2 or more")
    check_single(report)
    path = Path(path)
    _keep_labels(path)
    order = [place for place, row in enumerate(report.rows) if row.score is not None]
    if len(order) < 2:
        raise BadInput(f"{report.system} has {len(order)} scored rows: expected at least two to be labelled")
    derive(seed, "labels").shuffle(order)
    chosen = order[:n]
    asked = [report.examples[place] if report.examples is not None else {} for place in chosen]
    rows = [report.rows[place] for place in chosen]
    fields = list(dict.fromkeys(name for body in asked for name in body if name != "id"))
    outputs = list(dict.fromkeys(name for row in rows for name in row.outputs))
    text = io.StringIO(newline="")
    sheet = csv.writer(text)
    heads = [*(f"example.{name}" for name in fields), *(f"output.{name}" for name in outputs)]
    sheet.writerow(["id", *heads, LABEL, MARK])
    for body, row in zip(asked, rows, strict=True):
        cells = [*(body.get(name) for name in fields), *(row.outputs.get(name) for name in outputs)]
        sheet.writerow([row.id, *map(_cell, cells), "0" if row.status == "failed" else "", mark_of(row)])
    write_bytes(path, text.getvalue().encode("utf-8-sig"))  # with the mark by which spreadsheets know UTF-8
    return len(rows)


def check_single(report: Report) -> None:
    """Refuse rows that a label cannot be of.

    Raises:
        BadInput: as ``Report.check``, for several answers to an example, or an evaluation that stopped when decided.
    """
    report.check()
    if report.samples > 1:
        raise BadInput(
            f"{report.system} has up to {report.samples} answers to an example, and a label is of one answer: evaluate "
            "with one"
        )
    if report.planned is not None:
        raise BadInput(
            f"{report.system} was stopped when decided, after {len(report.rows)} of {report.planned} examples, which "
            "the interval does not allow for: evaluate on all"
        )


def mark_of(row: Row) -> str:
    """A digest of an answer, 12 hex digits."""
    return digest([row.id, row.outputs])[:12]


def _cell(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else canonical(value).decode()
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if len(text) > MOST:
        text = f"{text[:MOST]}... (the first {MOST:,} of {len(text):,} characters)"
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _keep_labels(path: Path) -> None:
    """Raises BadInput where writing would lose people's work."""
    if path.exists():
        there = len(read_labels(path).values)
        if there:
            raise BadInput(f"{path} holds labels already, {there} of them: give another file, or move it away")
