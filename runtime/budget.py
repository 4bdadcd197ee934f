"""Budgets that cannot be passed: room is reserved before a call is dispatched and settled after it.

Money is counted in whole pico-dollars so that sums do not depend on the order in which calls finish.

Whether a *round* of work fits must not depend on that order either. A call reserves its upper bound, so near the
cap the same round could be refused or not, depending on which call came last. ``Ledger.round_holds`` decides it
without regard to order: a round counts if, after it, the largest difference between what one of its calls
reserved and what it cost is still left. Where a reservation was refused, that condition cannot hold; where it
holds, no order of dispatch could have been refused.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from .errors import BadInput, BudgetExhausted

PICO = 10**12
"""Pico-dollars in a dollar."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What calls cost, or may cost: a count of calls, input plus output tokens, and pico-dollars."""

    calls: int = 0
    tokens: int = 0
    pico: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.calls + other.calls, self.tokens + other.tokens, self.pico + other.pico)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.calls - other.calls, self.tokens - other.tokens, self.pico - other.pico)

    def most(self, other: Cost) -> Cost:
        """The larger of the two in every dimension."""
        return Cost(max(self.calls, other.calls), max(self.tokens, other.tokens), max(self.pico, other.pico))

    @property
    def usd(self) -> float:
        """Dollars."""
        return self.pico / PICO


MOST = 10**15
"""The largest cap."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Caps on a run; any subset, ``None`` for no cap.

    >>> Budget(usd=2)
    Budget(calls=None, tokens=None, usd=2, seconds=None)
    """

    calls: int | None = None
    """LM calls that are paid for (an answer that the journal had when the run began is free)."""
    tokens: int | None = None
    """Input plus output tokens."""
    usd: float | None = None
    """Dollars, by the engine's prices."""
    seconds: float | None = None
    """Wall-clock seconds; unlike the others it depends on the machine, so it makes a run unrepeatable."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            whole = name not in ("calls", "tokens") or isinstance(value, int)
            if value is not None and not (number and whole and 0 <= value <= MOST):
                kind = "a whole number" if name in ("calls", "tokens") else "a number"
                raise BadInput(f"Budget({name}={value!r}): expected {kind} from 0 to {MOST:.0e}, or None for no cap")

    def caps(self) -> dict[str, float]:
        """The caps that are set, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def part(self, share: float) -> Budget:
        """A share of every cap but the seconds, which all parts have whole."""
        whole = {name: int(cap * share) for name in ("calls", "tokens") if (cap := getattr(self, name)) is not None}
        return replace(self, **whole, usd=None if self.usd is None else self.usd * share)

    def __str__(self) -> str:
        names = {"calls": "calls", "tokens": "tokens", "usd": "dollars", "seconds": "seconds"}
        return ", ".join(f"{value:,} {names[name]}" for name, value in self.caps().items()) or "no cap"


def budget_of(given: Budget | None) -> Budget:
    """The budget that a public call was given; none is one without caps.

    Raises:
        BadInput: for anything else.
    """
    if given is None or isinstance(given, Budget):
        return given or Budget()
    raise BadInput(f"budget={given!r}: expected a dstill.Budget, e.g. Budget(usd=2) or Budget(calls=1000)")


@dataclass(slots=True)
class Reservation:
    """Room held for one call until it is settled. Owned by the caller that made it."""

    bound: Cost


class Ledger:
    """What one run has spent and reserved, against its budget; thread-safe.

    A ledger with a ``parent`` reserves there too, so that a step's own cap lies within its run's.
    """

    def __init__(
        self,
        budget: Budget | None = None,
        *,
        parent: Ledger | None = None,
        elapsed: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget = budget or Budget()
        self._parent = parent
        self._clock = clock
        self._start = clock() - elapsed
        self._spent = Cost()
        self._reserved = Cost()
        self._owed = Cost()
        self._slack = Cost()
        self._room = threading.Condition()
        pico = None if self.budget.usd is None else int(self.budget.usd * PICO)
        self._caps = (("calls", self.budget.calls), ("tokens", self.budget.tokens), ("pico", pico))
        self._capped = any(cap is not None for _, cap in self._caps)

    @property
    def spent(self) -> Cost:
        """Settled cost."""
        return self._spent

    @property
    def elapsed(self) -> float:
        """Seconds since the run first began, earlier sessions of the same run included."""
        return self._clock() - self._start

    @property
    def in_dollars(self) -> bool:
        """Whether a cap in dollars applies, here or above."""
        return self.budget.usd is not None or (self._parent is not None and self._parent.in_dollars)

    @property
    def in_size(self) -> bool:
        """Whether a cap in tokens or dollars applies, here or above, for which a call's size must be known."""
        own = self.budget.tokens is not None or self.budget.usd is not None
        return own or (self._parent is not None and self._parent.in_size)

    @property
    def capped(self) -> bool:
        """Whether calls, tokens or dollars have a cap, here or in a parent."""
        return self._capped or (self._parent is not None and self._parent.capped)

    def left(self) -> dict[str, float]:
        """What is left under each cap that is set, reservations counted as spent."""
        with self._room:
            used = self._spent + self._owed + self._reserved
        amounts: dict[str, float] = {"calls": used.calls, "tokens": used.tokens, "usd": used.usd}
        amounts["seconds"] = self.elapsed
        return {name: cap - amounts[name] for name, cap in self.budget.caps().items()}

    @property
    def status(self) -> str:
        """What is spent, and what is left of every cap, for people."""
        spent, left = self._spent, self.left()
        parts = [f"{spent.calls:,} calls", *([f"${spent.usd:,.4g}"] if spent.pico else [])]
        rest = [f"${a:,.4g}" if name == "usd" else f"{max(0, a):,.0f} {name}" for name, a in left.items()]
        return f"{', '.join(parts)} spent{'; left: ' + ', '.join(rest) if rest else ''}"

    def reserve(self, bound: Cost) -> Reservation:
        """Hold room for a call that costs at most ``bound``; waits while calls under way may yet free some.

        Raises:
            BudgetExhausted: if the call would not fit even when everything under way has been settled.
        """
        self.check_time()
        if self._capped:
            with self._room:
                while (short := self._short(self._spent + self._owed + self._reserved + bound)) is not None:
                    if self._reserved == Cost() or self._short(self._spent + self._owed + bound) is not None:
                        raise BudgetExhausted(self._refusal(short, bound))
                    self._room.wait(timeout=0.5)
                    self.check_time()
                self._reserved += bound
        else:
            with self._room:
                self._reserved += bound
        if self._parent is not None:
            try:
                self._parent.reserve(bound)
            except BaseException:
                self._release(bound)
                raise
        return Reservation(bound)

    def settle(self, reservation: Reservation, cost: Cost) -> None:
        """Replace a reservation by what the call really cost (``Cost()`` if nothing was billed)."""
        with self._room:
            self._reserved -= reservation.bound
            self._spend(reservation.bound, cost)
            if self._capped:
                self._room.notify_all()
        if self._parent is not None:
            self._parent.settle(reservation, cost)

    def owe(self, cost: Cost) -> None:
        """Keep room for what earlier, interrupted sessions of this run paid for; ``replay`` spends it call by call.

        Without it, new calls could take the room of old ones that are met only after them.
        """
        with self._room:
            self._owed += cost
        if self._parent is not None:
            self._parent.owe(cost)

    def replay(self, bound: Cost, cost: Cost) -> None:
        """Count a call that an earlier, interrupted session of this run already paid for."""
        with self._room:
            self._owed = (self._owed - cost).most(Cost())
            self._spend(bound, cost)
        if self._parent is not None:
            self._parent.replay(bound, cost)

    def begin_round(self) -> None:
        """Start a round of work whose fate ``round_holds`` will decide."""
        self._slack = Cost()
        if self._parent is not None:
            self._parent.begin_round()

    def round_holds(self) -> bool:
        """Whether the round's calls fit in every order in which they could have been dispatched."""
        with self._room:
            short = self._short(self._spent + self._slack)
        return short is None and (self._parent is None or self._parent.round_holds())

    def fits(self, cost: Cost) -> bool:
        """Whether ``cost`` on top of what is spent stays within the caps (nothing is reserved)."""
        with self._room:
            short = self._short(self._spent + self._owed + cost)
        return short is None and (self._parent is None or self._parent.fits(cost))

    def allows(self, total: Cost) -> bool:
        """Whether the run could have spent this much in all, by its own caps."""
        return self._short(total) is None

    def check_time(self) -> None:
        """Raises BudgetExhausted once the seconds are spent."""
        cap = self.budget.seconds
        if cap is not None and self.elapsed >= cap:
            raise BudgetExhausted(f"budget exhausted: {cap:g} seconds have passed")

    def _spend(self, bound: Cost, cost: Cost) -> None:
        self._spent += cost
        self._slack = self._slack.most(bound - cost)

    def _release(self, bound: Cost) -> None:
        with self._room:
            self._reserved -= bound
            self._room.notify_all()

    def _short(self, total: Cost) -> str | None:
        for name, cap in self._caps:
            if cap is not None and getattr(total, name) > cap:
                return name
        return None

    def _refusal(self, short: str, bound: Cost) -> str:
        spent: Any = {"calls": self._spent.calls, "tokens": self._spent.tokens, "pico": self._spent.usd}[short]
        may: Any = {"calls": bound.calls, "tokens": bound.tokens, "pico": bound.usd}[short]
        name = {"calls": "calls", "tokens": "tokens", "pico": "dollars"}[short]
        cap = self.budget.usd if short == "pico" else getattr(self.budget, short)
        return f"budget exhausted: {spent:,} of {cap:,} {name} spent, and the next call may need {may:,}"


def per_token(usd_per_million: float) -> int:
    """Pico-dollars for one token at a price in dollars per million tokens, rounded up.

    Raises:
        BadInput: for a price that is negative or no number.
    """
    if not 0 <= usd_per_million < math.inf:
        raise BadInput(f"price {usd_per_million!r}: expected dollars per million tokens, 0 or more")
    return math.ceil(round(usd_per_million * (PICO // 1_000_000), 6))


def scaled(cost: Cost, factor: int) -> Cost:
    """``factor`` times a cost."""
    return Cost(cost.calls * factor, cost.tokens * factor, cost.pico * factor)
