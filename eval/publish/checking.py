"""Whether a board folder still is what was added to it: every digest, and every figure anew from the rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from ...runtime.canonical import file_digest, pretty
from ...runtime.errors import BadInput, Damaged
from ..board import Board, Boards
from ..report import Report
from .entry import Entry
from .folder import BOARD, ENTRIES, PAGES, BoardFolder
from .pages import boards_of

CLOSE = 1e-6
"""What a figure may be off by, relative to its size above 1: another machine rounds sums otherwise."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check has found."""

    entries: int
    systems: int
    figures: int
    """Numbers that were recomputed."""
    head: str
    """The digest of the last entry: whoever keeps it can tell later that nothing before it has changed."""
    problems: tuple[str, ...]
    """What is not as it was, a line each; empty if all is well."""
    pages_by: str = ""
    """The version of dstill that made the pages, where it is another one: then their text was not made anew."""


def check_board(path: Path | str, *, head: str = "") -> Checked:
    """Check a board folder.

    The chain of entries, the digests of all files, the figures in every ``report.json`` and in ``leaderboard.json``
    against the rows, and the pages against what the same dstill makes of them now.

    Args:
        path: the folder.
        head: a digest that was kept from an earlier check or adding; it must be that of an entry, so that nobody can
            have made the whole board anew.

    Raises:
        BadInput: where there is no board, or for a head that is no digest.
    """
    if head and (len(head) < 8 or not set(head) <= set("0123456789abcdef")):
        raise BadInput(f"head {head!r}: expected a digest, at least its first 8 hex digits")
    folder = BoardFolder.at(path)
    try:
        entries = folder.entries()
    except Damaged as error:
        return Checked(0, 0, 0, "", (str(error),))
    last = entries[-1].digest if entries else ""
    problems = [] if entries else [f"{folder.path / BOARD} has no entries: they were removed"]
    problems += [] if not head or any(entry.digest.startswith(head) for entry in entries) else [
        f"no entry has the digest {head}: this board has not grown from the one that had"
    ]  # fmt: skip
    problems += _strays(folder, entries)
    count, kept = 0, []
    for entry in entries:
        try:
            report = folder.report(entry)
        except (Damaged, BadInput) as error:
            problems.append(str(error))
            continue
        kept.append((entry, report))
        here = folder.path / ENTRIES / entry.folder
        told = _figures(_read(here / "report.json"))
        count += len(told)
        problems += [
            f"{here / 'report.json'} says {place} = {said}, and its rows ({here / 'rows.jsonl'}) give {given}"
            for place, said, given in _differences(told, _figures(_as_saved(report.dump())))
        ]
    pages_by = ""
    if len(kept) == len(entries) and entries:
        found, more, pages_by = _pages(folder, kept)
        problems, count = [*problems, *found], count + more
    return Checked(len(entries), len({entry.system for entry in entries}), count, last, tuple(problems), pages_by)


def _pages(folder: BoardFolder, kept: list[tuple[Entry, Report]]) -> tuple[list[str], int, str]:
    """What is wrong with the pages, how many figures were recomputed, and which other version made them."""
    body = folder.manifest()
    pages: dict[str, Any] = body["pages"] if isinstance(body.get("pages"), dict) else {}
    files = pages.get("files")
    if not isinstance(files, dict) or set(files) != {f"{PAGES}.{kind}" for kind in ("html", "md", "json", "csv")}:
        return [f"{folder.path / BOARD} does not name the board's pages"], 0, ""
    problems = []
    for name, told in files.items():
        file = folder.path / name
        if not file.is_file() or file_digest(file) != told:
            problems.append(f"{file} {'has changed since it was made' if file.is_file() else 'is missing'}")
    try:
        made = boards_of(kept, folder.title)
    except BadInput as error:
        return [*problems, f"the entries make no board: {error}"], 0, ""
    file = folder.path / f"{PAGES}.json"
    told, given = _figures(_read(file)), _figures(_as_saved(made.dump()))
    same = pages.get("made_by") == version("dstill")
    if not same:  # a newer one may tell more; what both tell must agree
        told, given = ({k: v for k, v in one.items() if k in other} for one, other in ((told, given), (given, told)))
    rows = {entry.system: folder.path / ENTRIES / entry.folder / "rows.jsonl" for entry, _ in kept}
    problems += [
        f"{file} says {place} = {said}, and the rows{_whose(made, place, rows)} give {now}"
        for place, said, now in _differences(told, given)
    ]
    if same and not problems:
        head = kept[-1][0].digest
        texts = {"html": made.html(live=head), "md": made.markdown(), "csv": made.csv()}
        problems += [
            f"{folder.path / f'{PAGES}.{kind}'} is not what the rows give"
            for kind, text in texts.items()
            if (folder.path / f"{PAGES}.{kind}").read_bytes() != text.encode()
        ]
    return problems, len(told), "" if same else str(pages.get("made_by"))


def _whose(made: Board | Boards, place: str, rows: Mapping[str, Path]) -> str:
    """The row file behind a figure of ``leaderboard.json``, where it is one system's."""
    boards = made.boards if isinstance(made, Boards) else (made,)
    parts = place.split(".")
    if isinstance(made, Boards) and parts[0].startswith("boards["):
        boards, parts = (boards[int(parts[0][7:-1])],), parts[1:]
    if not parts[0].startswith("systems[") or len(boards) != 1:
        return ""
    number = int(parts[0][8:-1])
    found = boards[0].entries[number].report.system if number < len(boards[0].entries) else ""
    return f" ({rows[found]})" if found in rows else ""


def _strays(folder: BoardFolder, entries: tuple[Entry, ...]) -> list[str]:
    """Files that no entry vouches for."""
    known = {(entry.folder, name) for entry in entries for name in entry.files}
    root = folder.path / ENTRIES
    return [
        f"{file} belongs to no entry of {BOARD}: an adding that did not end, or put there by hand"
        for file in sorted(root.rglob("*"))
        if file.is_file() and (file.parent.relative_to(root).as_posix(), file.name) not in known
    ]


def _read(file: Path) -> Any:
    try:
        return orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None


def _as_saved(body: dict[str, Any]) -> Any:
    return orjson.loads(pretty(body))


def _figures(body: Any) -> dict[str, Any]:
    """Every value of a JSON document by its place, such as ``systems[2].gain.low``."""
    return dict(_walk(body, ""))


def _walk(body: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(body, dict) and body:
        for name, value in body.items():
            yield from _walk(value, f"{place}.{name}".lstrip("."))
    elif isinstance(body, list) and body:
        for number, value in enumerate(body):
            yield from _walk(value, f"{place}[{number}]")
    else:
        yield place, body


def _differences(told: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Places whose values differ; one that is missing on a side is ``None`` there."""
    for place in (*told, *(place for place in given if place not in told)):
        said, now = told.get(place), given.get(place)
        if place not in told or place not in given or not _alike(said, now):
            yield place, said, now


def _alike(said: Any, now: Any) -> bool:
    numbers = [isinstance(x, int | float) and not isinstance(x, bool) for x in (said, now)]
    if all(numbers):
        return math.isclose(said, now, rel_tol=CLOSE, abs_tol=CLOSE)
    return type(said) is type(now) and bool(said == now)
