"""A real local HTTP server that speaks enough of the OpenAI protocol, and misbehaves on request."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Behaviour = Callable[["Handler", dict[str, Any]], None]


def answer(text: str, *, read: int = 10, written: int = 5) -> Behaviour:
    """A well-formed completion."""

    def behave(handler: Handler, body: dict[str, Any]) -> None:
        reply = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
        }
        handler.reply(200, json.dumps(reply).encode())

    return behave


def error(status: int, *, code: str | None = None, message: str = "no", **headers: str) -> Behaviour:
    """An error of the provider, with headers (underscores become hyphens)."""

    def behave(handler: Handler, body: dict[str, Any]) -> None:
        reply = {"error": {"message": message, "type": "error", "code": code}}
        handler.reply(status, json.dumps(reply).encode(), {k.replace("_", "-"): v for k, v in headers.items()})

    return behave


def hang(seconds: float) -> Behaviour:
    """No byte for a while."""
    return lambda handler, body: time.sleep(seconds)


def cut(handler: Handler, body: dict[str, Any]) -> None:
    """Headers that promise more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"id": "chatcmpl-1", "cho')
    handler.wfile.flush()
    handler.close_connection = True


def garbage(handler: Handler, body: dict[str, Any]) -> None:
    """Malformed JSON."""
    handler.reply(200, b'{"id": "chatcmpl-1", "choices": [{"mess')


def html(handler: Handler, body: dict[str, Any]) -> None:
    """A proxy's page with status 200 and the wrong content type."""
    handler.reply(200, b"<html><body>Welcome</body></html>", {"Content-Type": "text/html"})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: OpenAIServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        behave = self.server.next(body, dict(self.headers))
        behave(self, body)

    def reply(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            super().handle()


class OpenAIServer(ThreadingHTTPServer):
    """Behaves as ``script`` says, one entry a request; the last one is repeated."""

    daemon_threads = True
    request_queue_size = 128  # of five, as it is by default, some are reset on a busy machine

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Behaviour] = [answer("hello")]
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def next(self, body: dict[str, Any], headers: dict[str, str]) -> Behaviour:
        with self._lock:
            index = len(self.requests)
            self.requests.append(body)
            self.headers.append(headers)
            self.times.append(time.monotonic())
        return self.script[min(index, len(self.script) - 1)]

    def __enter__(self) -> OpenAIServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()
