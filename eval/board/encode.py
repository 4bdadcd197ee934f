"""What the page's script reads: figures, all pairs, slices and rows, packed so that 65,000 outputs open at once."""

from __future__ import annotations

import base64
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from ...runtime.canonical import encodable
from ..rows import Row
from ..statistics.intervals import Interval
from .figures import Board, Entry
from .history import Version

MOST = 24_000_000
"""Characters of outputs on a page; longer outputs are cut, and the page says so, until they fit."""
CUTS = (8_000, 2_000, 500, 120)
NOTHING = -(1 << 31)


def inline(value: Any) -> str:
    """JSON that can stand in a script element: nothing in it can close the element or open another."""
    text = orjson.dumps(value).decode()
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def figures(board: Board) -> dict[str, Any]:
    """Figures of the systems, of every pair and of every slice; scores and differences in millionths."""
    above = np.triu_indices(len(board.entries), 1)
    pairs, better = board.standing.alone, board.standing.better
    return {
        "task": board.task, "split": board.split, "metric": board.metric,
        "n": len(board.entries[0].report.rows),
        "baseline": board.place,
        "systems": [
            {**_system(entry), "beside": [_interval(one.scores[place]) for one in board.beside]}
            for place, entry in enumerate(board.entries)
        ],
        "pairs": {
            **{
                name: [_millionths(x) for x in getattr(pairs, name)[above].tolist()]
                for name in ("value", "low", "high")
            },
            "p": [None if np.isnan(x) else float(f"{x:.4g}") for x in pairs.p[above].tolist()],
            "sure": "".join("+" if up else "-" if down else "0" for up, down in zip(
                better[above], better.T[above], strict=True
            )),
        },
        "slices": [
            {
                "field": slicing.field,
                "values": [
                    {
                        "value": part.value, "n": part.n, "scores": [_interval(score) for score in part.scores],
                        "pairs": {name: whole(getattr(part.pairs, name)[above]) for name in ("value", "low", "high")},
                    }
                    for part in slicing.slices
                ],
            }
            for slicing in board.slicings
        ],
        "history": [
            {"system": track.system, "versions": [_version(version) for version in track.versions]}
            for track in board.history
        ],
    }  # fmt: skip


def rows(board: Board) -> dict[str, Any]:
    """Every system's outcome on every example; columns run through the examples of one system after the other."""
    reports = [entry.report for entry in board.entries]
    every = [row for report in reports for row in report.rows]
    said, cut = _said(every)
    return {
        "ids": [row.id for row in reports[0].rows],
        "asked": None if board.examples is None else [_fields(example, CUTS[0]) for example in board.examples],
        "outcome": column((row.score, row.status) for row in every),
        "said": said,
        "why": column(encodable(row.failure.message if row.failure else row.feedback)[: CUTS[1]] for row in every),
        "cut": cut,
    }


def column(values: Iterable[Hashable]) -> dict[str, Any]:
    """A column as its distinct values and the place of each, in 1, 2 or 4 little-endian bytes, as base64."""
    places: dict[Hashable, int] = {}
    codes = [places.setdefault(value, len(places)) for value in values]
    width = 1 if len(places) <= 1 << 8 else 2 if len(places) <= 1 << 16 else 4
    data = np.asarray(codes, dtype=f"<u{width}").tobytes()
    return {"table": list(places), "width": width, "data": base64.b64encode(data).decode()}


def whole(values: NDArray[np.float64]) -> str:
    """Numbers of at most 2,000 as millionths in 4 little-endian bytes, as base64; the least number where one is nan."""
    found = np.full(values.shape, NOTHING, dtype="<i4")
    found[~np.isnan(values)] = np.round(values[~np.isnan(values)] * 1e6)
    return base64.b64encode(found.tobytes()).decode()


def _said(every: Sequence[Row]) -> tuple[dict[str, Any], int | None]:
    """The outputs, each field as text, and the length at which they were cut, if any was."""
    for cut in CUTS:
        packed = column(orjson.dumps(_fields(row.outputs, cut)) for row in every)
        if sum(map(len, packed["table"])) <= MOST or cut == CUTS[-1]:
            break
    longest = max((len(_text(value)) for row in every for value in row.outputs.values()), default=0)
    packed["table"] = [orjson.loads(text) for text in packed["table"]]
    return packed, cut if longest > cut else None


def _fields(body: dict[str, Any], cut: int) -> list[list[str]]:
    """Names and texts; a long text is cut and says how much is missing."""
    found = []
    for name, value in body.items():
        text = _text(value)
        more = "" if len(text) <= cut else f"… ({len(text) - cut:,} more characters)"
        found.append([encodable(name), text[:cut] + more])
    return found


def _text(value: Any) -> str:
    if isinstance(value, str):
        return encodable(value)
    return orjson.dumps(value, default=str).decode()


def _system(entry: Entry) -> dict[str, Any]:
    report = entry.report
    return {
        "name": report.system, "score": _interval(report.score), "group": entry.group,
        "rank": None if entry.rank is None else [entry.rank.low, entry.rank.high],
        "usd": _rounded(report.usd_per_1000), "p50": _rounded(report.latency(0.5)),
        "p95": _rounded(report.latency(0.95)), "tokens": _rounded(report.prompt_tokens),
        "weights": report.parameters, "failed": report.failed, "unscored": report.unscored,
    }  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _version(version: Version) -> dict[str, Any]:
    gain = version.gain
    return {
        "name": version.name, "number": version.number, "added": version.added, "score": _interval(version.score),
        "gain": None if gain is None else _interval(gain.difference), "shared": None if gain is None else gain.n,
    }  # fmt: skip


def _interval(score: Interval | None) -> list[int | None] | None:
    return None if score is None else [_millionths(x) for x in (score.value, score.low, score.high)]


def _millionths(value: float) -> int | None:
    return None if np.isnan(value) else round(value * 1e6)
