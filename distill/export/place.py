"""Where an export goes: a new folder, or that of an earlier export, which it takes the place of when it is whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from ...runtime.errors import BadInput

RECORD = "export.json"
"""What stands beside an export's files, and names them."""


def check_place(out: Path, student: Path) -> None:
    """Refuse to write over anything but an earlier export.

    Raises:
        BadInput: for a file, the student's own folder, or a folder with other files.
    """
    advice = "expected a new folder, or that of an earlier export"
    if out.resolve() == student.resolve():
        raise BadInput(f"out={str(out)!r} is the student's own folder; {advice}")
    above = next(place for place in (out, *out.absolute().parents) if place.exists() or place.is_symlink())
    if not above.is_dir():
        raise BadInput(f"out={str(out)!r}: {above} is a file; {advice}")
    if strange := sorted(set(files_of(out)) - {RECORD, *_earlier(out)}):
        raise BadInput(f"out={str(out)!r} holds files that no export wrote ({', '.join(strange[:3])}); {advice}")


@contextmanager
def beside(out: Path) -> Iterator[Path]:
    """A folder to write to; its files move to ``out`` when the block ends well, and those of an earlier export go."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(dir=out, prefix=".", ignore_cleanup_errors=True)
    except OSError as error:
        raise BadInput(f"out={str(out)!r} cannot be written to: {error.strerror}") from None
    with made as name:
        yield Path(name)
        for old in _earlier(out):
            (out / old).unlink(missing_ok=True)
        (out / RECORD).unlink(missing_ok=True)
        for file in sorted(files_of(Path(name))):
            (out / file).parent.mkdir(parents=True, exist_ok=True)
            (Path(name) / file).chmod(0o644)  # as all that dstill writes, whatever library wrote it
            os.replace(Path(name) / file, out / file)


def inputs_checked(probes: Sequence[Mapping[str, str]], names: Sequence[str]) -> list[dict[str, str]]:
    """The probes with the student's inputs alone.

    Raises:
        BadInput: for one that is no mapping, or lacks an input, or holds something else than text.
    """
    expected = f"expected a list of mappings with the student's inputs as text, {dict.fromkeys(names, '...')}"
    if isinstance(probes, str | bytes | Mapping):
        raise BadInput(f"probes={probes!r}: {expected}")
    found = []
    for number, probe in enumerate(probes):
        read: Any = dict(probe.items()) if hasattr(probe, "items") else {}
        if not all(isinstance(read.get(name), str) for name in names):
            raise BadInput(f"probes[{number}]={probe!r}: {expected}")
        found.append({name: read[name] for name in names})
    return found


def _earlier(out: Path) -> list[str]:
    """The files of the export that is in a folder; none where it holds no export."""
    try:
        names = orjson.loads((out / RECORD).read_bytes())["files"]
        found = [name for name in names if isinstance(name, str) and not Path(name).is_absolute()]
        return [name for name in found if ".." not in Path(name).parts]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return []


def files_of(folder: Path) -> list[str]:
    """The files in a folder and below it, but for hidden ones."""
    found = []
    for place, names, files in os.walk(folder):
        names[:] = [name for name in names if not name.startswith(".")]
        found += [(Path(place) / file).relative_to(folder).as_posix() for file in files if not file.startswith(".")]
    return found
