"""A fake for tests: answers come from a function or a list, with delays and failures on request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from ..canonical import digest
from ..journal import Identity
from ..wire import Request, Response
from .base import Priced, text_response

Script = Callable[[Request], str | Exception]


class ScriptedEngine(Priced):
    """Answers with ``script(request)``, or with the given texts one after another; an exception is raised.

    Args:
        script: a function of the request, or a sequence of answers (the last one is repeated).
        name: the model's name; its identity too, so engines of one name must answer alike.
        seconds: how long each call takes.
        input_pico, output_pico: prices in pico-dollars per token; a token is four bytes here.
        repeatable: whether greedy samples of one request are one call.
    """

    def __init__(
        self,
        script: Script | Sequence[str | Exception],
        *,
        name: str = "scripted",
        seconds: float = 0.0,
        input_pico: int = 0,
        output_pico: int = 0,
        repeatable: bool = False,
    ) -> None:
        super().__init__(input_pico=input_pico, output_pico=output_pico)
        self.name = name
        self.repeatable = repeatable
        self.concurrency = 64
        self.calls = 0
        """Calls made so far."""
        self._lock = threading.Lock()
        self._script = script
        self._seconds = seconds

    @property
    def identity(self) -> Identity:
        """The name, with a digest of the answers where they are a list."""
        fixed = None if callable(self._script) else digest([str(answer) for answer in self._script])
        return {"kind": "scripted", "name": self.name, "answers": fixed}

    def count(self, request: Request) -> int:
        """A token for every four bytes, rounded up."""
        return -(-(super().count(request)) // 4)

    def complete(self, request: Request) -> Response:
        """The scripted answer."""
        with self._lock:
            index, self.calls = self.calls, self.calls + 1
        if self._seconds:
            time.sleep(self._seconds)
        script = self._script
        answer = script(request) if callable(script) else script[min(index, len(script) - 1)]
        if isinstance(answer, Exception):
            raise answer
        limit = request.config.max_tokens or self.longest_answer
        written = min(-(-len(answer.encode()) // 4), limit)
        return text_response(self.name, answer, read=self.count(request), written=written)
