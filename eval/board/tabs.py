"""Several boards in one: a tab for each task or metric, and an overall view by mean rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ...runtime.errors import BadInput
from ..report import Report
from .asked import Example
from .figures import Beside, Board, leaderboard, save
from .overall import Overall, overall


@dataclass(frozen=True)
class Boards:
    """Boards side by side. It displays itself in a notebook and at a prompt."""

    title: str
    boards: tuple[Board, ...]
    """Boards of one task and split, but of several metrics, tell each other's scores."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "boards", tuple(_beside(board, self.boards) for board in self.boards))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What tells the boards apart: the task, with the split or the metric where several have the same one."""
        tasks = [board.task or "board" for board in self.boards]
        splits = {board.split for board in self.boards}
        metrics = {board.metric for board in self.boards}
        names = [
            " · ".join(
                [task, *([board.split] if len(splits) > 1 else []), *([board.metric] if len(metrics) > 1 else [])]
            )
            if tasks.count(task) > 1
            else task
            for task, board in zip(tasks, self.boards, strict=True)
        ]
        return tuple(f"{name} {i + 1}" if names.count(name) > 1 else name for i, name in enumerate(names))

    @cached_property
    def overall(self) -> Overall:
        """Mean ranks and averages over the boards."""
        return overall(self.boards, self.labels)

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "title": self.title,
            "overall": self.overall.dump(),
            "boards": [board.dump() for board in self.boards],
        }

    def csv(self) -> str:
        """A line for each system of each board."""
        from .data import csv

        return csv(self.boards)

    def markdown(self) -> str:
        """The overall table and every board's, each under a heading."""
        from .text import plain, table

        parts = [f"# {plain(self.title)}", "", plain(self.overall.headline), "", *table(self.overall.lines), ""]
        parts += [*self.overall.notes, ""]
        for label, board in zip(self.labels, self.boards, strict=True):
            parts += [f"## {plain(label)}", "", board.markdown()]
        return "\n".join(parts)

    def html(self, *, live: str = "") -> str:
        """One page that needs nothing from outside, with a tab for each board; ``live`` as ``page``."""
        from .page import page

        return page(self.boards, title=self.title, overall=self.overall, live=live)

    def save(self, folder: Path | str, *, live: str = "") -> dict[str, Path]:
        """Write ``leaderboard.{html,md,json,csv}`` into a folder; where each lies. ``live`` as ``page``."""
        return save(Path(folder), self.html(live=live), self.markdown(), self.dump(), self.csv())

    def __str__(self) -> str:
        from .text import columns, visible

        parts = [visible(self.title), visible(self.overall.headline), *columns(self.overall.lines)]
        return "\n".join([*parts, *(f"\n{board}" for board in self.boards)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from .page import frame

        return frame(self.boards, title=self.title, overall=self.overall)


def boards(
    reports: Sequence[Report],
    *,
    title: str = "Leaderboard",
    baseline: str | None = None,
    examples: Mapping[str, Sequence[Example]] | None = None,
    slices: Sequence[str] | None = None,
    cluster: str | None = None,
    shared: bool = False,
) -> Boards:
    """Boards of reports on several tasks, splits or metrics: one for each, in the order in which they appear.

    Args:
        reports: one for each system, task, split and metric.
        title: what the page is called.
        baseline: the system that gains are measured against; on a board without it, that board's first.
        examples: what was asked, by the task's name.
        slices: fields of the examples to slice by, where a task's examples have them.
        cluster: as ``leaderboard``; every task's examples must have the field.
        shared: as ``leaderboard``.

    Raises:
        BadInput: as ``leaderboard``; for a baseline that is on no board, and for examples of an unknown task.
    """
    groups: dict[tuple[str, str, str], list[Report]] = {}
    for report in reports:
        groups.setdefault((report.task, report.split, report.metric), []).append(report)
    names = dict.fromkeys(report.system for report in reports)
    tasks = dict.fromkeys(report.task for report in reports)
    if not groups:
        raise BadInput("an empty board: expected at least one report")
    if baseline is not None and baseline not in names:
        raise BadInput(f"baseline {baseline!r} is on no board; expected one of: {', '.join(names)}")
    for task in examples or ():
        if task not in tasks:
            raise BadInput(
                f"examples of the task {task!r}, which no report is of; expected some of: {', '.join(tasks)}"
            )
    made = []
    for (task, _, _), group in groups.items():
        asked = (examples or {}).get(task)
        kept = [example for report in group for example in report.examples or ()]
        known = {name for example in asked or kept for name in dict(example.items())}
        made.append(
            leaderboard(
                group,
                baseline=baseline if any(report.system == baseline for report in group) else None,
                examples=asked,
                slices=None if slices is None else [name for name in slices if name in known],
                cluster=cluster,
                shared=shared,
            )
        )
    return Boards(title, tuple(made))


def _beside(board: Board, boards: Sequence[Board]) -> Board:
    """The board with what its systems score by the other metrics of its task and split."""
    names = [entry.report.system for entry in board.entries]
    others = [
        (other.metric, {entry.report.system: entry.report.score for entry in other.entries})
        for other in boards
        if (other.task, other.split) == (board.task, board.split) and other.metric != board.metric
    ]
    found = [Beside(metric, tuple(scores.get(name) for name in names)) for metric, scores in others]
    return replace(board, beside=tuple(one for one in found if any(one.scores)))
