"""``dstill eval --against``: what is established of a report, whether it is made now or was there already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .eval.clusters import clustered
from .eval.gate import Decision, gate
from .eval.order import aligned, on_shared
from .eval.report import Report
from .eval.until import Until
from .results import How
from .runtime.errors import BadInput
from .scoring import Asked, report_of, report_until

EXIT_CODES = {"better": 0, "not worse": 0, "worse": 10, "undecided": 11}
"""Exit codes of a gate; with ``better`` required, ``not worse`` ends with ``NOT_BETTER``."""
NOT_BETTER = 12


@dataclass(frozen=True)
class Judging:
    """How a report is judged; the gate's options of ``dstill eval``."""

    baseline: Report | None
    margin: float
    better: bool
    """Whether not to be worse is not enough."""
    shared: bool
    """Whether the examples that both were run on will do."""
    stop: bool
    """Whether to ask no more examples than it takes."""
    seed: int

    def __post_init__(self) -> None:
        if self.shared and (self.baseline is None or self.stop):
            raise BadInput(
                "--shared: it is for two evaluations of different examples; give --against, and no early stop"
            )
        if self.better and self.baseline is None:
            raise BadInput("--better: there is nothing to be better than; add --against EVALUATION")


@dataclass(frozen=True)
class Verdict:
    """What was established."""

    decision: Decision
    said: str

    def exit_code(self, better: bool) -> int:
        """How ``dstill eval`` ends; ``better`` as in ``Judging``."""
        return NOT_BETTER if better and self.decision == "not worse" else EXIT_CODES[self.decision]


def judged_report(
    run: Path, asked: Asked, judging: Judging, how: How | None
) -> tuple[Report, Path | None, Verdict | None]:
    """A report, the directory to which its rows were written, and the verdict where there is a baseline.

    Args:
        how: as ``report_of``.

    Raises:
        BadInput: as ``report_of`` and ``report_until``.
    """
    baseline = judging.baseline
    if judging.stop:
        until = None if baseline is None else Until(baseline, judging.margin, judging.better, judging.seed)
        report, stopped, folder = report_until(run, until, asked)
        return report, folder, Verdict(stopped.decision, str(stopped))
    report, written = report_of(run, baseline, asked, how)
    return report, written, None if baseline is None else _verdict(report, baseline, judging, asked.cluster)


def _verdict(report: Report, baseline: Report, judging: Judging, cluster: str | None) -> Verdict:
    mine, base = on_shared(report, baseline) if judging.shared else (report, aligned(baseline, report))
    if cluster is not None and len(base.rows) == len(mine.rows):
        base = clustered(base, cluster, mine.examples)
    found = gate(mine, base, margin=judging.margin)
    left = len(report.rows) + len(baseline.rows) - 2 * len(mine.rows) if judging.shared else 0
    return Verdict(
        found.decision, f"{found}; {left:,} that only one of them was run on are left out" if left else str(found)
    )
