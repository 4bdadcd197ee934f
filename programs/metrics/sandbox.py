"""A sandbox for Python code that a model wrote: a process with limits, without network, files and privileges.

**What it protects against.** The code runs in a session of its own, in a new empty folder, with an empty environment
and no standard input. Limits (see ``Limits``) bound processor time, address space, the memory of all its processes
together, their number, open files, the size of a file, output, and wall-clock time; whatever is left at the end is
killed. No privilege is left: root becomes a user that owns nothing.

Where the system permits namespaces (as root, or with unprivileged user namespaces), it has no network; sees no file but
its folder (in memory, of bounded size) and, to read, Python's and the system's libraries; sees no other process; and
none of its processes outlives it, however it forks. Where it does not (many containers), less holds, and
``protections`` says what: files rest on Landlock (Linux 5.13) or else on the user's permissions alone, so that code may
read what that user may read; Python's sockets are refused, but code that makes system calls of its own (ctypes, another
program) reaches the network (TCP not, with Landlock of Linux 6.7); processes that leave their group are hunted by their
ancestor, which is a race; without Landlock of Linux 6.12 it may signal the user's other processes; and the number of
files in its folder is not bounded.

**What it does not protect against.** Faults of the kernel. Use of the processors (all of them) and of memory up to the
limits. Code that lies about its own tests: they run in the process of the code, so code that looks for them there can
forge a verdict, and a score is no proof against a model that was trained to do so. Time limits depend on the machine:
an answer near one may pass on one day and not on another. Linux only. As root where namespaces are not permitted and
Python lies in a folder that only root may read, nothing runs.
"""

from __future__ import annotations

import ast
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...runtime.errors import BadInput

_JAIL = Path(__file__).parent / "jail.py"
_GRACE = 15.0
"""Seconds after its time limit in which the sandbox itself must have ended everything."""
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What a submission may use."""

    seconds: float = 10.0
    """Of wall-clock time, for the code and all its tests."""
    cpu: int = 8
    """Seconds of processor time of one process."""
    memory: int = 512
    """Megabytes: address space of one process, and memory of all together."""
    processes: int = 8
    """Processes and threads, with the first."""
    files: int = 64
    """Open files of one process."""
    disk: int = 16
    """Megabytes of one file, and (in a file system of its own) of all."""
    output: int = 64
    """Kilobytes of output; more ends it."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
                raise BadInput(f"Limits({name}={value!r}): expected a number above 0 and below a million")


DEFAULT = Limits()
"""The limits where none are given."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a submission."""

    status: str
    """``finished``, or the limit that ended it: ``timeout``, ``cpu``, ``memory``, ``output``; or ``signal N``; or
    ``lost (...)``, where the sandbox itself was ended."""
    error: str
    """What the code itself raised, before any test; empty where it ran to its end."""
    passed: tuple[bool, ...]
    """A value for each test; those that were not reached did not pass."""
    errors: tuple[str, ...]
    """What each test raised; empty for one that passed or was not reached."""
    output: str
    """What was printed, both streams, up to the limit."""


def run_tests(source: str, tests: Sequence[str] = (), limits: Limits = DEFAULT, *, namespaces: bool = True) -> Ran:
    """Run code and then its tests, each a piece of Python in the names that the code left, in the sandbox.

    Args:
        source: Python code; the standard library is there, installed packages are not.
        tests: a test passes if it raises nothing.
        namespaces: turn them off to see what holds where a system has none.

    Raises:
        BadInput: where the sandbox cannot be made.
    """
    if not sys.platform.startswith("linux"):
        raise BadInput(f"the sandbox for code needs Linux, and this is {sys.platform}")
    return _report(_run(source, tests, limits, namespaces), len(tests))


@lru_cache(maxsize=2)
def protections(*, namespaces: bool = True) -> dict[str, str]:
    """What files, network and processes rest on here, found by running something harmless.

    Raises:
        BadInput: where the sandbox cannot be made, or Python does not work in it.
    """
    if not sys.platform.startswith("linux"):
        raise BadInput(f"the sandbox for code needs Linux, and this is {sys.platform}")
    found = _run("import collections, decimal, hashlib, json, math, random, re", (), DEFAULT, namespaces)
    ran = _report(found, 0)
    if ran.status != "finished" or ran.error:
        raise BadInput(f"Python does not work in the sandbox for code: {ran.error or ran.status}")
    return dict(found["held"])


def _run(source: str, tests: Sequence[str], limits: Limits, namespaces: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="dstill-", ignore_cleanup_errors=True) as folder:
        order = {
            "source": source, "tests": list(tests), "folder": os.path.realpath(folder), "namespaces": namespaces,
            "nonce": secrets.token_hex(8), "seconds": limits.seconds, "cpu": int(max(1, limits.cpu)),
            "memory": int(limits.memory * _MB), "processes": int(limits.processes), "files": int(limits.files),
            "disk": int(limits.disk * _MB), "output": int(limits.output * 1024),
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(_JAIL)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={}, cwd="/", start_new_session=True,
        )  # fmt: skip
        try:
            out, err = process.communicate(json.dumps(order).encode(), timeout=limits.seconds + _GRACE)
        except subprocess.TimeoutExpired:
            out, err = b"", b"it did not end in time"
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()
    found: dict[str, Any]
    try:
        found = json.loads(out)
    except ValueError:
        said = err.decode("utf-8", "replace").strip().rpartition("\n")[2] or f"exit {process.returncode}"
        found = {"status": f"lost ({said})", "lines": [], "output": "", "held": {}}
    if "error" in found:
        raise BadInput(f"the sandbox for code cannot be made here: {found['error']}")
    return found


def _report(found: dict[str, Any], count: int) -> Ran:
    passed, errors, error = [False] * count, [""] * count, "it ended before its end"
    for line in found["lines"]:
        place, good, said = (*line.split(" ", 2), "", "")[:3]
        if place == "setup":
            raise BadInput(f"the sandbox for code cannot be made here: {line.partition(' ')[2]}")
        text = _unquoted(said)
        if place == "source":
            error = "" if good == "ok" else text
        elif place.isdigit() and int(place) < count:
            passed[int(place)], errors[int(place)] = good == "ok", text
    return Ran(found["status"], error, tuple(passed), tuple(errors), found["output"])


def _unquoted(text: str) -> str:
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text
