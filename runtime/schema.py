"""The journal's tables, their version, and the steps from each version to the next."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from .errors import Damaged

APPLICATION = 0x6473746C
"""'dstl', SQLite's application id of a journal."""

TABLES = """
CREATE TABLE models (digest TEXT PRIMARY KEY, identity TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE prefixes (digest BLOB PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE calls (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    model TEXT NOT NULL REFERENCES models(digest),
    prefix BLOB NOT NULL REFERENCES prefixes(digest),
    tail TEXT NOT NULL,
    sample INTEGER NOT NULL,
    answer TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    pico INTEGER NOT NULL,
    seconds REAL NOT NULL,
    run TEXT NOT NULL,
    bound_tokens INTEGER NOT NULL,
    bound_pico INTEGER NOT NULL
);
CREATE TABLE losses (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    run TEXT NOT NULL,
    error TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    pico INTEGER NOT NULL
);
CREATE TABLE runs (run TEXT PRIMARY KEY, seconds REAL NOT NULL) WITHOUT ROWID;
"""

BEGUN = "CREATE TABLE begun (run TEXT PRIMARY KEY, after INTEGER NOT NULL) WITHOUT ROWID"

MIGRATIONS: dict[int, Callable[[sqlite3.Connection], object]] = {1: lambda connection: connection.execute(BEGUN)}
"""From version n to n + 1, each within one transaction; version 1 is the first."""

VERSION = 2


def write_ahead(connection: sqlite3.Connection, patience: float = 60.0) -> None:
    """Put a file into WAL mode, waiting for others that open or close it: for this SQLite does not wait by itself.

    Args:
        patience: seconds.

    Raises:
        sqlite3.OperationalError: if it is still locked then.
    """
    end = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.01)


def prepare(connection: sqlite3.Connection, name: str) -> None:
    """Create the tables of an empty file, or bring an older journal up to date.

    Raises:
        Damaged: for a file that is not a journal, or one written by a newer dstill.
    """
    # In one statement, as another process may be making the tables.
    version, application, tables = connection.execute(
        "SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id), "
        "(SELECT count(*) FROM sqlite_master)"
    ).fetchone()
    if application not in (0, APPLICATION) or (application == 0 and tables):
        raise Damaged(f"{name} is an SQLite file, but not a dstill journal; name another file")
    if version > VERSION:
        raise Damaged(
            f"{name} has journal format {version}, and this dstill reads up to {VERSION}: "
            "update dstill, or name another journal"
        )
    if version == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in [*TABLES.split(";"), BEGUN]:
                if statement.strip():
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            version = VERSION
        while version < VERSION:
            MIGRATIONS[version](connection)
            version += 1
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
