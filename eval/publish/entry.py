"""An entry of a board folder: what was added when, the digests of its files, and the digest of the entry before it."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ...runtime.canonical import digest
from ...runtime.errors import BadInput, Damaged

FOLDER = re.compile(r"\d{4,}-[\w.-]{1,80}")
FILES = ("report.json", "rows.jsonl", "examples.jsonl")
"""What an entry's folder holds; the last where it is known what was asked."""
LONGEST = 200
"""Characters of a label or a note."""


@dataclass(frozen=True, slots=True)
class Label:
    """What whoever adds an evaluation wants to say about it."""

    version: str = ""
    """What to call this version of the system, such as ``v2`` or a commit; its number on the board by default."""
    note: str = ""
    """A line for readers."""
    shared: bool = False
    """Take it even if it was run on other examples than the board's, and compare on those that all share."""
    baseline: str = ""
    """From here on, the system that gains are measured against; the first on the board by default."""

    def check(self) -> None:
        """Raises BadInput for text that is too long or would break a line."""
        for name in ("version", "note", "baseline"):
            text = getattr(self, name)
            if not text.isprintable() or len(text) > LONGEST:
                raise BadInput(f"{name}={text!r:.60}: expected one line of at most {LONGEST} signs")


@dataclass(frozen=True, slots=True)
class Entry:
    """One evaluation on the board, as it stands in ``board.json``."""

    number: int
    """From 1 on, in the order of adding."""
    folder: str
    """Its folder's name under ``entries``."""
    system: str
    task: str
    split: str
    metric: str
    n: int
    """Rows."""
    added: str
    """When, in UTC, to the second: ``2026-05-01T12:00:00Z``."""
    label: Label
    made_by: str
    """The version of dstill that added it."""
    git: str | None
    """The commit of the run, where it is known."""
    files: dict[str, str] = field(hash=False)
    """SHA-256 of each of its files."""
    previous: str
    """The digest of the entry before it; empty for the first."""

    @property
    def digest(self) -> str:
        """SHA-256 of everything above, and through ``previous`` of everything before."""
        return digest(asdict(self))

    @property
    def key(self) -> tuple[str, str, str]:
        """What must be equal for two entries to stand on one board: task, split and metric."""
        return self.task, self.split, self.metric

    @property
    def version(self) -> str:
        """What to call this version of the system."""
        return self.label.version or f"#{self.number}"

    def dump(self) -> dict[str, Any]:
        """As JSON, with its digest."""
        return {**asdict(self), "digest": self.digest}

    @classmethod
    def load(cls, body: Any, place: str) -> Entry:
        """The inverse of ``dump``.

        Raises:
            Damaged: for something else, or an entry that was altered.
        """
        try:
            values = {part.name: body[part.name] for part in fields(cls)}
            entry = cls(**{**values, "label": Label(**values["label"])})
            kinds = {"number": int, "folder": str, "n": int, "files": dict, "previous": str}
            whole = all(isinstance(values[name], kind) for name, kind in kinds.items())
            told = body["digest"]
        except (KeyError, TypeError):
            raise Damaged(f"{place} is no entry of a board") from None
        if not whole or not FOLDER.fullmatch(entry.folder) or not set(FILES[:2]) <= set(entry.files) <= set(FILES):
            raise Damaged(f"{place} is no entry of a board")
        if told != entry.digest:
            raise Damaged(f"{place} was altered: it calls itself {str(told)[:12]}, its digest is {entry.digest[:12]}")
        return entry


def chain(bodies: Any, place: str) -> tuple[Entry, ...]:
    """Entries in their order, each of which names the one before it.

    Raises:
        Damaged: where one was altered, removed, or put in another place.
    """
    if not isinstance(bodies, list):
        raise Damaged(f"{place} holds no list of entries")
    found: list[Entry] = []
    for number, body in enumerate(bodies, start=1):
        entry = Entry.load(body, f"{place}, entry {number}")
        before = found[-1].digest if found else ""
        if entry.number != number or entry.previous != before:
            raise Damaged(
                f"{place}: entry {entry.number} stands in place {number} and does not follow the entry before it: "
                "an entry was altered, removed, or put in another place"
            )
        found.append(entry)
    return tuple(found)
