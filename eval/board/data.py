"""Boards as data: JSON that keeps its keys, and CSV."""

from __future__ import annotations

import csv as tables
import io
from collections.abc import Iterable
from typing import Any

from ..compare import Comparison
from ..statistics.intervals import Interval
from .figures import Board, Entry


def dump(board: Board) -> dict[str, Any]:
    """A board as JSON."""
    base = board.place
    return {
        "task": board.task,
        "split": board.split,
        "metric": board.metric,
        "baseline": board.baseline,
        "left_out": board.left_out,
        "pairs": {"compared": board.standing.pairs, "undecided": board.standing.undecided},
        "systems": [
            {
                **entry.report.dump(),
                "rank": None if entry.rank is None else {"low": entry.rank.low, "high": entry.rank.high},
                "ties": entry.group,
                "letters": entry.letters,
                "gain": None if entry.gain is None else _gain(entry.gain),
                "latency": {"p50": entry.report.latency(0.5), "p95": entry.report.latency(0.95)},
                "prompt_tokens": entry.report.prompt_tokens,
            }
            for entry in board.entries
        ],
        "slices": [
            {
                "field": slicing.field,
                "values": [
                    {
                        "value": part.value, "n": part.n, "scores": [s and s.dump() for s in part.scores],
                        "gains": [(gain := part.gain(i, base)) and gain.dump() for i in range(len(board.entries))],
                    }
                    for part in slicing.slices
                ],
            }
            for slicing in board.slicings
        ],
        **({"history": [track.dump() for track in board.history]} if board.history else {}),
    }  # fmt: skip


def csv(boards: Iterable[Board]) -> str:
    """A line for each system of each board; scores and gains in [-1, 1], times in seconds.

    A name that a spreadsheet would take for a formula is led by an apostrophe.
    """
    file = io.StringIO()
    lines = [_line(board, entry) for board in boards for entry in board.entries]
    writer = tables.DictWriter(file, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return file.getvalue()


def _line(board: Board, entry: Entry) -> dict[str, str | int | None]:
    report, gain, rank = entry.report, entry.gain, entry.rank
    return {
        "task": _cell(board.task), "split": _cell(board.split), "metric": _cell(board.metric),
        "system": _cell(report.system), "n": len(report.rows),
        "rank_low": None if rank is None else rank.low, "rank_high": None if rank is None else rank.high,
        "ties": entry.group, "letters": entry.letters,
        **_ends("score", report.score), "baseline": _cell(board.baseline),
        **_ends("gain", None if gain is None else gain.difference), "p": _number(None if gain is None else gain.p),
        "usd_per_1000": _number(report.usd_per_1000), "p50_seconds": _number(report.latency(0.5)),
        "p95_seconds": _number(report.latency(0.95)), "prompt_tokens": _number(report.prompt_tokens),
        "parameters": report.parameters, "failed": report.failed, "unscored": report.unscored,
    }  # fmt: skip


def _gain(gain: Comparison) -> dict[str, Any]:
    return {
        **gain.difference.dump(), "p": gain.p, "n": gain.n, "wins": gain.wins, "losses": gain.losses,
        "verdict": gain.verdict,
    }  # fmt: skip


def _ends(name: str, interval: Interval | None) -> dict[str, str]:
    ends = (None,) * 3 if interval is None else (interval.value, interval.low, interval.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), map(_number, ends), strict=True))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.9g}"


def _cell(text: str) -> str:
    return f"'{text}" if text[:1] in tuple("=+-@\t\r") and text else text
