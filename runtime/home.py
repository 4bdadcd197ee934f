"""Where runs and their journal lie when nobody says otherwise: ``runs`` in the current folder, or $DSTILL_RUNS."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .canonical import digest
from .errors import BadInput
from .journal import Journal

JOURNAL = "journal.sqlite"
LONGEST = 100
"""Characters in a run's name."""


def runs_folder() -> Path:
    """The folder of all runs."""
    return Path(os.environ.get("DSTILL_RUNS") or "runs")


def file_name(name: str) -> str:
    """The name with a dash for whatever may trouble a file system."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def run_folder(given: Path | str | None, name: str, config: dict[str, Any]) -> Path:
    """A run's directory: the given path (a bare name lies in the folder of runs), or one named after the work.

    Raises:
        BadInput: for an empty name, or one that stands for another folder or holds control characters.
    """
    if given is None:
        return runs_folder() / f"{file_name(name)}-{digest(config)[:8]}"
    if not isinstance(given, str | os.PathLike):
        raise BadInput(f"run={given!r}: expected a name or a path")
    path = Path(given).expanduser()
    if path.name in ("", "..") or not str(given).isprintable() or len(path.name) > LONGEST:
        raise BadInput(f"run={str(given)!r}: expected a name or a path that ends with one of at most {LONGEST} signs")
    bare = len(path.parts) == 1 and "/" not in str(given) and os.sep not in str(given)  # ./name is a path
    return runs_folder() / path if bare else path


def default_journal(run: Path) -> Journal:
    """The journal beside a run's directory, which all runs of that folder share."""
    return Journal(run.parent / JOURNAL)
