"""Rows that cannot be counted are refused, with what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..runtime.errors import BadInput
from .rows import Row
from .samples import is_mean


def check_rows(system: str, rows: Sequence[Row]) -> None:
    """Refuse rows of which no figure could be made.

    Raises:
        BadInput: for no rows, two of one id, a score outside [0, 1], a row that is unscored and has a score, or one
            whose score is not the mean of its answers.
    """
    if not rows:
        raise BadInput(f"{system} has no rows: expected at least one example")
    twice = [id for id, count in Counter(row.id for row in rows).items() if count > 1]
    if twice:
        raise BadInput(f"{system} has two rows with the id {twice[0]!r}: give each example an id of its own")
    for row in rows:
        if row.score is not None and not 0 <= row.score <= 1:
            raise BadInput(
                f"{system} scores {row.score!r} on the example {row.id!r}: expected a number from 0 to 1, or "
                "None where it could not be scored"
            )
        if (row.score is None) != (row.status == "unscored"):
            raise BadInput(
                f"{system} has the score {row.score!r} on the example {row.id!r}, which is called "
                f"{row.status}: expected no score if and only if it is unscored"
            )
        if not is_mean(row):
            raise BadInput(
                f"{system} scores {row.score!r} on the example {row.id!r}, whose answers score "
                f"{row.samples}: expected their mean, and each a number from 0 to 1 or None"
            )
