"""Workers: several processes, on one machine or many, that do one run together and pay for each of its calls once.

A run is deterministic: every worker does all of it, and asks for the same calls. What they share is the calls. Each is
claimed by one of them in the call book; the others wait for its answer, or its error, and go on with the same. The
book is also the common ledger: a call is not sent before there is room for it under every cap, with all that was
spent, by whomever, and all claims with lower numbers counted at the most they can cost. The claim with the lowest
number waits for nobody, so there is always one that goes on.

A worker shows that it is alive by counting up. Who falls silent loses its claims to the others, who judge that by their
own clocks alone; if it was only slow, it goes on with what they found.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from .budget import Cost
from .callbook import CallBook, Trial, lost
from .errors import BudgetExhausted, Stop
from .journal import Entry
from .storages import Storage, open_storage

BEAT = 2.0
"""Seconds between two signs of life."""
SILENCE = 20.0
"""Seconds without one after which a worker's claims are given to others."""
LOOK = 0.05
"""Seconds between two looks into the book while there is somebody who waits for others."""

T = TypeVar("T")


@dataclass(frozen=True)
class Told:
    """What the book says of a call: an answer with what it cost, or the error that all attempts ended in."""

    said: dict[str, Any]
    failed: bool
    lost: Cost
    """What attempts that brought no answer may have cost."""


@dataclass(frozen=True)
class Claim:
    """A call that is this worker's to pay for. It must be ended, by one of ``answered``, ``failed`` or ``void``."""

    workers: Workers
    trial: Trial

    @property
    def book(self) -> CallBook:
        """Where it stands."""
        return self.workers.book

    def answered(self, entry: Entry) -> bool:
        """Tell the others the answer; ``False`` if the call was lost to another worker, whose answer counts."""
        said = {
            "text": entry.answer.dump().decode(), "run": entry.run, "seconds": entry.seconds,
            "cost": _listed(entry.cost), "bound": _listed(entry.bound),
        }  # fmt: skip
        return self.book.end(self.trial, "COMPLETE", entry.seconds, answer=said)

    def lose(self, cost: Cost) -> None:
        """Tell the others of an attempt that brought no answer but may have been billed."""
        total = lost(self.trial) + cost
        self.trial.user_attrs["lost"] = _listed(total)
        self.book.write(self.trial, lost=_listed(total))

    def failed(self, kind: str, message: str) -> bool:
        """Tell the others that all attempts are used up; ``False`` if the call was lost to another worker."""
        kept = self.book.end(self.trial, "FAIL", error={"kind": kind, "message": message})
        if kept:
            self.workers.met(self.trial.user_attrs["key"])
        return kept

    def void(self) -> None:
        """Give the call back."""
        self.book.end(self.trial, "PRUNED")


class Workers:
    """This process as one of the workers of a run.

    Args:
        storage: what ``open_storage`` takes.
        name: of the run's study; that of the call book is ``NAME calls``.

    Raises:
        BadInput: for a storage that cannot be opened.
        JournalFailed: from any call, if the storage cannot be reached any more.
    """

    def __init__(self, storage: str | Storage, name: str) -> None:
        self.name = name
        self.storage, self._close = open_storage(storage)
        self.book = CallBook(self.storage, f"{name} calls")
        self._me = self._enter()
        self._waiting = 0
        self._failures: dict[str, int] = {}
        self._heard: dict[int, tuple[int, float]] = {}
        self._left = threading.Event()
        self._stop: Stop | None = None
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def ask(self, key: bytes, run: str, bound: Cost, caps: Sequence[tuple[str, Any]]) -> Claim | Told:
        """What is known of a call, or the call as this worker's own; waits while it is another's.

        An error counts as known once: whoever asks again after it gets the next attempt, as it would alone.

        Args:
            key: the call's.
            run: who asks.
            bound: the most that it can cost.
            caps: (run, ledger) of every budget that counts it.

        Raises:
            BudgetExhausted: if there is no room for it.
        """
        name, fresh = key.hex(), False
        while True:
            turn, found = self._failures.get(name, 0), self.book.standing(name)
            if len(found) > turn:
                if (told := self._ended(found[turn].number)) is not None:
                    if told.failed:
                        self.met(name)
                    return told
                continue
            if not fresh:  # a claim that comes too late costs more than a look
                self.book.read()
                fresh = True
                continue
            mine = self.book.add(key=name, run=run, bound=_listed(bound), worker=self._me.number)
            claim = Claim(self, mine)
            try:
                standing = [trial.number for trial in self.book.standing(name)]
                if mine.number in standing[: turn + 1]:
                    self._room(mine.number, bound, caps)
                    return claim
            except BaseException:
                claim.void()
                raise
            claim.void()

    def met(self, key: str) -> None:
        """An error of a call was met: who asks again asks for the next attempt."""
        self._failures[key] = self._failures.get(key, 0) + 1

    def order(self, work: Sequence[T]) -> list[T]:
        """A round's work in the order in which this worker does it: its share, then that of others from the end."""
        with self.book.changed:
            crew = sorted({*self.book.workers, self._me.number})
        rank, size = crew.index(self._me.number), len(crew)
        rest = [item for place, item in enumerate(work) if place % size != rank]
        return [*work[rank::size], *reversed(rest)]

    @property
    def first(self) -> bool:
        """Whether this worker is the one that writes what only one has to write."""
        with self.book.changed:
            return bool(self._me.number <= min(self.book.workers, default=self._me.number))

    def close(self) -> None:
        """Leave; what is shared stays."""
        self._left.set()
        self._thread.join()
        try:
            self.book.end(self._me, "PRUNED")
        finally:
            self._close()

    def _enter(self) -> Trial:
        return self.book.add(name=f"{platform.node()}:{os.getpid()}", beat=0)

    def _ended(self, number: int) -> Told | None:
        """What came of another's claim; ``None`` if it is void."""
        book = self.book
        with book.changed:
            self._waiting += 1
            try:
                while (trial := book.trials[number]).state.name == "RUNNING":
                    self._wait()
            finally:
                self._waiting -= 1
        if trial.state.name == "PRUNED":
            return None
        failed = trial.state.name == "FAIL"
        return Told(trial.user_attrs["error" if failed else "answer"], failed, lost(trial))

    def _room(self, number: int, bound: Cost, caps: Sequence[tuple[str, Any]]) -> None:
        book = self.book
        with book.changed:
            self._waiting += 1
            try:
                while True:
                    tight = False
                    for run, ledger in caps:
                        open_ = book.under_way(run, number)
                        if ledger.allows(sum(open_, book.total(run) + bound)):
                            continue
                        if not open_ or not ledger.allows(book.total(run) + bound):
                            raise BudgetExhausted(f"budget exhausted: no further call fits into {ledger.budget}")
                        tight = True
                    if not tight:
                        return
                    self._wait()
            finally:
                self._waiting -= 1

    def _wait(self) -> None:
        if self._stop is not None:
            raise self._stop
        self.book.changed.wait(timeout=0.5)

    def _live(self) -> None:
        """Show signs of life, look for those of others, and read the book while somebody waits."""
        count, shown = 0, time.monotonic()
        try:
            while not self._left.wait(LOOK):
                now = time.monotonic()
                if now - shown >= BEAT:
                    count, shown = count + 1, now
                    if not self.book.write(self._me, beat=count):  # the others took it for dead
                        self._me = self._enter()
                    self.book.read()
                    self._bury(now)
                elif self._waiting:
                    self.book.read()
        except Stop as stop:
            self._stop = stop

    def _bury(self, now: float) -> None:
        """Void the claims of workers that have left, or that this one has not heard of for too long."""
        silent = set()
        for number, trial in list(self.book.workers.items()):
            count, since = self._heard.get(number, (-1, now))
            beat = trial.user_attrs["beat"]
            self._heard[number] = (beat, now if beat != count else since)
            if number != self._me.number and now - self._heard[number][1] > SILENCE:
                silent.add(number)
        for trial in list(self.book.open.values()):
            owner = trial.user_attrs["worker"]
            if owner in silent or owner not in self.book.workers:
                self.book.end(trial, "PRUNED")
        for number in silent:
            self.book.end(self.book.workers[number], "PRUNED")


def _listed(cost: Cost) -> list[int]:
    return [cost.calls, cost.tokens, cost.pico]
