"""Dynamic batching: concurrent callers block, a worker or several answer whoever is waiting, together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeAlias, TypeVar

import torch

from .threads import use_cores

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


class Lane(Generic[Item, Result]):
    """The calls as one worker sees them."""

    def __init__(self, batcher: Batcher[Item, Result]) -> None:
        self._batcher = batcher
        self.taken: list[Call[Item, Result]] = []
        """What it is at."""

    @property
    def room(self) -> int:
        """The most calls that it may be at."""
        return -(-self._batcher.most // self._batcher.workers)

    @property
    def at_work(self) -> int:
        """How many calls it is at."""
        return sum(not call.ended for call in self.taken)

    @property
    def waiting(self) -> int:
        """How many calls wait for it: its share of all that there are, less those it is at."""
        return self._batcher.share(self)

    def take(self, most: int) -> list[Call[Item, Result]]:
        """Those that have waited longest, at most so many; none when the batcher is closed."""
        return self._batcher.take(self, most)


Serve: TypeAlias = "Callable[[Sequence[Call[Item, Result]], Lane[Item, Result]], None]"
"""Takes calls and the lane they came by, and finishes them; while it is at it, it may ``take`` more from there."""


class Batcher(Generic[Item, Result]):
    """Answers concurrent calls in threads of its own; never waits for company.

    Args:
        serve: answers calls. It must give an item the same result in any company. ``in_one_go`` makes one of a function
            of a batch.
        most: the most calls at a time, of all workers together.
        cores: says how many cores each of the threads has that ``serve``, when they start: with the first call. They
            end with ``close``. One thread with all that torch may use, where it is left out.
    """

    def __init__(
        self, serve: Serve[Item, Result], *, most: int, cores: Callable[[], Sequence[int]] | None = None
    ) -> None:
        self.most = most
        self._serve, self._cores = serve, cores or (lambda: (torch.get_num_threads(),))
        self._queue: list[Call[Item, Result]] = []
        self._lanes: list[Lane[Item, Result]] = []
        self._ready = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._closed = False

    def __call__(self, item: Item) -> Result:
        """The result for one item; blocks until it is there. Raises what ``serve`` finished it with or raised."""
        call: Call[Item, Result] = Call(item)
        with self._ready:
            if self._closed:
                raise RuntimeError("the engine is closed")
            if not self._threads:
                cores = self._cores()
                self._lanes = [Lane(self) for _ in cores]
                self._threads = [
                    threading.Thread(target=self._run, args=each, name="dstill-batches", daemon=True)
                    for each in zip(self._lanes, cores, strict=True)
                ]
                for thread in self._threads:
                    thread.start()
            self._queue.append(call)
            self._ready.notify()
        return call.wait()

    @property
    def workers(self) -> int:
        """How many threads there are."""
        return len(self._threads)

    def share(self, lane: Lane[Item, Result]) -> int:
        """How many of the calls that wait a lane may take, such that all have as many."""
        if self._closed or not self._queue:
            return 0
        own = lane.at_work
        whole = len(self._queue) + own + sum(other.at_work for other in self._lanes if other is not lane)
        return max(0, min(len(self._queue), -(-whole // self.workers) - own))

    def take(self, lane: Lane[Item, Result], most: int) -> list[Call[Item, Result]]:
        """A lane's share of the calls that wait, those that came first, and at most so many."""
        with self._ready:
            count = min(most, self.share(lane))
            calls, self._queue = self._queue[:count], self._queue[count:]
            lane.taken = [call for call in lane.taken if not call.ended] + calls
        return calls

    def close(self) -> None:
        """End the workers; calls that nobody has taken fail."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self, lane: Lane[Item, Result], cores: int) -> None:
        use_cores(cores)
        while True:
            with self._ready:
                while not self._queue and not self._closed:
                    self._ready.wait()
                if self._closed:
                    for call in self._queue:
                        call.finish(RuntimeError("the engine is closed"))
                    self._queue = []
                    return
            calls = lane.take(lane.room)
            failure: BaseException = RuntimeError("the engine gave no answer")
            try:
                self._serve(calls, lane)
            except BaseException as error:
                failure = error
            for call in lane.taken:
                if not call.ended:
                    call.finish(failure)


def in_one_go(work: Callable[[Sequence[Item]], Sequence[Result | Exception]]) -> Serve[Item, Result]:
    """``serve`` of a function that returns a result or an exception for each item of a batch, in order."""

    def serve(calls: Sequence[Call[Item, Result]], lane: Lane[Item, Result]) -> None:
        for call, result in zip(calls, work([call.item for call in calls]), strict=True):
            call.finish(result)

    return serve
