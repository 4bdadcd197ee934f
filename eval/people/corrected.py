"""``judged``: the mean of a judge's scores corrected by labels of people, and how far the two agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...runtime.errors import BadInput
from ..report import Report
from ..statistics.intervals import Interval, paired_interval
from ..statistics.judge import Judged, judged_mean, labels_needed
from ..statistics.reliability import Agreement, agreement
from ..statistics.values import as_scores, is_binary
from .labels import Labels, read_labels
from .sheet import check_single, mark_of


@dataclass(frozen=True, slots=True)
class Corrected:
    """A system's score by a judge, corrected by labels of people."""

    system: str
    metric: str
    judged: Judged
    """The corrected mean with its prediction-powered interval, beside the judge's and the people's plain ones."""
    bias: Interval
    """Judge less people on the labelled answers, in score: above 0 the judge is too kind."""
    distance: float
    """The mean of |judge - people| on them, in score."""
    agreement: Agreement | None
    """How often the two say the same, where both say right or wrong."""
    half: int | None
    """Labels in all at which the interval would be half as wide, roughly; ``None`` where no number of them does it."""
    empty: int
    """Rows of the sheet without a label."""

    @property
    def note(self) -> str:
        """The corrected score in a line, for readers of the judge's."""
        found = self.judged
        return (
            f"people would score it {found.interval}, by {found.labelled:,} labels (prediction-powered); the score "
            f"here is that of {self.metric}, {100 * found.judge:.1f}"
        )

    def __str__(self) -> str:
        found, bias = self.judged, self.bias
        scored = found.labelled + found.unlabelled
        lines = [
            f"{self.system} as people would score it: {found.interval} by {found.labelled:,} labels and {scored:,} "
            f"scores of {self.metric} (prediction-powered; the judge counts {found.weight:.2f})",
            f"the judge alone: {100 * found.judge:.1f}; people alone: {found.human}, on the {found.labelled:,}",
        ]
        points = f"{100 * bias.value:+.1f} [{100 * bias.low:+.1f}, {100 * bias.high:+.1f}] points"
        verdict = "too kind" if bias.low > 0 else "too strict" if bias.high < 0 else "no bias is established"
        lines.append(f"judge less people: {points}, {verdict}; on average {100 * self.distance:.1f} points apart")
        if self.agreement is not None:
            lines.append(
                f"judge and people agree on {self.agreement.observed} of 100 answers (kappa {self.agreement.kappa:.2f})"
            )
        lines.append(
            "more labels alone will not halve the interval: it takes more examples"
            if self.half is None
            else f"half the interval would take some {self.half:,} labels in all"
        )
        if self.empty:
            lines.append(f"{self.empty:,} rows have no label; that must be chance, and not because they are hard")
        if found.unscored:
            lines.append(f"{found.unscored:,} examples are unscored by the judge and do not count")
        return "\n".join(lines)

    __repr__ = __str__


def judged(report: Report, people: Labels | Mapping[str, float | None] | Path | str, level: float = 0.95) -> Corrected:
    """What people would score a system, from a judge's scores of all answers and labels of some.

    Prediction-powered inference (Angelopoulos et al., Science 382, 2023, arXiv:2301.09633), with the judge weighted by
    what it is worth (PPI++, Angelopoulos, Duchi and Zrnic, arXiv:2311.01453); ``statistics.judged_mean`` has the
    details. It holds for a judge of any kind, also one that is biased, if the labelled answers are a random part, as
    ``write_sheet`` draws them.

    Args:
        report: of an evaluation by a judge, one answer to an example.
        people: labels in [0, 1] by id, ``None`` where there is none, or the file that has them (``read_labels``).

    Raises:
        BadInput: for labels outside [0, 1], of examples that are not the report's, or of other answers; for fewer than
            two labels of scored answers; for a report as ``write_sheet`` refuses it.
    """
    check_single(report)
    if report.clusters is not None:
        raise BadInput(
            f"the examples of {report.system} stand in {len(set(report.clusters)):,} clusters, and a judge's interval "
            "takes them for independent: expected examples that are"
        )
    labels = people if isinstance(people, Labels) else _labels(people)
    _check(report, labels)
    human = as_scores([labels.values.get(row.id) for row in report.rows])
    judge = as_scores([row.score for row in report.rows])
    found = judged_mean(human, judge, level)
    both = (human == human) & (judge == judge)  # nan is where there is none
    said, scored = human[both], judge[both]
    right_or_wrong = is_binary(said) and is_binary(scored)
    return Corrected(
        report.system,
        report.metric,
        found,
        paired_interval(scored, said, level),
        float(abs(scored - said).mean()),
        agreement(list(zip(scored.tolist(), said.tolist(), strict=True)), level) if right_or_wrong else None,
        labels_needed(human, judge, (found.interval.high - found.interval.low) / 4, level),
        labels.empty,
    )


def _labels(people: Mapping[str, float | None] | Path | str) -> Labels:
    if isinstance(people, Path | str):
        return read_labels(people)
    if not isinstance(people, Mapping):
        raise BadInput(f"people={people!r:.80}: expected labels by id, or a file of them")
    values = {id: value for id, value in people.items() if value is not None}
    for id, value in values.items():
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise BadInput(f"the label of {id!r} is {value!r}: expected a number from 0 (bad) to 1 (good), or None")
    return Labels(values, len(people) - len(values))


def _check(report: Report, labels: Labels) -> None:
    rows = {row.id: row for row in report.rows}
    unknown = [id for id in labels.values if id not in rows]
    if unknown:
        more = f" and {len(unknown) - 1:,} more" if len(unknown) > 1 else ""
        raise BadInput(
            f"{labels.source} has a label for {unknown[0]!r}{more}, which {report.system} was not run on; its "
            f"{len(rows):,} examples are called {report.rows[0].id!r} and the like"
        )
    for id, mark in (labels.marks or {}).items():
        if mark != mark_of(rows[id]):
            raise BadInput(
                f"{labels.source}: the label of {id!r} is of another answer than that of {report.system} (digest "
                f"{mark}, here {mark_of(rows[id])}); labels count for the evaluation whose sheet they stand in"
            )
    usable = sum(rows[id].score is not None for id in labels.values)
    if usable < 2:
        raise BadInput(
            f"{labels.source} has {usable} label(s) of answers that {report.metric} has scored, and {labels.empty} "
            "rows without one: expected at least two, and some dozens to say much"
        )
