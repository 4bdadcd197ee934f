"""Run directories: what a run wrote, in files that plain tools can read, with a manifest that vouches for them.

The manifest is written last. A directory without one is a run that has not ended; doing it again completes it.
A run within a run has a manifest of its own, which the outer one vouches for; runs that are added later are let be.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
from filelock import FileLock, Timeout

from .atomic import write_bytes, write_json, writing
from .canonical import JSON, canonical, digest, file_digest
from .errors import BadInput, Damaged, RunBusy
from .written import CONFIG, files_in, strangers, strangers_before
from .written import MANIFEST as MANIFEST

FORMAT = 1


class RunDir:
    """One run's directory, locked while it is open.

    Args:
        path: the directory, created where it is missing.
        kind: what sort of run it is (``compile``, ``distill``, ``eval``, ``run``).
        config: every value that determines the result; a directory belongs to one configuration.
        replace: whether to give up an earlier run of the same kind with another configuration: its files go, its
            calls stay in the journal. Where there are files that it did not write, nothing goes.

    Raises:
        BadInput: if the directory belongs to another configuration, naming what differs, or holds files of no run.
        RunBusy: if another process works on it.
        Damaged: if it was written by a newer dstill.
    """

    def __init__(self, path: Path | str, *, kind: str, config: dict[str, JSON], replace: bool = False) -> None:
        self.path = Path(path)
        self.kind, self.config = kind, config
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"cannot make the run directory {self.path}: {error.strerror}") from None
        self._lock = FileLock(self.path / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunBusy(f"another process is working on {self.path}; wait for it, or choose another name") from None
        try:
            self._adopt(replace)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> RunDir:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def id(self) -> str:
        """The run's name for accounting: the same for every session of the same work, wherever it lies."""
        return run_id(self.kind, self.config)

    def file(self, name: str) -> Path:
        """The path of one of the run's files."""
        return self.path / name

    def write(self, name: str, value: JSON) -> None:
        """Write a JSON file, atomically."""
        write_json(self.path / name, value)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file, atomically."""
        write_bytes(self.path / name, text.encode())

    def write_lines(self, name: str, rows: Iterable[JSON]) -> None:
        """Write a JSONL file, atomically."""
        with writing(self.path / name) as file:
            for row in rows:
                file.write(canonical(row) + b"\n")

    def finish(self, **facts: JSON) -> None:
        """Write the manifest: kind, versions, git revision, and the digest of every file of the run."""
        write_json(
            self.path / MANIFEST,
            {
                "format": FORMAT,
                "kind": self.kind,
                "id": self.id,
                "versions": versions(),
                "git": git_revision(),
                "files": {name: file_digest(self.path / name) for name in self._own_files()},
                **facts,
            },
        )

    def close(self) -> None:
        """Give the directory back."""
        self._lock.release()

    def _own_files(self) -> list[str]:
        strange = self._strange
        return [n for n in files_in(self.path) if n not in strange or _stamp(self.path / n) != strange[n]]

    def _adopt(self, replace: bool) -> None:
        manifest = self.path / MANIFEST
        vouched = read_manifest(self.path)["files"] if manifest.exists() else {}
        before, ours = self.path / CONFIG, {"kind": self.kind, **self.config}
        if not before.exists() and not manifest.exists() and (strange := strangers_before(self.path)):
            raise BadInput(f"{self.path} holds files of no run ({', '.join(strange[:3])}); choose another name")
        old = _read(before) if before.exists() else ours
        other = isinstance(old, dict) and canonical(old) != canonical(ours)
        if other and old.get("kind") != self.kind:
            raise BadInput(f"{self.path} belongs to a run of another kind ({old.get('kind')}); choose another name")
        if other and not replace:
            raise BadInput(
                f"{self.path} belongs to a run with another configuration ({', '.join(_differences(old, ours)[:4])}); "
                "choose another name, or replace it (--replace)"
            )
        if other and (strange := strangers(self.path, vouched)):
            raise BadInput(
                f"{self.path} holds files that its run did not write ({', '.join(strange[:3])}), and is not replaced: "
                "move them elsewhere, or choose another name"
            )
        manifest.unlink(missing_ok=True)
        if other:
            for name in files_in(self.path):
                if not name.endswith(f"/{MANIFEST}") and name != CONFIG:  # which tells whose they are, to the end
                    (self.path / name).unlink()
        self.write(CONFIG, ours)
        # The manifest will not vouch for them, so that no later run takes them for this one's.
        self._strange = {name: _stamp(self.path / name) for name in strangers(self.path, vouched)}


def belongs(path: Path, kind: str, config: dict[str, JSON]) -> bool:
    """Whether a directory is that of this work; one that has just been made is anybody's."""
    file = path / "config.json"
    return not file.exists() or canonical(_read(file)) == canonical({"kind": kind, **config})


def awaited(path: Path) -> bool:
    """Wait for the process that works on a directory; whether the run there has then ended."""
    with FileLock(path / ".lock"):
        return (path / MANIFEST).exists()


def run_id(kind: str, config: dict[str, JSON]) -> str:
    """The name of a run for accounting."""
    return digest([kind, config])[:32]


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a finished run.

    Raises:
        BadInput: where there is no finished run.
        Damaged: for a manifest that cannot be read or has a newer format.
    """
    file = path / MANIFEST
    if not file.exists():
        state = "has not ended (run it again to complete it)" if path.is_dir() else "does not exist"
        raise BadInput(f"{path} {state}: there is no {MANIFEST}")
    manifest = _read(file)
    form: dict[str, type] = {"format": int, "kind": str, "files": dict}
    if not isinstance(manifest, dict) or not all(isinstance(manifest.get(key), form[key]) for key in form):
        raise Damaged(f"{file} is not a run's manifest")
    if manifest["format"] > FORMAT:
        raise Damaged(
            f"{path} has run format {manifest['format']}, and this dstill reads up to {FORMAT}: update dstill"
        )
    return manifest


def check_files(folder: Path, *names: str) -> None:
    """Refuse a run that has not ended, or whose files of these names are not what it wrote.

    A folder without ``config.json`` is no run directory; nothing vouches for its files, and nothing is refused.

    Raises:
        BadInput: for a run that has not ended.
        Damaged: for a file that has changed, and for a newer format.
    """
    if not (folder / "config.json").is_file():
        return
    files = read_manifest(folder)["files"]
    for name in names:
        if name in files and (not (folder / name).is_file() or file_digest(folder / name) != files[name]):
            raise Damaged(f"{folder / name} has changed since the run ended; dstill verify says what else has")


def verify(path: Path) -> list[str]:
    """What is wrong with a finished run, a line a file; empty if every file is what the manifest says."""
    files: dict[str, str] = read_manifest(path)["files"]
    problems = []
    for name, expected in files.items():
        file = path / name
        if not file.is_file():
            problems.append(f"{file} is missing")
        elif file_digest(file) != expected:
            problems.append(f"{file} has changed since the run ended")
    added = [name for name in files_in(path) if name not in files and not name.endswith(f"/{MANIFEST}")]
    problems += [f"{path / name} is not in the manifest" for name in added]
    return problems


def versions() -> dict[str, str]:
    """The versions that a result may depend on."""
    found = {"python": sys.version.split()[0]}
    for name in ("dstill", "dspy", "torch", "transformers", "peft", "optuna", "numpy", "scipy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_revision() -> str | None:
    """The commit of the folder that the user works in, with ``+`` if it has uncommitted changes; or ``None``."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("+" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def _stamp(file: Path) -> tuple[int, int]:
    """By which it shows whether a file has been written anew."""
    found = file.stat()
    return found.st_mtime_ns, found.st_size


def _read(file: Path) -> Any:
    try:
        return orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        advice = "delete the directory and run it again (its calls stay in the journal)"
        raise Damaged(f"{file} cannot be read: {error}; {advice}") from None


def _differences(old: Any, new: Any, place: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for name in sorted(old.keys() | new.keys()):
            found += _differences(old.get(name), new.get(name), f"{place}.{name}".lstrip("."))
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for at, (one, other) in pairs for line in _differences(one, other, f"{place}[{at}]")]
    return [] if old == new else [f"{place}: {str(old)[:40]} became {str(new)[:40]}"]
