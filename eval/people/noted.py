"""What people would score the systems of a board, as notes beside the judge's scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...runtime.errors import BadInput
from ..report import Report
from .corrected import judged
from .labels import Labels
from .sheet import mark_of


def noted(reports: Sequence[Report], people: Sequence[Labels]) -> list[Report]:
    """The reports, each with a note of what people would score it, where there are labels of its answers.

    Whose answers were labelled is told by the digests in the sheet; labels without digests are of the only system. A
    board's scores, gains and ranks stay those of the judge.

    Raises:
        BadInput: as ``judged``, and for labels of no system's answers.
    """
    made = list(reports)
    for labels in people:
        places = [place for place, report in enumerate(reports) if _is_of(labels, report, len(reports) == 1)]
        if not places:
            shown = ", ".join(dict.fromkeys(report.system for report in reports))
            raise BadInput(
                f"{labels.source} has labels of no answers of {shown}: expected a sheet that was written for one of "
                "them (dstill export RUN --to labels)"
            )
        for place in places:
            made[place] = replace(made[place], notes=(*made[place].notes, judged(reports[place], labels).note))
    return made


def _is_of(labels: Labels, report: Report, alone: bool) -> bool:
    if not labels.marks:
        return alone
    marks = {row.id: mark_of(row) for row in report.rows}
    return all(marks.get(id) == mark for id, mark in labels.marks.items())
