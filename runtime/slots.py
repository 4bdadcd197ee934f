"""A bound on calls in flight, apart from the number of threads that prepare and digest them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from queue import SimpleQueue
from types import TracebackType

import dspy

_FREE: AbstractContextManager[None] = nullcontext()


class Slots:
    """At most ``count`` engine calls at a time; a context manager that many threads enter.

    It travels as a DSPy setting (``dspy.context(dstill_slots=...)``), which DSPy hands on to the threads it makes.
    """

    def __init__(self, count: int) -> None:
        self._tokens: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._tokens.put(None)

    def __enter__(self) -> None:
        self._tokens.get()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tokens.put(None)

    @staticmethod
    def of_settings() -> AbstractContextManager[None]:
        """The slots of the work under way; unbounded where there are none."""
        return dspy.settings.get("dstill_slots") or _FREE
