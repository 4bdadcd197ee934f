"""Which content keys a journal holds, known without asking it: most lookups of a new run are misses.

A query costs several hand-overs between threads, which is what evaluation at high concurrency is short of. The
index learns of keys that other processes add by asking SQLite, every ``FRESH`` seconds, whether the file changed;
within that window two processes may pay for one call, as they may in any case while the first is under way.
"""

from __future__ import annotations

import sqlite3
import threading
import time

FRESH = 0.05
"""Seconds for which the index may lag behind other processes."""

MOST = 2_000_000
"""Keys that are kept in memory (some 150 MB); a larger journal is always asked."""


class KeyIndex:
    """A set of key prefixes; a hit may be false (the journal is then asked), a miss is true.

    Args:
        connection: the journal's reading connection.
        lock: guards it.
    """

    def __init__(self, connection: sqlite3.Connection, lock: threading.Lock) -> None:
        self._connection, self._lock = connection, lock
        self._known: set[bytes] | None = None
        self._last = 0
        self._version = -1
        self._checked = 0.0

    def may_have(self, key: bytes) -> bool:
        """Whether the journal may hold a key."""
        if key[:8] in (self._known or ()):
            return True
        if time.monotonic() - self._checked > FRESH:
            self._refresh()
        return self._known is None or key[:8] in self._known

    def add(self, key: bytes) -> None:
        """Note a key that the journal holds."""
        if self._known is not None:
            self._known.add(key[:8])

    def _refresh(self) -> None:
        with self._lock:
            if time.monotonic() - self._checked <= FRESH:
                return
            now = time.monotonic()
            if self._checked == 0.0:
                (count,) = self._connection.execute("SELECT count(*) FROM calls").fetchone()
                self._known = set() if count <= MOST else None
            if self._known is not None:
                self._read(self._known)
            self._checked = now  # last: until then, other threads wait for the lock instead of trusting a half-read set

    def _read(self, known: set[bytes]) -> None:
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            query = "SELECT id, substr(key, 1, 8) FROM calls WHERE id > ? ORDER BY id"
            for last, prefix in self._connection.execute(query, (self._last,)):
                self._last = last
                known.add(prefix)
            self._version = version
