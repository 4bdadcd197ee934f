"""The journal: every answer that was ever paid for, durable before its caller sees it, keyed by content.

An SQLite file in WAL mode with full synchronisation, written in groups (``commits``).
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from .budget import Cost
from .canonical import canonical
from .commits import Commits, Statement
from .errors import Damaged, JournalFailed
from .keyindex import KeyIndex
from .schema import prepare, write_ahead
from .wire import Answer, Wire

Identity = dict[str, Any]
"""What a model is, as JSON: provider, endpoint and model of a hosted one; weights digest of a local one."""

_COLUMNS = "key, model, prefix, tail, sample, answer, tokens, pico, seconds, run, bound_tokens, bound_pico, id"


@dataclass(frozen=True, slots=True)
class Entry:
    """One completed call."""

    key: bytes
    model: str
    """Digest of the model's identity."""
    wire: Wire
    sample: int
    answer: Answer
    cost: Cost
    """What it cost when it was paid for."""
    bound: Cost
    """What it had reserved."""
    seconds: float
    """How long the engine took."""
    run: str
    """The run that paid."""
    number: int = field(default=0, compare=False)
    """Its place among all that the journal holds, from 1 on; 0 before it is stored."""


class Journal:
    """A durable store of completed calls; safe for many threads, and for many processes on one file.

    Args:
        path: the SQLite file, created with its folder where it is missing; ``None`` keeps the journal in memory.

    Raises:
        Damaged: for a file that is not a journal or has a newer format.
        JournalFailed: from any write that cannot be made durable.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._name = "the journal in memory" if self.path is None else str(self.path)
        self._reading, self._writing = self._open()
        self._read_lock = threading.Lock()
        write_lock = self._read_lock if self._reading is self._writing else threading.Lock()
        self._commits = Commits(self._writing, write_lock, _insert, self._name)
        self._models: set[str] = set()
        self._prefixes: set[bytes] = set()
        self._index = KeyIndex(self._reading, self._read_lock)

    def get(self, key: bytes) -> Entry | None:
        """The completed call under a content key, or ``None``."""
        if not self._index.may_have(key):
            return None
        with self._read_lock:
            row = self._reading.execute(
                f"SELECT {_COLUMNS}, (SELECT body FROM prefixes WHERE digest = prefix) FROM calls WHERE key = ?",
                (key,),
            ).fetchone()
        return None if row is None else _entry(row)

    def put(self, entry: Entry, identity: Identity) -> Entry:
        """Store a completed call and return it when it is on disk.

        A key that is there already keeps its first answer, and that one is returned: two processes that paid for
        the same call go on with the same answer.
        """
        prefix = hashlib.sha256(entry.wire.prefix).digest()
        before: list[Statement] = []
        if entry.model not in self._models:
            before.append(("INSERT OR IGNORE INTO models VALUES (?, ?)", (entry.model, canonical(identity).decode())))
        if prefix not in self._prefixes:
            before.append(("INSERT OR IGNORE INTO prefixes VALUES (?, ?)", (prefix, entry.wire.prefix.decode())))
        values = (
            entry.key, entry.model, prefix, entry.wire.tail.decode(), entry.sample, entry.answer.dump().decode(),
            entry.cost.tokens, entry.cost.pico, entry.seconds, entry.run, entry.bound.tokens, entry.bound.pico,
            entry.number or None,
        )  # fmt: skip
        first = self._commits.commit(*before, row=values)
        self._models.add(entry.model)
        if len(self._prefixes) > 100_000:
            self._prefixes.clear()
        self._prefixes.add(prefix)
        self._index.add(entry.key)
        return entry if first else self.get(entry.key) or entry

    def lose(self, key: bytes, run: str, error: str, cost: Cost) -> None:
        """Note an attempt that brought no answer but may have been billed."""
        row = (key, run, error, cost.tokens, cost.pico)
        self._commits.commit(("INSERT INTO losses (key, run, error, tokens, pico) VALUES (?,?,?,?,?)", row))

    def lost(self, run: str) -> Cost:
        """The sum of a run's losses."""
        query = "SELECT count(*), coalesce(sum(tokens), 0), coalesce(sum(pico), 0) FROM losses WHERE run = ?"
        with self._read_lock:
            return Cost(*self._reading.execute(query, (run,)).fetchone())

    def losers(self) -> list[str]:
        """The runs that have losses, sorted."""
        with self._read_lock:
            return [run for (run,) in self._reading.execute("SELECT DISTINCT run FROM losses ORDER BY run")]

    def paid(self, run: str) -> Cost:
        """The sum of a run's completed calls that a cap counts."""
        query = "SELECT count(*), coalesce(sum(tokens), 0), coalesce(sum(pico), 0) FROM calls WHERE run = ?"
        with self._read_lock:
            return Cost(*self._reading.execute(f"{query} AND bound_tokens > 0", (run,)).fetchone())

    def elapsed(self, run: str) -> float:
        """Seconds that earlier sessions of a run have taken."""
        with self._read_lock:
            row = self._reading.execute("SELECT seconds FROM runs WHERE run = ?", (run,)).fetchone()
        return 0.0 if row is None else float(row[0])

    def note_elapsed(self, run: str, seconds: float) -> None:
        """Remember how long a run has taken so far."""
        self._commits.commit(("INSERT OR REPLACE INTO runs VALUES (?, ?)", (run, seconds)))

    def begin(self, run: str, after: int | None = None) -> int:
        """The number of the last call that was there when a run, or a part of one, first began; noted the first time.

        Args:
            after: that number, where it is known; otherwise it is that of the last call now.
        """
        known = self._begun(run)
        if known is None:
            last = "coalesce(max(id), 0)" if after is None else str(after)
            self._commits.commit((f"INSERT OR IGNORE INTO begun SELECT ?, {last} FROM calls", (run,)))
            known = self._begun(run)
        assert known is not None
        return known

    def _begun(self, run: str) -> int | None:
        with self._read_lock:
            row = self._reading.execute("SELECT after FROM begun WHERE run = ?", (run,)).fetchone()
        return None if row is None else int(row[0])

    def begun(self) -> dict[str, int]:
        """By run, and part of a run, the number of the last call that was there when it first began."""
        with self._read_lock:
            return dict(self._reading.execute("SELECT run, after FROM begun ORDER BY run").fetchall())

    def identity(self, model: str) -> Identity:
        """The identity behind a model digest.

        Raises:
            KeyError: for a digest that is not in the journal.
        """
        with self._read_lock:
            row = self._reading.execute("SELECT identity FROM models WHERE digest = ?", (model,)).fetchone()
        if row is None:
            raise KeyError(model)
        found: Identity = orjson.loads(row[0])
        return found

    def entries(self, model: str | None = None) -> Iterator[Entry]:
        """All completed calls in the order of their keys (an order that does not depend on who came first)."""
        where = "" if model is None else "WHERE model = ?"
        query = f"SELECT {_COLUMNS}, (SELECT body FROM prefixes WHERE digest = prefix) FROM calls {where} ORDER BY key"
        with self._read_lock:
            rows = self._reading.execute(query, () if model is None else (model,)).fetchall()
        return map(_entry, rows)

    def __len__(self) -> int:
        with self._read_lock:
            return int(self._reading.execute("SELECT count(*) FROM calls").fetchone()[0])

    def close(self) -> None:
        """Close the file; calls that were stored stay stored."""
        with self._read_lock:
            self._reading.close()
            self._writing.close()

    def _open(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        if self.path is None:
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            prepare(connection, self._name)
            return connection, connection
        connections: list[sqlite3.Connection] = []
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for _ in range(2):
                connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=60.0)
                connections.append(connection)
                write_ahead(connection)
                connection.execute("PRAGMA synchronous = FULL")
                prepare(connection, self._name)
        except BaseException as error:
            for connection in connections:
                connection.close()
            if isinstance(error, sqlite3.OperationalError | OSError):
                raise JournalFailed(f"cannot open the journal {self._name}: {error}") from error
            if isinstance(error, sqlite3.DatabaseError):
                raise Damaged(f"{self._name} is not a dstill journal: {error}") from error
            raise
        return connections[0], connections[1]


def _entry(row: tuple[Any, ...]) -> Entry:
    key, model, _, tail, sample, answer, tokens, pico, seconds, run, bound_tokens, bound_pico, number, body = row
    return Entry(
        key=key,
        model=model,
        wire=Wire(body.encode(), tail.encode()),
        sample=sample,
        answer=Answer.load(answer),
        # A call that reserved nothing is one that no cap counts (a student's).
        cost=Cost(int(bound_tokens > 0), tokens, pico),
        bound=Cost(int(bound_tokens > 0), bound_tokens, bound_pico),
        seconds=seconds,
        run=run,
        number=number,
    )


def _insert(rows: int) -> str:
    holes = f"({','.join('?' * len(_COLUMNS.split(',')))})"
    return f"INSERT OR IGNORE INTO calls ({_COLUMNS}) VALUES {','.join([holes] * rows)}"
