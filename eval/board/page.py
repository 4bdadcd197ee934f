"""One offline HTML file: styles, script and data stand in it, and a policy forbids every request."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from ..statistics.intervals import Interval
from .encode import figures, inline, rows
from .figures import Board
from .overall import Overall
from .text import PAST, headline, heads_beside, history

SCRIPTS = ("state", "table", "plot", "history", "slices", "rows", "explorer", "detail", "live", "main")
"""The parts of the page's script, in the order in which they stand in it."""
OUTCOMES = 1_000_000
"""Outcomes, systems by examples, up to which a page holds them."""
COLUMNS = {
    "rank": ("rank", "rank", "The ranks it could hold: 95 % confidence over all pairs"),
    "ties": ("group", "ties", "Group of ties: nobody in a group is established to be worse than its first"),
    "system": ("name", "system", ""),
    "score": ("score", "score", "Mean over the examples in points of 100, with a 95 % interval"),
    "gain": ("gain", "gain", "Difference from the baseline, example by example, with a 95 % interval"),
    "p": (
        "p",
        "p",
        "Exact McNemar or sign-flip test of the gain; of whole clusters, where examples stand in some",
    ),
    "$/1000": ("usd", "$/1000", "Price of a thousand examples"),
    "p50 ms": ("p50", "p50 ms", "Half of the examples took at most this time in models"),
    "p95 ms": ("p95", "p95 ms", "95 % of the examples took at most this time in models"),
    "tokens in": ("tokens", "tokens", "Tokens read for an example, on average"),
    "weights": ("weights", "weights", "Parameters of the models that answered"),
    "failed": ("failed", "failed", "Examples without a readable answer; they count as 0"),
    "unscored": ("unscored", "unscored", "Examples that could not be scored; they do not count"),
}
"""Of each column of ``Board.lines``: its key in the script, its head, and what it means."""


def page(
    boards: Sequence[Board], *, title: str = "", overall: Overall | None = None, outputs: bool = True, live: str = ""
) -> str:
    """The page of one board, or of several in tabs.

    Args:
        boards: one a tab.
        title: above them; the task's name by default.
        overall: a first tab over all boards, as ``Boards.overall``.
        outputs: whether the rows stand in it, for the explorer of examples.
        live: the head of the board folder whose page it is; served on this machine, it then tells of new entries.
    """
    from jinja2 import Environment, PackageLoader, select_autoescape

    pages = Environment(
        loader=PackageLoader("dstill.eval.board", "assets"), autoescape=select_autoescape(["j2"]), trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    labels = overall.labels if overall else [""] * len(boards)
    script = asset(*(f"{name}.js" for name in SCRIPTS))
    head = title or boards[0].task or "Leaderboard"
    return pages.get_template("page.html.j2").render(
        title=head,
        views=[_view(board, label, outputs) for board, label in zip(boards, labels, strict=True)],
        overall=overall,
        ranks=axis([place.rank for place in overall.places], unit=1.0) if overall else None,
        past=PAST,
        style=asset("page.css"),
        script=script,
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        live=bool(live),
        data=inline({"title": head, "live": live, "boards": [figures(board) for board in boards]}),
    )


def frame(boards: Sequence[Board], *, title: str = "", overall: Overall | None = None) -> str:
    """The page in a frame for notebooks, without the examples' rows, which would fill the notebook's file."""
    source = page(boards, title=title, overall=overall, outputs=False)
    return (
        f'<iframe srcdoc="{escape(source)}" sandbox="allow-scripts" title="leaderboard" '
        f'style="width:100%;height:36em;border:0"></iframe>'
    )


@cache
def asset(*names: str) -> str:
    """Files of ``assets`` as one text."""
    folder = files("dstill.eval.board").joinpath("assets")
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis that holds intervals, with their bars; places are in percent of its length."""

    ticks: list[tuple[str, float]]
    bars: list[dict[str, float] | None]


def axis(intervals: Sequence[Interval | None], unit: float = 100.0) -> Axis:
    """Intervals on one scale with 2 to 6 ticks at round numbers; ``unit`` is how many of the axis make 1."""
    known = [interval for interval in intervals if interval is not None]
    low = unit * min((interval.low for interval in known), default=0.0)
    high = unit * max((interval.high for interval in known), default=1.0)
    wide = max(high - low, 1.0)  # a score that is certain, as of a constant, has no width
    start, end = low - wide / 25, high + wide / 25
    step = next(size for size in (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1e9) if wide / size <= 5)

    def place(value: float) -> float:
        return round(100 * (unit * value - start) / (end - start), 2)

    ticks = [step * i for i in range(math.ceil(start / step), math.floor(end / step) + 1)]
    return Axis(
        [(f"{tick:g}", place(tick / unit)) for tick in ticks],
        [
            None if one is None else
            {"value": place(one.value), "low": place(one.low), "width": round(place(one.high) - place(one.low), 2)}
            for one in intervals
        ],
    )  # fmt: skip


def _view(board: Board, label: str, outputs: bool) -> dict[str, Any]:
    """What the template draws of a board."""
    scores = axis([entry.report.score for entry in board.entries])
    outcomes = len(board.entries) * len(board.entries[0].report.rows)
    why = "Single examples are on the saved page: board.save(folder)." if not outputs else ""
    if outcomes > OUTCOMES:
        why = f"Single examples are not on this page: {outcomes:,} outcomes are more than {OUTCOMES:,}."
    return {
        "board": board,
        "label": label,
        "rows": "" if why else inline(rows(board)),
        "why": why,
        "headline": headline(board),
        "n": len(board.entries[0].report.rows),
        "ticks": scores.ticks,
        "letters": min(28, max(len(entry.report.system) for entry in board.entries)),
        "lines": list(zip(board.lines, board.entries, scores.bars, strict=True)),
        "past": history(board),
        "columns": COLUMNS
        | {
            head: (f"metric_{place}", head, "Mean by another metric, with a 95 % interval; it has a tab of its own")
            for place, head in enumerate(heads_beside(board))
        },
        "name": " · ".join(part for part in (board.task, board.split) if part) or "board",
    }
