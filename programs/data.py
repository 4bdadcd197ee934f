"""Reading examples from files: JSONL, CSV, TSV and Parquet, gzip of the first three, and Hugging Face data sets."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import dspy
import orjson

from ..runtime.cells import Cells
from ..runtime.errors import BadInput

FORMATS = ".jsonl, .csv, .tsv, .parquet, and .gz of the first three"


def read_rows(path: Path | str) -> list[dict[str, Any]]:
    """The rows of a data file, in order.

    Raises:
        BadInput: for a file that is missing, of no known format, empty, or broken, with the line's number.
    """
    return [row for _, row in _numbered(Path(path).expanduser())]


def _numbered(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The rows of a data file, each with its place in it."""
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix == ".parquet":
        rows = [(f"row {number}", row) for number, row in enumerate(_parquet(path), 1)]
    elif suffix in (".jsonl", ".csv", ".tsv"):
        try:
            opened: Any = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115
            with opened as file:
                rows = _jsonl(path, file) if suffix == ".jsonl" else _table(path, file, suffix)
        except (OSError, EOFError) as error:
            raise BadInput(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    else:
        raise BadInput(f"{path}: files of this kind cannot be read; expected {FORMATS}")
    if not rows:
        raise BadInput(f"{path} is empty: it has no rows")
    return rows


def read_examples(
    path: Path | str,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str] = (),
    rename: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> list[dspy.Example]:
    """The examples in a data file.

    Args:
        inputs: fields that a program is given.
        outputs: further fields that every row must have (labels); all other fields are kept as well.
        rename: new names of fields, by their names in the file.
        limit: take only so many from the start.

    Raises:
        BadInput: for a broken file, or a row that lacks a field, with its line's number.
    """
    made = []
    for place, row in _numbered(Path(path).expanduser())[:limit]:
        renamed = {(rename or {}).get(name, name): value for name, value in row.items()}
        made.append(_example(renamed, inputs, outputs, f"{path}, {place}"))
    return made


def read_hub(
    name: str,
    split: str,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str] = (),
    rename: Mapping[str, str] | None = None,
) -> list[dspy.Example]:
    """The examples of a Hugging Face data set's split, through the optional ``datasets`` package.

    ``name`` may carry a configuration: ``glue:sst2``. Class labels become their names.

    Raises:
        BadInput: if ``datasets`` is not installed, or the data set cannot be had.
    """
    try:
        import datasets
    except ImportError:
        raise BadInput("data sets by name need the 'datasets' package: pip install 'dstill[data]'") from None
    base, _, config = name.partition(":")
    try:
        loaded = datasets.load_dataset(base, config or None, split=split)
    except Exception as error:
        raise BadInput(f"the data set {name!r}, split {split!r}, cannot be had: {error}") from None
    labels = {n: f.int2str for n, f in loaded.features.items() if isinstance(f, datasets.ClassLabel)}
    rows = [
        {
            (rename or {}).get(field, field): labels[field](value) if field in labels and value is not None else value
            for field, value in row.items()
        }
        for row in loaded
    ]
    return make_examples(rows, inputs=inputs, outputs=outputs, source=f"{name}[{split}]")


def make_examples(
    rows: Iterable[Mapping[str, Any]], *, inputs: Sequence[str], outputs: Sequence[str] = (), source: str = "rows"
) -> list[dspy.Example]:
    """Examples from rows, each checked for its fields."""
    return [_example(row, inputs, outputs, f"{source}, row {number}") for number, row in enumerate(rows, 1)]


def _example(row: Mapping[str, Any], inputs: Sequence[str], outputs: Sequence[str], place: str) -> dspy.Example:
    for field in (*inputs, *outputs):
        if field not in row:
            raise BadInput(f"{place}: no field {field!r}; it has: {', '.join(map(str, row))}")
    return dspy.Example(**row).with_inputs(*inputs)


def _jsonl(path: Path, file: IO[bytes]) -> list[tuple[str, dict[str, Any]]]:
    rows = []
    for number, whole in enumerate(file, 1):
        line = whole.removeprefix(codecs.BOM_UTF8) if number == 1 else whole
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise BadInput(f"{path}, line {number}: not JSON ({error})") from None
        if not isinstance(row, dict):
            raise BadInput(f"{path}, line {number}: expected a JSON object, got {line.decode(errors='replace')[:60]!r}")
        rows.append((f"line {number}", row))
    return rows


def _table(path: Path, file: IO[bytes], suffix: str) -> list[tuple[str, dict[str, Any]]]:
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8 text ({error})") from None
    reader = Cells(io.StringIO(text, newline=""), "\t" if suffix == ".tsv" else ",")
    try:
        header = next(reader, [])
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise BadInput(f"{path}, line 1: the heading {twice[0]!r} stands there twice; each column needs its own")
        rows = []
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise BadInput(f"{path}, line {reader.line}: {len(cells)} cells under {len(header)} headings")
            rows.append((f"line {reader.line}", dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise BadInput(f"{path}, line {reader.line}: {error}") from None
    return rows


def _parquet(path: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise BadInput("Parquet files need the 'pyarrow' package: pip install 'dstill[data]'") from None
    try:
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    except Exception as error:
        raise BadInput(f"cannot read {path}: {error}") from None
    return rows
