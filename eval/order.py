"""Reports brought to the same examples, in one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..runtime.errors import BadInput
from .report import Report


def aligned(report: Report, base: Report) -> Report:
    """A report on the baseline's examples, in the baseline's order; one on others as it is."""
    ids = [row.id for row in base.rows]
    places = {row.id: place for place, row in enumerate(report.rows)}
    if report is base or len(places) != len(report.rows) or places.keys() != set(ids) or list(places) == ids:
        return report
    return _cut(report, [places[id] for id in ids])


def on_shared(report: Report, base: Report) -> tuple[Report, Report]:
    """Two reports cut to the examples that both were run on, in the baseline's order.

    Raises:
        BadInput: where they share none.
    """
    places = {row.id: place for place, row in enumerate(report.rows)}
    kept = [place for place, row in enumerate(base.rows) if row.id in places]
    if not kept:
        raise BadInput(f"{report.system} and {base.system} share no example: expected some that both were run on")
    return _cut(report, [places[base.rows[place].id] for place in kept]), _cut(base, kept)


def _cut(report: Report, places: Sequence[int]) -> Report:
    """A report of the rows at some places, in that order."""
    rows = tuple(replace(report.rows[place], index=index) for index, place in enumerate(places))
    asked = None if report.examples is None else tuple(report.examples[place] for place in places)
    return replace(report, rows=rows, examples=asked)
