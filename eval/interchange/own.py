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
    """An evaluation's directory, or that of a ``dstill run`` with all evaluations in it; whole, as they were saved."""

    name: str = "dstill"

    def results(self, path: Path, reading: Reading) -> Results:
        """The reports, renamed as asked.

        Raises:
            BadInput: where there is none, or none is what was asked for.
            Damaged: for files that are not what was written.
        """
        inner = [] if (path / "report.json").exists() else sorted(path.glob("*/rows.jsonl"))
        name = reading.name
        found = [Report.load(folder) for folder in ([file.parent for file in inner] or [path])]
        reports = [replace(r, task=name(r.task), split=name(r.split), metric=name(r.metric)) for r in found]
        kept = tuple(report for report in reports if not reading.tasks or report.task in reading.tasks)
        if not kept:
            tasks = ", ".join(dict.fromkeys(report.task for report in reports))
            raise BadInput(f"{path} has no task {' or '.join(reading.tasks)}; expected: {tasks}")
        return chosen(Results(path, self.name, kept), reading)
