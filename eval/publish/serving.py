"""A board folder on this machine's own address, and nowhere else: the page, its data, and the rows behind them."""

from __future__ import annotations

import mimetypes
from email.utils import formatdate
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ...runtime.errors import BadInput
from .entry import FILES, FOLDER
from .folder import BOARD, ENTRIES, PAGES, BoardFolder

HOST = "127.0.0.1"
KINDS = {
    ".html": "text/html; charset=utf-8", ".json": "application/json", ".jsonl": "application/x-ndjson",
    ".csv": "text/csv; charset=utf-8", ".md": "text/markdown; charset=utf-8",
}  # fmt: skip
HEADERS = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
"""Of every answer; the page, which brings a stricter policy of its own, has another one."""


class BoardServer(ThreadingHTTPServer):
    """Serves a board folder as it is at each request, so that entries that are added show when the page is loaded.

    Only this machine can reach it, and only under a name of its own: a page of somebody else's that points its name at
    127.0.0.1 is refused.

    Args:
        board: the folder.
        port: where to listen; 0 takes a free one.

    Raises:
        BadInput: where there is no board, or the port cannot be had.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, board: Path | str, port: int = 8000) -> None:
        self.folder = BoardFolder.at(board)
        if not 0 <= port <= 65535:
            raise BadInput(f"port {port}: expected a number from 0 to 65535")
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise BadInput(f"cannot listen on {HOST}:{port}: {error.strerror}; choose another --port") from None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def names(self) -> set[str]:
        """What a request may call this machine."""
        port = self.server_address[1]
        return {f"{name}:{port}" for name in (HOST, "localhost")} | ({HOST, "localhost"} if port == 80 else set())


class _Handler(BaseHTTPRequestHandler):
    server: BoardServer
    server_version, sys_version = "dstill", ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        self._answer(True)

    def do_HEAD(self) -> None:
        self._answer(False)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, whole: bool) -> None:
        if self.headers.get("Host", "") not in self.server.names():
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST)
            return
        if self.path == "/favicon.ico":  # every browser asks for one
            self._head(HTTPStatus.NO_CONTENT, {})
            return
        file = self._file(unquote(urlsplit(self.path).path))
        if file is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        try:
            data, changed = file.read_bytes(), file.stat().st_mtime
        except OSError:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        tag = f'"{sha256(data).hexdigest()[:32]}"'
        if self.headers.get("If-None-Match") == tag:
            self._head(HTTPStatus.NOT_MODIFIED, {"ETag": tag})
            return
        kind = KINDS.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        more = {"Content-Type": kind, "ETag": tag, "Last-Modified": formatdate(changed, usegmt=True)}
        if file.suffix == ".html":
            more["Content-Security-Policy"] = "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
        self._head(HTTPStatus.OK, {**more, "Content-Length": str(len(data))})
        if whole:
            self.wfile.write(data)

    def _file(self, place: str) -> Path | None:
        """What a path names: one of the board's own files, or nothing."""
        parts = [part for part in place.split("/") if part]
        root = self.server.folder.path
        pages = {f"{PAGES}.{kind}" for kind in ("html", "json", "csv", "md")}
        if not parts:
            return root / f"{PAGES}.html"
        if len(parts) == 1 and (parts[0] in pages or parts[0] == BOARD):
            return root / parts[0]
        if len(parts) == 3 and parts[0] == ENTRIES and FOLDER.fullmatch(parts[1]) and parts[2] in FILES:
            return root / ENTRIES / parts[1] / parts[2]
        return None

    def _refuse(self, status: HTTPStatus) -> None:
        said = f"{status.value} {status.phrase}\n".encode()
        self._head(status, {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(said))})
        if self.command != "HEAD":
            self.wfile.write(said)

    def _head(self, status: HTTPStatus, more: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **more}.items():
            self.send_header(name, value)
        self.end_headers()
