"""What is shown of a board folder: the newest version of every system, and how each has moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...runtime.errors import BadInput
from ..board import Board, Boards, leaderboard
from ..board.history import Past, tracks
from ..report import Report
from .entry import Entry

Added = Sequence[tuple[Entry, Report]]


def boards_of(added: Added, title: str) -> Board | Boards:
    """A board, or one for each task, split and metric.

    Args:
        added: all entries with their evaluations, the oldest first.
        title: of several boards.

    Raises:
        BadInput: where evaluations cannot stand on one board, or the baseline that was named is on none.
    """
    groups: dict[tuple[str, str, str], list[tuple[Entry, Report]]] = {}
    for entry, report in added:
        groups.setdefault(entry.key, []).append((entry, report))
    named = next((entry.label.baseline for entry, _ in reversed(added) if entry.label.baseline), None)
    systems = dict.fromkeys(entry.system for entry, _ in added)
    if named is not None and named not in systems:
        raise BadInput(f"baseline {named!r} is not on the board; expected one of: {', '.join(systems)}")
    made = tuple(_board(group, named) for group in groups.values())
    return made[0] if len(made) == 1 else Boards(title, made)


def _board(group: Added, named: str | None) -> Board:
    newest = {entry.system: report for entry, report in group}
    shared = any(entry.label.shared for entry, _ in group)
    board = leaderboard(list(newest.values()), baseline=named if named in newest else None, shared=shared)
    past = [Past(report, entry.version, entry.number, entry.added) for entry, report in group]
    return replace(board, history=tracks(past))
