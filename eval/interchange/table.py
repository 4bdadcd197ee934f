"""Plain tables of scores: CSV, TSV and JSON lines (each also .gz), or a JSON array of objects.

A row is an example's score (``score``), its scores by several metrics (a column each), or its scores of several systems
(a column each). Further columns may say the system, task, split, metric, output, cost and time; ``columns`` has the
names. What is left describes the example, and boards can be sliced by it.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ...runtime.cells import Cells
from ...runtime.errors import BadInput
from ..rows import Failure
from .collect import Collector
from .columns import Columns, columns_of
from .part import Part, Source
from .sample import Mark, Sample
from .streams import elements, lines, opened

PEEKED = 1000
"""Rows by which the columns are told apart."""
Numbered = Iterator[tuple[int, dict[str, Any]]]


@dataclass(frozen=True)
class Table:
    """A file with a row for each example, or for each example and system."""

    name: str = "table"

    def read(self, path: Path, into: Collector) -> None:
        """Hand over every sample; see ``Reader``."""
        rows = rows_in(path)
        first = list(islice(rows, PEEKED))
        if not first:
            raise BadInput(f"{path} is empty: it has no rows")
        heads = list(dict.fromkeys(head for _, row in first for head in row))
        columns = columns_of(heads, [row for _, row in first], into.reading, str(path))
        _Rows(path, columns, into).take(chain(first, rows))


def rows_in(path: Path) -> Numbered:
    """The rows of a table with the numbers of their lines.

    Raises:
        BadInput: for a file that is broken, with the line, and of no known kind.
    """
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix == ".jsonl":
        return lines(path)
    if suffix == ".json":
        return _objects(path)
    if suffix in (".csv", ".tsv"):
        return _cells(path, "\t" if suffix == ".tsv" else ",")
    raise BadInput(f"{path}: expected a table with the ending .csv, .tsv, .jsonl or .json, or .gz of these")


def _cells(path: Path, delimiter: str) -> Numbered:
    with opened(path) as file:
        first = file.readline().removeprefix(codecs.BOM_UTF8)
        reader = Cells((line.decode() for line in chain([first], file)), delimiter)
        try:
            heads = next(reader, [])
            twice = [head for head in heads if heads.count(head) > 1]
            if twice:
                raise BadInput(f"{path}, line 1: two columns are called {twice[0]!r}")
            for cells in reader:
                if len(cells) != len(heads):
                    if not cells:
                        continue
                    raise BadInput(f"{path}, line {reader.line}: {len(cells)} cells under {len(heads)} headings")
                yield reader.line, dict(zip(heads, cells, strict=True))
        except csv.Error as error:
            raise BadInput(f"{path}, line {reader.line}: {error}") from None
        except UnicodeDecodeError as error:
            raise BadInput(f"{path}, line {reader.line + 1}: not UTF-8 ({error.reason})") from None


def _objects(path: Path) -> Numbered:
    for number, row in enumerate(elements(path), 1):
        if not isinstance(row, dict):
            raise BadInput(f"{path}, entry {number}: expected a JSON object, got {str(row)[:60]!r}")
        yield number, row


class _Rows:
    """Rows to samples."""

    def __init__(self, path: Path, columns: Columns, into: Collector) -> None:
        self._path, self._columns, self._into = path, columns, into
        self._unit = "entry" if path.suffix == ".json" else "line"
        self._stem = path.name.partition(".")[0]
        self._parts: dict[tuple[str, str, str], Part | None] = {}
        self._roles = columns.roles
        self._plain = not columns.outputs and not columns.asked and set(self._roles) <= {"id", "score", "system"}

    def take(self, rows: Numbered) -> None:
        """Hand over all of them."""
        columns = self._columns
        for number, row in rows:
            if columns.systems:
                for system in columns.systems:
                    self._add(system, number, row, {"score": row.get(system)})
            else:
                self._add(str(self._cell(row, "system") or self._stem), number, row, self._values(row))

    def _values(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """The scores in a row, by metric."""
        found = {name: row.get(name) for name in self._columns.metrics}
        if "score" in self._roles and not found:
            found[str(self._cell(row, "metric") or "score")] = row.get(self._roles["score"])
        several = self._cell(row, "scores")
        return {**found, **several} if isinstance(several, dict) else found

    def _add(self, system: str, number: int, row: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        part = self._part(system, row)
        if part is None:
            return
        id = row.get(self._roles["id"])
        sample = Sample("" if id is None else str(id), number, {}, self._unit)
        sample.marks = {name: Mark(value) for name, value in values.items()}
        if not self._plain:
            self._details(sample, row, next(iter(values), "") if "metric" in self._roles else "")
        part.add(sample)

    def _part(self, system: str, row: Mapping[str, Any]) -> Part | None:
        task, split = str(self._cell(row, "task") or ""), str(self._cell(row, "split") or "")
        key = system, task, split
        if key not in self._parts:
            part = self._into.part(Source(*key, self._path)) if not task or self._into.wants(task) else None
            if part is not None:
                part.strict = True
            self._parts[key] = part
        return self._parts[key]

    def _details(self, sample: Sample, row: Mapping[str, Any], layer: str) -> None:
        sample.layer = layer
        repeat = self._cell(row, "repeat")
        sample.repeat = round(self._number(sample, row, "repeat")) if repeat not in (None, "") else 0
        sample.outputs = {name: row[name] for name in self._columns.outputs if row.get(name) not in (None, "")}
        sample.asked = {name: row[name] for name in self._columns.asked if row.get(name) not in (None, "")}
        sample.usd = self._number(sample, row, "usd")
        sample.seconds = self._number(sample, row, "seconds") or self._number(sample, row, "milliseconds") / 1000
        sample.tokens_in = round(self._number(sample, row, "tokens_in"))
        sample.tokens_out = round(self._number(sample, row, "tokens_out"))
        feedback, error = self._cell(row, "feedback"), self._cell(row, "error")
        if error:
            sample.failure = Failure("error", "Error", str(error)[:300])
        if feedback:
            sample.marks = {name: Mark(mark.value, str(feedback)) for name, mark in sample.marks.items()}

    def _cell(self, row: Mapping[str, Any], role: str) -> Any:
        return row.get(self._roles[role]) if role in self._roles else None

    def _number(self, sample: Sample, row: Mapping[str, Any], role: str) -> float:
        """A cost, a time, a count; nothing is 0."""
        value = self._cell(row, role)
        if value in (None, ""):
            return 0.0
        try:
            found = float(value)
        except (TypeError, ValueError):
            found = -1.0
        if not 0 <= found < 1e18:
            raise BadInput(
                f"{self._path}, {sample.unit} {sample.place}: {self._roles[role]} is {str(value)[:60]!r}; expected a "
                "number, 0 or more"
            )
        return found
