"""Boards as text: cells, the terminal's table, Markdown, and what a reader should know."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..compare import Comparison
from ..statistics.intervals import Interval
from .figures import Board, Entry

NONE = "–"
HEADS = (
    "rank", "ties", "system", "score", "gain", "p", "$/1000", "p50 ms", "p95 ms", "tokens in", "weights", "failed",
    "unscored",
)  # fmt: skip
PAST = "gain: over the version before, paired on the shared examples that both were scored on."


def lines(board: Board) -> list[dict[str, str]]:
    """A board's cells by column; columns in which nothing was recorded are left out."""
    found = [_line(entry, board, place) for place, entry in enumerate(board.entries)]
    return _recorded(found, {"failed": "0", "unscored": "0", "weights": NONE})


def heads_beside(board: Board) -> list[str]:
    """The heads of the columns for other metrics, none of which is called like another column."""
    return [f"{one.metric} (metric)" if one.metric in HEADS else one.metric for one in board.beside]


def headline(board: Board) -> str:
    """What the board says, in a sentence or two."""
    scored = [entry for entry in board.entries if entry.report.score is not None]
    if not scored:
        return "Nothing was scored."
    best = scored[0]
    first = f"{best.report.system} scores highest, {points(best.report.score)}."
    if len(scored) == 1:
        return first
    level = [entry for entry in scored[1:] if entry.group == best.group]
    if len(level) == len(scored) - 1:
        first += " No other system is established to be worse."
    elif level:
        are = "is" if len(level) == 1 else "are"
        first += f" {len(level)} other{'s' * (len(level) > 1)} {are} not established to be worse."
    else:
        first += " It is established to be better than all others."
    pairs, open_ = board.standing.pairs, board.standing.undecided
    return f"{first} The order of {open_:,} of {pairs:,} pairs is not established." if pairs > 1 else first


def notes(board: Board) -> list[str]:
    """The baseline, ties, failures, and every system's own notes."""
    test = "sign-flip test by cluster" if board.clusters else "exact McNemar or sign-flip test"
    found = [] if len(board.entries) == 1 else [
        f"Gain over {board.baseline}, paired by example; p: {test}.",
        "rank: the ranks a system could hold; ties: none in a group is established to be worse than its first "
        "(paired bootstrap, 95 % for all pairs together).",
    ]  # fmt: skip
    if board.clusters:
        found.append(
            f"The examples stand in {board.clusters:,} clusters. Intervals (cluster-robust errors), tests and ranks "
            "(whole clusters are drawn) allow for that."
        )
    if board.left_out:
        found.append(f"{board.left_out:,} examples are left out: not all systems were run on them.")
    for entry in board.entries:
        report = entry.report
        kinds = ", ".join(f"{count} {kind}" for kind, count in report.failures.items())
        if report.failed or report.unscored:
            why = f" ({kinds})" if kinds else ""
            found.append(f"{report.system}: {report.failed} failed (count as 0), {report.unscored} unscored{why}.")
        found += [f"{report.system}: {note}" for note in report.notes]
    return found


def history(board: Board) -> list[dict[str, str]]:
    """The versions of every system that has several, by column; the newest first."""
    return [
        {
            "system": track.system,
            "version": version.name,
            "added": version.added[:10],
            "n": f"{version.n:,}",
            "score": points(version.score),
            "gain": NONE if version.gain is None else points(version.gain.difference, sign="+"),
            "p": NONE if version.gain is None else probability(version.gain.p),
            "shared": NONE if version.gain is None else f"{version.gain.n:,}",
        }
        for track in board.history
        for version in reversed(track.versions)
    ]


def terminal(board: Board) -> str:
    """A table in columns, under its title and above its notes."""
    past = ["", "History", *columns(history(board)), PAST] if board.history else []
    return "\n".join([visible(board.title), *columns(board.lines), *map(visible, board.notes), *past])


def markdown(board: Board) -> str:
    """A Markdown table under its title and above its notes."""
    past = ["History", "", *table(history(board)), "", PAST, ""] if board.history else []
    texts = [*table(board.lines), "", *map(plain, board.notes), "", *past]
    return "\n".join([plain(board.title), "", *texts])


def columns(lines: Sequence[dict[str, str]]) -> list[str]:
    """Lines of aligned columns, the heads first."""
    shown = [{head: visible(cell) for head, cell in line.items()} for line in lines]
    widths = {head: max(len(head), *(len(line[head]) for line in shown)) for head in shown[0]}
    return [
        "  ".join(f"{cell:{'<' if head == 'system' else '>'}{widths[head]}}" for head, cell in row.items())
        for row in [{head: head for head in widths}, *shown]
    ]


def table(lines: Sequence[dict[str, str]]) -> list[str]:
    """Lines of a Markdown table."""
    heads = list(lines[0])
    rows = ["| " + " | ".join(plain(line[head]) for head in heads) + " |" for line in lines]
    rule = "|" + "|".join("---" if head == "system" else "---:" for head in heads) + "|"
    return ["| " + " | ".join(heads) + " |", rule, *rows]


def points(interval: Interval | None, sign: str = "") -> str:
    """``91.2 [89.1, 92.9]``."""
    if interval is None:
        return NONE
    value, low, high = (tenths(end, sign) for end in (interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]"


def tenths(value: float, sign: str = "") -> str:
    """A score in points with one decimal, rounded half to even on millionths, as the page's script does it too."""
    whole, rest = divmod(abs(round(value * 1e6)), 1000)
    whole += rest > 500 or (rest == 500 and whole % 2 == 1)
    mark = "-" if value < 0 and whole else sign
    return f"{mark}{whole // 10}.{whole % 10}"


def count(number: int | None) -> str:
    """A number of weights: ``260k``, ``7.62B``."""
    if number is None:
        return NONE
    for size, letter in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return str(number)


def probability(p: float) -> str:
    """A p-value."""
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def visible(text: str) -> str:
    """Text for a terminal: control characters, which could move its cursor, become ``?``."""
    return "".join(letter if letter.isprintable() else " " if letter in "\n\t" else "?" for letter in text)


def plain(text: str) -> str:
    """Text for Markdown: no tags, no line breaks, no columns of its own."""
    return escape(visible(text), quote=False).replace("\\", "\\\\").replace("|", "\\|")


def _line(entry: Entry, board: Board, place: int) -> dict[str, str]:
    report = entry.report
    gain: Comparison | None = entry.gain
    return {
        "rank": NONE if entry.rank is None else str(entry.rank),
        "ties": NONE if entry.group is None else str(entry.group),
        "system": report.system,
        "score": points(report.score),
        "gain": NONE if gain is None else points(gain.difference, sign="+"),
        "p": NONE if gain is None else probability(gain.p),
        **{head: points(one.scores[place]) for head, one in zip(heads_beside(board), board.beside, strict=True)},
        "$/1000": _told(report.usd_per_1000, "{:.4g}"),
        "p50 ms": _told(report.latency(0.5), "{:.0f}", 1000),
        "p95 ms": _told(report.latency(0.95), "{:.0f}", 1000),
        "tokens in": _told(report.prompt_tokens, "{:.0f}"),
        "weights": count(report.parameters),
        "failed": str(report.failed),
        "unscored": str(report.unscored),
    }


def _told(value: float | None, form: str, scale: float = 1) -> str:
    return NONE if value is None else form.format(scale * value)


def _recorded(lines: list[dict[str, str]], empty: dict[str, str]) -> list[dict[str, str]]:
    """Without the columns that say nothing; without costs and times where no call was recorded at all."""
    silent = {head for head, cell in empty.items() if all(line[head] == cell for line in lines)}
    if all(line[head] in ("0", NONE) for line in lines for head in ("$/1000", "p50 ms", "p95 ms", "tokens in")):
        silent |= {"$/1000", "p50 ms", "p95 ms", "tokens in"}
    silent |= {
        head for head in ("$/1000", "p50 ms", "p95 ms", "tokens in") if all(line[head] == NONE for line in lines)
    }
    return [{head: cell for head, cell in line.items() if head not in silent} for line in lines]
