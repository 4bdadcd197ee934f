"""Reports brought into one order of the examples."""

from __future__ import annotations

from dataclasses import replace

from .report import Report


def aligned(report: Report, base: Report) -> Report:
    """A report on the baseline's examples, in the baseline's order; one on others as it is."""
    ids = [row.id for row in base.rows]
    places = {row.id: place for place, row in enumerate(report.rows)}
    if report is base or len(places) != len(report.rows) or places.keys() != set(ids) or list(places) == ids:
        return report
    order = [places[id] for id in ids]
    rows = tuple(replace(report.rows[place], index=index) for index, place in enumerate(order))
    asked = None if report.examples is None else tuple(report.examples[place] for place in order)
    return replace(report, rows=rows, examples=asked)
