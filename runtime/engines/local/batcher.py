"""Dynamic batching: concurrent callers block, one worker answers whoever is waiting, together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Call(Generic[Item, Result]):
    """What one caller waits for."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self._done = threading.Event()
        self._result: Result | BaseException | None = None

    @property
    def ended(self) -> bool:
        """Whether there is a result."""
        return self._done.is_set()

    def finish(self, result: Result | BaseException) -> None:
        """Let the caller go on, with the result or by raising it."""
        self._result = result
        self._done.set()

    def wait(self) -> Result:
        """The result, once it is there."""
        self._done.wait()
        if isinstance(self._result, BaseException):
            raise self._result
        assert self._result is not None
        return self._result


class Batcher(Generic[Item, Result]):
    """Answers concurrent calls in one thread; never waits for company.

    Args:
        serve: takes up to ``most`` calls and the batcher, and finishes them; while it is at it, it may ``take`` more.
            It must give an item the same result in any company. ``in_one_go`` makes one of a function of a batch.
        most: the most calls at a time.

    The worker starts with the first call and ends with ``close``.
    """

    def __init__(
        self, serve: Callable[[Sequence[Call[Item, Result]], Batcher[Item, Result]], None], *, most: int
    ) -> None:
        self.most = most
        self._serve = serve
        self._queue: list[Call[Item, Result]] = []
        self._taken: list[Call[Item, Result]] = []
        self._ready = threading.Condition()
        self._worker: threading.Thread | None = None
        self._closed = False

    def __call__(self, item: Item) -> Result:
        """The result for one item; blocks until it is there. Raises what ``serve`` finished it with or raised."""
        call: Call[Item, Result] = Call(item)
        with self._ready:
            if self._closed:
                raise RuntimeError("the engine is closed")
            if self._worker is None:
                self._worker = threading.Thread(target=self._run, name="dstill-batches", daemon=True)
                self._worker.start()
            self._queue.append(call)
            self._ready.notify()
        return call.wait()

    @property
    def waiting(self) -> int:
        """How many calls nobody has taken yet."""
        return 0 if self._closed else len(self._queue)

    def take(self, most: int) -> list[Call[Item, Result]]:
        """The calls that have waited longest, at most so many; none when the batcher is closed. For ``serve`` alone."""
        with self._ready:
            if self._closed:
                return []
            calls, self._queue = self._queue[:most], self._queue[most:]
            self._taken += calls
        return calls

    def close(self) -> None:
        """End the worker; calls that nobody has taken fail."""
        with self._ready:
            self._closed = True
            self._ready.notify()
            worker = self._worker
        if worker is not None:
            worker.join()

    def _run(self) -> None:
        while True:
            with self._ready:
                while not self._queue and not self._closed:
                    self._ready.wait()
                if self._closed:
                    for call in self._queue:
                        call.finish(RuntimeError("the engine is closed"))
                    return
            self._taken = []
            calls = self.take(self.most)
            failure: BaseException = RuntimeError("the engine gave no answer")
            try:
                self._serve(calls, self)
            except BaseException as error:
                failure = error
            for call in self._taken:
                if not call.ended:
                    call.finish(failure)


def in_one_go(
    work: Callable[[Sequence[Item]], Sequence[Result | Exception]],
) -> Callable[[Sequence[Call[Item, Result]], Batcher[Item, Result]], None]:
    """``serve`` of a function that returns a result or an exception for each item of a batch, in order."""

    def serve(calls: Sequence[Call[Item, Result]], batcher: Batcher[Item, Result]) -> None:
        for call, result in zip(calls, work([call.item for call in calls]), strict=True):
            call.finish(result)

    return serve
