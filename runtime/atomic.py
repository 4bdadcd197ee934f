"""Files that are either whole or absent: written beside the target, flushed to disk, then renamed over it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .canonical import JSON, pretty


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that takes ``path``'s name when the block ends well, and vanishes when it does not.

    The earlier file, where there is one, stays untouched until then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
        sync_folder(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Replace ``path`` with ``data``, atomically."""
    with writing(path) as file:
        file.write(data)


def write_json(path: Path, value: JSON) -> None:
    """Replace ``path`` with the readable canonical JSON of ``value``, atomically."""
    write_bytes(path, pretty(value))


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable (a no-op where folders cannot be opened)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
