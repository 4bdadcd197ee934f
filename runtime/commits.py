"""Commits in groups: whoever finds no commit under way leads one for everybody who is waiting.

So hundreds of concurrent writers cost a few disk flushes, and a single one costs one, without a writer thread between
(the group commit of databases; Helland et al., "Group commit timers and high-volume transaction systems", 1987).
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from .errors import JournalFailed

Statement = tuple[str, tuple[Any, ...]]

_MOST = 512
"""Rows in one statement."""


class _Ticket:
    """A writer that waits for its rows to be on disk, or to be made leader of the next commit."""

    __slots__ = ("before", "error", "first", "lead", "row", "woken")

    def __init__(self, before: Sequence[Statement], row: tuple[Any, ...] | None) -> None:
        self.before, self.row = before, row
        self.woken = threading.Lock()
        self.woken.acquire()
        self.lead = False
        self.first = True
        self.error: BaseException | None = None


class Commits:
    """What is written through one connection, by many threads.

    Args:
        connection: in autocommit mode.
        lock: held while it is used.
        insert: the SQL that inserts so many rows.
        name: the file's, for messages.
    """

    def __init__(
        self, connection: sqlite3.Connection, lock: threading.Lock, insert: Callable[[int], str], name: str
    ) -> None:
        self._connection, self._lock, self._name = connection, lock, name
        self._insert = lru_cache(insert)
        self._queue: list[_Ticket] = []
        self._queue_lock = threading.Lock()
        self._under_way = False

    def commit(self, *before: Statement, row: tuple[Any, ...] | None = None) -> bool:
        """Write statements, then a row; returns when they are on disk.

        Returns:
            Whether the row is surely there as given; ``False`` if it, or one that was written with it, gave way to a
            row that was there before, such as another process's.

        Raises:
            JournalFailed: where they cannot be written.
        """
        ticket = _Ticket(before, row)
        with self._queue_lock:
            self._queue.append(ticket)
            lead = not self._under_way
            self._under_way = True
        if not lead:
            ticket.woken.acquire()
            lead = ticket.lead
        if lead:
            self._lead()
        if ticket.error is not None:
            raise JournalFailed(f"cannot write the journal {self._name}: {ticket.error}") from ticket.error
        return ticket.first

    def _lead(self) -> None:
        """Commit everything that waits (this thread's rows are among it), then hand the lead on."""
        with self._queue_lock:
            batch, self._queue = self._queue, []
        error: BaseException | None = None
        first = False
        try:
            with self._lock:
                first = self._write(batch)
        except BaseException as failure:
            error = failure
        with self._queue_lock:
            heir = self._queue[0] if self._queue else None
            self._under_way = heir is not None
        for ticket in batch:
            ticket.error, ticket.first = error, first
            ticket.woken.release()
        if heir is not None:
            heir.lead = True
            heir.woken.release()
        if error is not None and not isinstance(error, sqlite3.Error):
            raise error

    def _write(self, batch: list[_Ticket]) -> bool:
        """One transaction; whether all of its rows were new.

        All rows go in as few statements as possible: each lets other threads in the way.
        """
        statements = [statement for ticket in batch for statement in ticket.before]
        rows = [ticket.row for ticket in batch if ticket.row is not None]
        asked, others = len(rows), len(statements)
        while rows:
            size = min(_MOST, 1 << (len(rows).bit_length() - 1))  # powers of two, so that statements are reused
            statements.append((self._insert(size), tuple(value for row in rows[:size] for value in row)))
            rows = rows[size:]
        if len(statements) == 1:
            return self._connection.execute(*statements[0]).rowcount == asked or not asked
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            written = [self._connection.execute(sql, values).rowcount for sql, values in statements]
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        return sum(written[others:]) == asked
