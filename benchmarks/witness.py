"""dstill's command line with a witness: ``python benchmarks/witness.py LOG [--closed] run recipe.toml ...``.

Every call that the door hands to an engine, of whatever kind, is a line ``ask KEY`` in LOG, KEY being the call's
content key. The line is written by one system call when the budget has let the call pass and before the engine is
asked, so it outlives a SIGKILL.

With ``--closed`` no socket can be made in this process and no engine answers; each attempt is a line in LOG, too.
"""

from __future__ import annotations

import os
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

FORBIDDEN = ("socket.__new__", "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "socket.sendmsg")


def main() -> None:
    """Set up the witness, then be ``dstill``."""
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    closed = sys.argv[2] == "--closed"

    def note(*words: str) -> None:
        os.write(log, (" ".join(words) + "\n").encode())

    if closed:
        close_sockets(note)
    watch_calls(note)
    if closed:
        close_engines(note)
    sys.argv = ["dstill", *sys.argv[3 if closed else 2 :]]
    from dstill.cli import main as command_line

    command_line()


def watch_calls(note: Any) -> None:
    """A call enters the door's payment with its key, and goes on to the engine when its room is reserved."""
    from dstill.runtime.budget import Ledger
    from dstill.runtime.door import Door

    pay, reserve, paying = Door._pay, Ledger.reserve, threading.local()

    def watched_pay(self: Door, key: bytes, *rest: Any) -> Any:
        paying.key = key.hex()
        return pay(self, key, *rest)

    def watched_reserve(self: Ledger, bound: Any) -> Any:
        held = reserve(self, bound)  # in its parents, too: the topmost is done first, and the last to be able to refuse
        if getattr(paying, "key", None) is not None:
            note("ask", paying.key)
            paying.key = None
        return held

    Door._pay, Ledger.reserve = watched_pay, watched_reserve  # type: ignore[method-assign]


def close_sockets(note: Any) -> None:
    """Python's audit events tell of every socket before it is made, and a hook cannot be taken out again."""
    import_module("urllib3")  # when it is imported, it tries by a socket of its own whether this machine has IPv6

    def hook(event: str, arguments: Any) -> None:
        if event in FORBIDDEN:
            note("socket", event)
            raise PermissionError(f"sockets are closed: {event}")

    sys.addaudithook(hook)


def close_engines(note: Any) -> None:
    """Every class of engines refuses to answer."""
    from dstill.runtime.engines.base import Priced

    for module in ("hosted", "recorded", "scripted", "local.causal", "local.seq2seq"):
        import_module(f"dstill.runtime.engines.{module}")
    import_module("dstill.distill.students.engines")

    def refuse(self: Any, request: Any) -> NoReturn:
        note("engine", type(self).__name__)
        raise PermissionError(f"engines are closed: {self.name}")

    kinds = [Priced]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        if "complete" in vars(kind):
            kind.complete = refuse  # type: ignore[attr-defined]


def asked(log: Path) -> list[str]:
    """The keys of a log, in order."""
    return [line.split()[1] for line in lines(log) if line.startswith("ask ")]


def lines(log: Path) -> list[str]:
    """What a log says; nothing where there is none."""
    return log.read_text().splitlines() if log.exists() else []


if __name__ == "__main__":
    main()
