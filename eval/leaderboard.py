"""Leaderboards: systems on one task, side by side on the same examples, with intervals, gains and costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..runtime.atomic import write_bytes
from ..runtime.canonical import pretty
from ..runtime.errors import BadInput
from .compare import Comparison, compare
from .report import Report
from .statistics.intervals import Interval


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a board."""

    report: Report
    gain: Comparison | None
    """Against the baseline, example by example; ``None`` for the baseline itself, or where nothing was scored."""


@dataclass(frozen=True)
class Board:
    """Systems on one task, best first. It displays itself in a notebook and at a prompt."""

    task: str
    split: str
    metric: str
    baseline: str
    """The system that gains are measured against."""
    entries: tuple[Entry, ...]

    @cached_property
    def lines(self) -> list[dict[str, str]]:
        """The board's cells as text, by column; a column of nothing but 0 failures is left out."""
        lines = [_line(entry) for entry in self.entries]
        clean = {head for head in ("failed", "unscored") if all(line[head] == "0" for line in lines)}
        return [{head: cell for head, cell in line.items() if head not in clean} for line in lines]

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "task": self.task,
            "split": self.split,
            "metric": self.metric,
            "baseline": self.baseline,
            "systems": [
                {
                    **entry.report.dump(),
                    "gain": None if entry.gain is None else _gain(entry.gain),
                    "latency": {"p50": entry.report.latency(0.5), "p95": entry.report.latency(0.95)},
                    "prompt_tokens": entry.report.prompt_tokens,
                }
                for entry in self.entries
            ],
        }

    def markdown(self) -> str:
        """A Markdown table under a line that says what it shows."""
        heads = list(self.lines[0])
        rows = ["| " + " | ".join(line[head] for head in heads) + " |" for line in self.lines]
        rule = "|" + "|".join("---" if head == "system" else "---:" for head in heads) + "|"
        return "\n".join([self.title, "", "| " + " | ".join(heads) + " |", rule, *rows, "", *self.notes, ""])

    def html(self) -> str:
        """One page that needs nothing from outside."""
        from jinja2 import Environment, PackageLoader, select_autoescape

        pages = Environment(loader=PackageLoader("dstill.eval"), autoescape=select_autoescape(), trim_blocks=True)
        bars = [_bar(entry.report.score) for entry in self.entries]
        return pages.get_template("board.html").render(board=self, bars=bars)

    @property
    def title(self) -> str:
        """What the board shows, in a line."""
        n = len(self.entries[0].report.rows)
        return f"{self.task} {self.split}, {n:,} examples, {self.metric}; points with 95 % intervals"

    @property
    def notes(self) -> list[str]:
        """What a reader should know: the baseline, failures, and every system's own notes."""
        found = [f"Gain over {self.baseline}, paired by example; p: exact McNemar or sign-flip test."]
        for entry in self.entries:
            report = entry.report
            kinds = ", ".join(f"{count} {kind}" for kind, count in report.failures.items())
            if kinds:
                found.append(
                    f"{report.system}: {report.failed} failed (count as 0), {report.unscored} unscored ({kinds})."
                )
            found += [f"{report.system}: {note}" for note in report.notes]
        return found

    def save(self, folder: Path | str) -> dict[str, Path]:
        """Write ``leaderboard.{html,md,json}`` into a folder; where each lies."""
        folder = Path(folder)
        pages = {"html": self.html().encode(), "md": self.markdown().encode(), "json": pretty(self.dump())}
        for kind, data in pages.items():
            write_bytes(folder / f"leaderboard.{kind}", data)
        return {kind: folder / f"leaderboard.{kind}" for kind in pages}

    def __str__(self) -> str:
        widths = {head: max(len(head), *(len(line[head]) for line in self.lines)) for head in self.lines[0]}
        rows = [
            "  ".join(f"{cell:{'<' if head == 'system' else '>'}{widths[head]}}" for head, cell in row.items())
            for row in [{head: head for head in widths}, *self.lines]
        ]
        return "\n".join([self.title, *rows, *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        return f'<iframe srcdoc="{escape(self.html())}" style="width:100%;height:32em;border:0"></iframe>'


def leaderboard(reports: Sequence[Report], *, baseline: str | None = None) -> Board:
    """A board of reports on the same examples.

    Args:
        reports: one a system.
        baseline: the system that gains are measured against; the first one by default.

    Raises:
        BadInput: for no reports, two of one name, an unknown baseline, or reports on different examples.
    """
    if not reports:
        raise BadInput("an empty board: expected at least one report")
    names = [report.system for report in reports]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInput(f"two systems are called {twice[0]!r}: give each report's system a name of its own")
    if baseline is not None and baseline not in names:
        raise BadInput(f"baseline {baseline!r} is not on the board; expected one of: {', '.join(names)}")
    base = reports[names.index(baseline)] if baseline is not None else reports[0]
    entries = [
        Entry(report, None if report is base or not (report.scores and base.scores) else compare(report, base))
        for report in reports
    ]
    entries.sort(key=lambda entry: -entry.report.score.value if entry.report.score else 1.0)
    return Board(base.task, base.split, base.metric, base.system, tuple(entries))


def _line(entry: Entry) -> dict[str, str]:
    report, gain = entry.report, entry.gain
    return {
        "system": report.system,
        "score": "–" if report.score is None else _points(report.score),
        "gain": "–" if gain is None else _points(gain.difference, sign="+"),
        "p": "–" if gain is None else f"{gain.p:.3f}" if gain.p >= 0.001 else "<0.001",
        "$/1000": f"{report.usd_per_1000:.4g}",
        "p50 ms": f"{1000 * report.latency(0.5):.0f}",
        "p95 ms": f"{1000 * report.latency(0.95):.0f}",
        "tokens in": f"{report.prompt_tokens:.0f}",
        "weights": "–" if report.parameters is None else _count(report.parameters),
        "failed": str(report.failed),
        "unscored": str(report.unscored),
    }


def _points(interval: Interval, sign: str = "") -> str:
    return f"{100 * interval.value:{sign}.1f} [{100 * interval.low:{sign}.1f}, {100 * interval.high:{sign}.1f}]"


def _count(number: int) -> str:
    for size, letter in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return str(number)


def _gain(gain: Comparison) -> dict[str, Any]:
    return {
        **gain.difference.dump(), "p": gain.p, "n": gain.n, "wins": gain.wins, "losses": gain.losses,
        "verdict": gain.verdict,
    }  # fmt: skip


def _bar(score: Interval | None) -> dict[str, float] | None:
    """A bar's places on a scale of 100 wide."""
    if score is None:
        return None
    return {"value": 100 * score.value, "low": 100 * score.low, "width": 100 * (score.high - score.low)}
