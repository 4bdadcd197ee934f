"""A gate for continuous integration: is a system better than a baseline, not worse, worse, or is it undecided?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..runtime.errors import BadInput
from .compare import Comparison, compare_scores, non_inferior, shared_scores
from .report import Report
from .statistics.intervals import Interval

Decision = Literal["better", "not worse", "worse", "undecided"]


@dataclass(frozen=True, slots=True)
class Gate:
    """What is established of a system against a baseline, on the same examples."""

    decision: Decision
    """``better``: the 95 % interval of the gain lies above 0. ``not worse``: it loses less than the margin, at a
    one-sided 95 % level. ``worse``: the 95 % interval lies below 0, and ``not worse`` is not established."""
    comparison: Comparison
    margin: float
    """In score."""
    needed: int | None
    """Examples at which a system that truly loses nothing would be shown to be not worse in four of five trials;
    ``None`` where it is decided, and where no example tells the two apart."""
    names: tuple[str, str]
    """The system and the baseline."""

    def __str__(self) -> str:
        more = ""
        if self.decision == "undecided":
            more = f"; some {self.needed:,} examples would decide" if self.needed else "; more examples would decide"
        found = self.comparison
        return f"{in_words(self.decision, self.names, found.difference, found.n, self.margin)}{more}"


def in_words(decision: Decision, names: tuple[str, str], gain: Interval, n: int, margin: float) -> str:
    """A decision about a system and a baseline, with the gain on ``n`` examples, in points."""
    said = "undecided against" if decision == "undecided" else f"{decision} than"
    points = f"{100 * gain.value:+.1f} points [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
    return f"{names[0]} is {said} {names[1]}: {points} on {n} examples, margin {100 * margin:g} points"


def gate(report: Report, baseline: Report, *, margin: float = 0.01) -> Gate:
    """Judge a report against a baseline's; see ``Gate`` for the rules, which look at better first.

    Args:
        margin: what may be lost, in score: 0.01 is a point.

    Raises:
        BadInput: for a margin outside (0, 1), other examples or clusters, or none that both were scored on.
    """
    if not 0 < margin < 1:
        raise BadInput(f"margin={margin!r}: expected a share of the score between 0 and 1, e.g. 0.01 for one point")
    both = shared_scores(report, baseline)
    found = compare_scores(both.a, both.b, clusters=both.clusters)
    shown = non_inferior(both.a, both.b, margin=margin, clusters=both.clusters)
    decision: Decision = "undecided"
    if found.verdict == "better":
        decision = "better"
    elif shown.accepted:
        decision = "not worse"
    elif found.verdict == "worse":
        decision = "worse"
    needed = shown.needed if decision == "undecided" else None
    return Gate(decision, found, margin, needed, (report.system, baseline.system))
