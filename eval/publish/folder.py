"""A board folder: an append-only list of evaluations, their rows, and the page that is made of them.

    board.json              the entries, each with its digests and that of the one before; written last
    entries/0001-NAME/      report.json, rows.jsonl, examples.jsonl: what was added, never changed
    leaderboard.{html,md,json,csv}

Whatever is interrupted, the folder is what ``board.json`` says; what an interrupted adding left behind is not on the
board, and the next adding sweeps it away.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock, Timeout

from ...runtime.atomic import sync_folder, write_json
from ...runtime.canonical import file_digest
from ...runtime.errors import BadInput, Damaged, RunBusy
from ...runtime.home import file_name
from ..board import Board, Boards
from ..report import Report
from .entry import FILES, FOLDER, Entry, Label, chain
from .pages import boards_of

FORMAT = 1
BOARD, ENTRIES, PAGES = "board.json", "entries", "leaderboard"
PLAIN = Label()
STAGED = ".part"
PATIENCE = 60.0
"""Seconds to wait while somebody else adds."""


@dataclass(frozen=True)
class BoardFolder:
    """A folder that holds a board; ``add`` makes it where there is none."""

    path: Path

    @classmethod
    def at(cls, path: Path | str) -> BoardFolder:
        """The board in a folder.

        Raises:
            BadInput: where there is none.
        """
        found = cls(Path(path))
        if not found.exists():
            made = f"dstill leaderboard add RUN --board {path}"
            raise BadInput(f"there is no board in {path}: {BOARD} is missing (make one: {made})")
        return found

    def exists(self) -> bool:
        """Whether there is a board."""
        return (self.path / BOARD).is_file()

    def manifest(self) -> dict[str, Any]:
        """What ``board.json`` holds.

        Raises:
            Damaged: for something else, or a newer format.
        """
        file = self.path / BOARD
        try:
            body = orjson.loads(file.read_bytes())
        except (OSError, orjson.JSONDecodeError) as error:
            raise Damaged(f"{file} cannot be read: {error}") from None
        if not isinstance(body, dict) or not isinstance(body.get("format"), int) or "entries" not in body:
            raise Damaged(f"{file} is no board's manifest")
        if body["format"] > FORMAT:
            raise Damaged(f"{file} has format {body['format']}, and this dstill reads up to {FORMAT}: update dstill")
        return body

    def entries(self) -> tuple[Entry, ...]:
        """All entries, the oldest first.

        Raises:
            Damaged: where one was altered, removed, or put in another place.
        """
        body = self.manifest()
        found = chain(body["entries"], str(self.path / BOARD))
        head = found[-1].digest if found else ""
        if body.get("head") != head:
            raise Damaged(
                f"{self.path / BOARD} ends with the entry {head[:12]} and says that it ends with "
                f"{str(body.get('head'))[:12]}: an entry was removed or added by hand"
            )
        return found

    def report(self, entry: Entry) -> Report:
        """An entry's evaluation, with the rows as they were added.

        Raises:
            Damaged: for a file that is missing or has changed, or is not of what the entry says.
        """
        folder = self.path / ENTRIES / entry.folder
        for name, told in entry.files.items():
            file = folder / name
            if not file.is_file() or file_digest(file) != told:
                state = "has changed since it was added" if file.is_file() else "is missing"
                raise Damaged(f"{file} {state} as entry {entry.number} ({entry.system})")
        found = Report.load(folder)
        for what in ("system", "task", "split", "metric", "n"):
            said, given = getattr(entry, what), len(found.rows) if what == "n" else getattr(found, what)
            if said != given:
                raise Damaged(
                    f"{self.path / BOARD} says of entry {entry.number} {what} = {said!r}, and {folder} has {given!r}"
                )
        return found

    @property
    def title(self) -> str:
        """What the page is called where it holds several boards: the folder's name when it was made."""
        known = self.manifest().get("title") if self.exists() else None
        return known if isinstance(known, str) else self.path.resolve().name

    def board(self) -> Board | Boards:
        """The board of the newest version of every system, with the history of all versions.

        Raises:
            Damaged: for files that are not what was added.
        """
        return boards_of([(entry, self.report(entry)) for entry in self.entries()], self.title)

    def add(self, reports: Sequence[Report], label: Label = PLAIN, *, git: str | None = None) -> tuple[Entry, ...]:
        """Add evaluations, all or none, and make the pages anew; what is there already is not added twice.

        Args:
            reports: one a system.
            label: what to say of them.
            git: the commit of the run, where it is known.

        Returns:
            Their entries, also of those that were there.

        Raises:
            BadInput: for none, for rows that cannot be counted, or on other examples than the board's (how many they
                share).
            RunBusy: if somebody else keeps adding for a minute.
            Damaged: if the board is not what was added to it.
        """
        label.check()
        if not reports:
            raise BadInput("nothing to add: expected at least one evaluation")
        for report in reports:
            report.check()
        with self._alone():
            entries = list(self.entries()) if self.exists() else []
            added = [(entry, self.report(entry)) for entry in entries]
            found, staged = [], []
            for report in reports:
                number, name = len(added) + 1, file_name(report.system)[:60] or "system"
                place = self.path / ENTRIES / f".{number:04}-{name}{STAGED}"
                report.write(place)
                files = {file: file_digest(place / file) for file in FILES if (place / file).is_file()}
                entry = next((entry for entry, _ in added if (entry.files, entry.label) == (files, label)), None)
                if entry is None:
                    entry = Entry(
                        number, f"{number:04}-{name}", report.system, report.task, report.split, report.metric,
                        len(report.rows), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), label, version("dstill"),
                        git, files, added[-1][0].digest if added else "",
                    )  # fmt: skip
                    added.append((entry, Report.load(place)))  # as it will be read: the pages are made of the files
                    staged.append((place, entry))
                found.append(entry)
            made = boards_of(added, self.title)  # refuses what cannot stand on one board, before anything is changed
            for place, entry in staged:
                place.rename(self.path / ENTRIES / entry.folder)
            sync_folder(self.path / ENTRIES)
            self._finish([entry for entry, _ in added], made)
            return tuple(found)

    def _finish(self, entries: Sequence[Entry], made: Board | Boards) -> None:
        """The pages, and last of all the manifest."""
        head, title = entries[-1].digest, self.title
        pages = made.save(self.path, live=head)
        digests = {page.name: file_digest(page) for page in pages.values()}
        body = {
            "format": FORMAT, "title": title, "entries": [entry.dump() for entry in entries], "head": head,
            "pages": {"made_by": version("dstill"), "files": digests},
        }  # fmt: skip
        write_json(self.path / BOARD, body)

    def _sweep(self, count: int | None) -> None:
        """Remove folders that are staged; and those numbered beyond ``count`` entries, which an adding that did not
        end has left."""
        for place in (self.path / ENTRIES).iterdir():
            number = place.name.partition("-")[0]
            beyond = count is not None and FOLDER.fullmatch(place.name) and int(number) > count
            staged = place.name.startswith(".") and place.name.endswith(STAGED)
            if place.is_dir() and (staged or beyond):
                shutil.rmtree(place)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else adds meanwhile."""
        try:
            (self.path / ENTRIES).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"cannot make the board's folder {self.path}: {error.strerror}") from None
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            raise RunBusy(f"somebody else has been adding to {self.path} for {PATIENCE:.0f} s; try again") from None
        try:
            self._sweep(len(self.entries()) if self.exists() else 0)
            yield
        finally:
            self._sweep(None)
            lock.release()
