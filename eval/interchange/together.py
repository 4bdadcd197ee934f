"""Results of several sources on one board, or on one for each task, split and metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...runtime.errors import BadInput
from ..board import Board, Boards, leaderboard
from ..order import aligned as aligned
from ..report import Report
from .collect import Results


def together(
    results: Sequence[Results],
    *,
    baseline: str | None = None,
    cluster: str | None = None,
    shared: bool = False,
    title: str = "Leaderboard",
) -> Board | Boards:
    """One board where all results are of one task, split and metric; else a tab for each.

    A table often does not say its task or split; it takes those that all others have. Rows that stand in another order
    are put into the baseline's.

    Args:
        results: what ``read_results`` read.
        baseline: the system that gains are measured against; on a board without it, that board's first.
        cluster: a field of the examples by whose values they stand together, on every board.
        shared: of different examples, take those that all systems of a board were run on.
        title: of several boards.

    Raises:
        BadInput: as ``leaderboard``; for an unknown baseline, and for several results of which no two can be compared.
    """
    groups: dict[tuple[str, str, str], list[Report]] = {}
    for report in named(results):
        groups.setdefault((report.task, report.split, report.metric), []).append(report)
    systems = dict.fromkeys(report.system for group in groups.values() for report in group)
    if baseline is not None and baseline not in systems:
        raise BadInput(f"baseline {baseline!r} is not on the board; expected one of: {', '.join(systems)}")
    if len(results) > 1 and all(len(group) == 1 for group in groups.values()):
        shown = "; ".join(f"{group[0].system}: {' / '.join(key)}" for key, group in list(groups.items())[:6])
        raise BadInput(
            f"no two of the results have the same task, split and metric, so none can be compared ({shown}); if they "
            "are the same, give them one name with rename={'OLD': 'NEW'}, on the command line --rename OLD=NEW"
        )
    boards = []
    for group in groups.values():
        base = next((report for report in group if report.system == baseline), group[0])
        boards.append(leaderboard(group, baseline=base.system, cluster=cluster, shared=shared))
    return boards[0] if len(boards) == 1 else Boards(title, tuple(boards))


def named(results: Sequence[Results], keys: Sequence[tuple[str, str, str]] = ()) -> list[Report]:
    """All reports; those without a task or split with that of the others, where these have but one.

    Args:
        results: what ``read_results`` read.
        keys: task, split and metric of further ones that they are to stand with.
    """
    reports = [report for found in results for report in found]
    tasks = ({report.task for report in reports} | {task for task, _, _ in keys}) - {""}
    splits = ({report.split for report in reports} | {split for _, split, _ in keys}) - {""}
    task = tasks.pop() if len(tasks) == 1 else "" if tasks else Path(results[0].path).name.partition(".")[0]
    split = splits.pop() if len(splits) == 1 else ""
    return [replace(one, task=one.task or task, split=one.split or split) for one in reports]
