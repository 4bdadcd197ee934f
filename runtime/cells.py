"""Rows of CSV tables, whose cells may be as long as prompts and answers are."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterable

LONGEST = 2**31 - 1
"""Characters of a cell; Python's own limit, 131,072, is below what a document has."""

_limit = threading.Lock()


class Cells:
    """An iterator over the rows of a table, each a list of its cells.

    The limit of a cell's length is that of the whole process, so it is lifted while a row is read, and put back.

    Raises:
        csv.Error: from ``next``, for a row that is broken.
    """

    def __init__(self, lines: Iterable[str], delimiter: str) -> None:
        self._reader = csv.reader(lines, delimiter=delimiter, strict=True)

    @property
    def line(self) -> int:
        """The number of the line that was read last."""
        return self._reader.line_num

    def __iter__(self) -> Cells:
        return self

    def __next__(self) -> list[str]:
        with _limit:
            before = csv.field_size_limit(LONGEST)
            try:
                return next(self._reader)
            finally:
                csv.field_size_limit(before)
