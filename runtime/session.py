"""What the calls of one run share: its journal, its ledger, its single flights, and the list of what it used."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from .budget import Budget, Cost, Ledger
from .journal import Entry, Identity, Journal
from .workers import Workers


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay knows of the models it stands for: by name, their identity and default answer length."""

    models: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run's calls came to."""

    paid: Cost
    """Paid for by this run, earlier sessions of it included."""
    free: int
    """Answers that another run had already paid for."""
    saved: Cost
    """What those had cost then."""


class Flight:
    """One call under way; identical requests wait for it and share its answer or its failure."""

    __slots__ = ("entry", "error", "landed")

    def __init__(self) -> None:
        self.landed = threading.Lock()
        self.landed.acquire()
        self.entry: Entry | None = None
        self.error: BaseException | None = None


class Session:
    """One run's view of the journal. Thread-safe; several doors (models) share it.

    Args:
        journal: where completed calls are kept; one in memory where none is given.
        run: the run's name for accounting: calls that an earlier session of the same run paid for count against
            the budget again, exactly as they did then; calls that other runs had paid for when it first began are free.
            ``NAME/PART`` is a part of a run with a budget of its own.
        budget: the run's caps.
        parent: a session whose budget this one's spending counts against as well.
        replay: a cassette to live on: no engine is called, and a call that it lacks is a ``CassetteMiss``.
        workers: the processes that do the same run, with which its calls are shared; those of the parent by default.
    """

    def __init__(
        self,
        journal: Journal | None = None,
        *,
        run: str = "",
        budget: Budget | None = None,
        parent: Session | None = None,
        replay: Replay | None = None,
        workers: Workers | None = None,
    ) -> None:
        if parent is not None:
            replay = replay or parent.replay
            workers = workers or parent.workers
            journal = journal if journal is not None else parent.journal  # an empty one is false
        self.replay: Replay | None = replay
        self.workers: Workers | None = workers
        self.journal: Journal = journal if journal is not None else Journal()
        self.run = run
        elapsed = self.journal.elapsed(_whole(run)) if run else 0.0
        self.ledger: Ledger = Ledger(budget, parent=parent.ledger if parent else None, elapsed=elapsed)
        self._parent = parent
        self.flights: dict[bytes, Flight] = {}
        self.opened: dict[Any, Any] = {}
        """Models that were opened within it; see ``within``."""
        self._lock = threading.Lock()
        self._used: dict[bytes, bool] = {}
        self._runs: set[str] = set()
        self._models: dict[str, dict[str, Any]] = {}
        self._free = 0
        self._saved = Cost()
        self._lent = Cost()
        self._noted = elapsed
        self._join(run)
        # Of losses that workers share, the call book tells when they are met.
        alone = bool(run) and workers is None
        lost = self.journal.lost(run) if alone else Cost()
        self._after = self.journal.begin(run) if alone and self.ledger.capped else None
        if run and self.ledger.capped:
            self.ledger.owe(lost + self.journal.paid(run))
        if lost.calls:
            self.ledger.replay(lost, lost)

    def lend(self, entry: Entry) -> None:
        """Count a call against the budget that somebody else paid for after this run first began.

        Had the run not been interrupted, or were it alone, it would have had to pay itself. So what its budget has room
        for does not depend on who else is there, nor, when it is done again, on what came later.

        Raises:
            BudgetExhausted: if the call does not fit.
        """
        if self._after is None or entry.run == self.run or entry.number <= self._after or entry.key in self._used:
            return
        self.ledger.settle(self.ledger.reserve(entry.bound), entry.cost)
        above: Session | None = self
        while above is not None:
            with above._lock:
                above._lent += entry.cost
            above = above._parent

    def account(self, entry: Entry, *, hit: bool) -> None:
        """Count an answer; the first use of a call in a run decides whether it was free."""
        # Equal keys do not meet here (a flight is flown by one thread), and a dictionary's steps are atomic.
        first = entry.key not in self._used
        self._used[entry.key] = True
        if first and hit:
            if entry.run == self.run:
                self.ledger.replay(entry.bound, entry.cost)
            else:
                with self._lock:
                    self._free += 1
                    self._saved += entry.cost
        if self._parent is not None:
            self._parent.mark(entry)
        if self.ledger.budget.seconds is not None and self.ledger.elapsed - self._noted > 1.0:
            self._noted = self.ledger.elapsed
            self.journal.note_elapsed(_whole(self.run), self._noted)

    def mark(self, entry: Entry) -> None:
        """Remember that the run used a call (for its cassette) without accounting for it."""
        self._used[entry.key] = True
        if self._parent is not None:
            self._parent.mark(entry)

    def _join(self, run: str) -> None:
        self._runs.add(run)
        if self._parent is not None:
            self._parent._join(run)

    @property
    def runs(self) -> frozenset[str]:
        """The names of this run and of its parts, for accounting."""
        return frozenset(self._runs)

    def caps(self) -> list[tuple[str, Ledger]]:
        """The run and ledger of every session that this one's calls count against and that has caps."""
        above = self._parent.caps() if self._parent is not None else []
        return [*([(self.run, self.ledger)] if self.ledger.budget.caps() and self.run else []), *above]

    def meet(self, name: str, identity: Identity, max_tokens: int | None, parameters: int | None = None) -> None:
        """Remember a model by name, so that a replay knows what it was without having it."""
        with self._lock:
            known = self._models.get(name, {}).get("parameters") if parameters is None else parameters
            self._models[name] = {"identity": identity, "max_tokens": max_tokens, "parameters": known}
        if self._parent is not None:
            self._parent.meet(name, identity, max_tokens, parameters)

    def models(self) -> dict[str, dict[str, Any]]:
        """The models that the run used, by name."""
        with self._lock:
            return dict(sorted(self._models.items()))

    def has(self, key: bytes) -> bool:
        """Whether the run has used a call."""
        return key in self._used

    @property
    def distinct(self) -> int:
        """How many calls the run used, each counted once, whoever paid for it."""
        return len(self._used)

    def used(self) -> list[bytes]:
        """The content keys of every call that the run used, sorted."""
        return sorted(self._used)

    @property
    def usage(self) -> Usage:
        """What was paid for and what was free."""
        with self._lock:
            return Usage(self.ledger.spent - self._lent, self._free, self._saved)


def _whole(run: str) -> str:
    return run.partition("/")[0]


class Meter:
    """Adds up the calls made on behalf of one example, by any thread.

    It travels as a DSPy setting (``dspy.context(dstill_meter=...)``), which DSPy hands on to the threads it makes.
    """

    __slots__ = ("_lock", "calls", "pico", "read", "seconds", "written")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calls = self.read = self.written = self.pico = 0
        self.seconds = 0.0

    def add(self, entry: Entry) -> None:
        """Count one answered call, whether it was paid for now or earlier."""
        with self._lock:
            self.calls += 1
            self.read += entry.answer.input_tokens or 0
            self.written += entry.answer.output_tokens or 0
            self.pico += entry.cost.pico
            self.seconds += entry.seconds

    def row(self) -> dict[str, Any]:
        """The sums: calls, tokens read and written, dollars, and seconds in engines."""
        return {
            "calls": self.calls,
            "tokens_in": self.read,
            "tokens_out": self.written,
            "usd": self.pico / 10**12,
            "seconds": round(self.seconds, 6),
        }
