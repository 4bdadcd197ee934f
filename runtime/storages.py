"""Optuna's storages by address: a database, Optuna's journal in a file, or a server of its gRPC proxy."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import BadInput
from .secrets import redact

DATABASES, JOURNALS = (".db", ".sqlite", ".sqlite3"), (".log", ".journal")
"""How the names of files end that hold an SQLite database, and Optuna's journal."""
PATIENCE = 60
"""Seconds that an SQLite database is waited for while somebody else writes."""
TRIES = 10
"""How often a database is opened that others are just making."""

Storage = Any
"""An ``optuna.storages.BaseStorage``."""


def open_storage(given: str | Path | Storage) -> tuple[Storage, Callable[[], None]]:
    """An Optuna storage, and what closes it.

    Args:
        given: a URL of SQLAlchemy (``sqlite:///study.db``, ``postgresql://...``), ``grpc://HOST:PORT`` of Optuna's
            proxy, a file (``.db`` or ``.log``), or a storage that is open already, which is left open.

    Raises:
        BadInput: for an address of another form, or one where there is no storage.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not isinstance(given, str | Path):
        if not isinstance(given, optuna.storages.BaseStorage):
            raise BadInput(f"storage={given!r}: expected an address, or a storage of Optuna")
        return optuna.storages.get_storage(given), lambda: None
    text = str(given)
    try:
        if text.startswith("grpc://"):
            return _proxy(text)
        if "://" in text:
            return _database(text)
        path = Path(text).expanduser().absolute()
        if path.suffix in DATABASES + JOURNALS:
            path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in DATABASES:
            return _database(f"sqlite:///{path}")
        if path.suffix in JOURNALS:
            return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path))), lambda: None
    except BadInput:
        raise
    except Exception as error:
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise BadInput(f"the storage {redact(text)} cannot be opened: {redact(said)}") from None
    raise BadInput(
        f"storage {redact(text)}: expected a URL such as sqlite:///study.db, grpc://HOST:PORT, or a file that ends "
        f"with one of {', '.join(DATABASES + JOURNALS)}"
    )


def _database(url: str) -> tuple[Storage, Callable[[], None]]:
    import optuna

    lite = url.startswith("sqlite")
    options = {"connect_args": {"timeout": PATIENCE}} if lite else {}
    for left in reversed(range(TRIES)):
        try:
            storage = optuna.storages.RDBStorage(url, engine_kwargs=options)
            break
        except Exception:  # of several that make the tables of a new database, one succeeds
            if not left:
                raise
            time.sleep(0.2)
    if lite:
        _serialise(storage.engine)
    return optuna.storages.get_storage(storage), storage.engine.dispose


def _serialise(engine: Any) -> None:
    """Have every transaction of an SQLite database begin with its lock.

    Optuna reads whether a trial has ended, then writes, and locks its row in between; SQLite knows no locks of rows,
    and Python's driver begins a transaction only with the first write, so that two processes could both end a trial
    (SQLAlchemy, "SQLite dialect: transactional isolation").
    """
    from sqlalchemy import event

    def bare(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()
    event.listen(engine, "connect", bare)
    event.listen(engine, "begin", begin)


def _proxy(url: str) -> tuple[Storage, Callable[[], None]]:
    import optuna

    host, _, port = url.removeprefix("grpc://").rstrip("/").rpartition(":")
    if not host or not port.isdecimal():
        raise BadInput(f"storage {url}: expected grpc://HOST:PORT")
    try:
        import grpc  # noqa: F401
    except ImportError:
        raise BadInput(f"storage {url} needs gRPC: pip install 'dstill[grpc]'") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = optuna.storages.GrpcStorageProxy(host=host, port=int(port))
    try:
        storage.wait_server_ready(timeout=PATIENCE)
    except ConnectionError:
        storage.close()
        raise BadInput(f"storage {url}: nobody answers there; start optuna.storages.run_grpc_proxy_server") from None
    return storage, storage.close
