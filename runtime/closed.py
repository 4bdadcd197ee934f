"""A network that is closed, as a matter of proof: a replay that tried to reach anybody would fail."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from .errors import CassetteMiss


@contextmanager
def closed_network() -> Iterator[None]:
    """No socket of this process connects to anything for the length of the block."""

    def refuse(self: socket.socket, address: Any) -> NoReturn:
        raise CassetteMiss(f"the network is closed during a replay, and something tried to reach {address!r}")

    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    socket.socket.connect = socket.socket.connect_ex = refuse  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        socket.socket.connect, socket.socket.connect_ex = connect, connect_ex  # type: ignore[method-assign]
