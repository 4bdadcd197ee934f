"""Dynamic micro-batching: concurrent callers block, one worker answers whoever is waiting, together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class _Job(Generic[Item, Result]):
    item: Item
    done: threading.Event = field(default_factory=threading.Event)
    result: Result | None = None
    error: BaseException | None = None


class Batcher(Generic[Item, Result]):
    """Runs ``work`` on what has queued up since the last batch; never waits for company.

    Args:
        work: takes up to ``most`` items and returns one result or exception for each, in order. It is called from
            one thread only, and must give an item the same result in any company.
        most: the largest batch.

    The worker starts with the first call and ends with ``close``.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Result | Exception]], *, most: int) -> None:
        self._work, self._most = work, most
        self._queue: list[_Job[Item, Result]] = []
        self._ready = threading.Condition()
        self._worker: threading.Thread | None = None
        self._closed = False

    def __call__(self, item: Item) -> Result:
        """The result for one item; blocks until its batch is done. Raises what ``work`` gave or raised for it."""
        job: _Job[Item, Result] = _Job(item)
        with self._ready:
            if self._closed:
                raise RuntimeError("the engine is closed")
            if self._worker is None:
                self._worker = threading.Thread(target=self._run, name="dstill-batches", daemon=True)
                self._worker.start()
            self._queue.append(job)
            self._ready.notify()
        job.done.wait()
        if job.error is not None:
            raise job.error
        assert job.result is not None
        return job.result

    def close(self) -> None:
        """End the worker; calls that still wait fail."""
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
                    for job in self._queue:
                        job.error = RuntimeError("the engine is closed")
                        job.done.set()
                    return
                batch, self._queue = self._queue[: self._most], self._queue[self._most :]
            try:
                results = self._work([job.item for job in batch])
                for job, result in zip(batch, results, strict=True):
                    if isinstance(result, Exception):
                        job.error = result
                    else:
                        job.result = result
            except BaseException as error:
                for job in batch:
                    job.error = error
            for job in batch:
                job.done.set()
