"""dstill's own evaluations: run directories with ``report.json`` and ``rows.jsonl``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ...runtime.errors import BadInput
from ..report import Report
from .collect import Results, chosen
from .sample import Reading


@dataclass(frozen=True)
class Own:
    """An evaluation's directory; whole, as it was saved."""

    name: str = "dstill"

    def results(self, path: Path, reading: Reading) -> Results:
        """The one report, renamed as asked.

        Raises:
            BadInput: where there is none, or it is not what was asked for.
            Damaged: for files that are not what was written.
        """
        found = Report.load(path)
        name = reading.name
        report = replace(found, task=name(found.task), split=name(found.split), metric=name(found.metric))
        if reading.tasks and report.task not in reading.tasks:
            raise BadInput(f"{path} has no task {' or '.join(reading.tasks)}; expected: {report.task}")
        return chosen(Results(path, self.name, (report,)), reading)
