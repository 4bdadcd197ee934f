"""Caps hold at any concurrency, and whether a round fits does not depend on the order of its calls."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import pytest
from dstill.runtime import LM, BadInput, Budget, BudgetExhausted, Cost, Journal, Ledger, ScriptedEngine, Session
from dstill.runtime.budget import per_token


@pytest.mark.parametrize("bad", [{"calls": -1}, {"calls": 1.5}, {"tokens": "many"}, {"usd": True}, {"seconds": -0.1}])
def test_a_budget_that_makes_no_sense_is_refused_with_its_value(bad: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=str(next(iter(bad.values())))):
        Budget(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("cap", [0, 1, 7, 50])
def test_a_cap_in_calls_is_reached_and_never_passed_by_64_threads(cap: int) -> None:
    ledger = Ledger(Budget(calls=cap))
    made, refused = [], []
    barrier = threading.Barrier(64)

    def work() -> None:
        barrier.wait()
        for _ in range(10):
            try:
                held = ledger.reserve(Cost(1))
            except BudgetExhausted:
                refused.append(1)
                return
            made.append(1)
            ledger.settle(held, Cost(1))

    threads = [threading.Thread(target=work) for _ in range(64)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(made) == cap == ledger.spent.calls
    assert refused


def test_a_reservation_waits_for_calls_under_way_before_it_is_refused() -> None:
    ledger = Ledger(Budget(tokens=100))
    first = ledger.reserve(Cost(1, tokens=80))
    got: list[object] = []
    waiter = threading.Thread(target=lambda: got.append(ledger.reserve(Cost(1, tokens=60))))
    waiter.start()
    waiter.join(0.1)
    assert waiter.is_alive()
    ledger.settle(first, Cost(1, tokens=30))
    waiter.join(5)
    assert got
    with pytest.raises(BudgetExhausted, match=r"30 of 100 tokens"):
        ledger.reserve(Cost(1, tokens=90))


def test_what_is_left_counts_reservations() -> None:
    ledger = Ledger(Budget(calls=10, usd=2))
    ledger.reserve(Cost(1, pico=500_000_000_000))
    assert ledger.left() == {"calls": 9, "usd": 1.5}


def test_a_parent_is_charged_too_and_its_refusal_frees_the_child() -> None:
    parent = Ledger(Budget(calls=1))
    child = Ledger(Budget(calls=5), parent=parent)
    child.settle(child.reserve(Cost(1)), Cost(1))
    with pytest.raises(BudgetExhausted):
        child.reserve(Cost(1))
    assert (parent.spent.calls, child.spent.calls, child.left()["calls"]) == (1, 1, 4)


def test_seconds_stop_a_run_and_earlier_sessions_count() -> None:
    now = [0.0]
    ledger = Ledger(Budget(seconds=10), elapsed=4.0, clock=lambda: now[0])
    ledger.reserve(Cost(1))
    now[0] = 6.5
    with pytest.raises(BudgetExhausted, match="10 seconds"):
        ledger.reserve(Cost(1))


@pytest.mark.parametrize("cap", range(60, 140, 7))
def test_whether_a_round_holds_is_the_same_in_every_order(cap: int) -> None:
    """Brute force: serve the calls one at a time in all orders; the verdict and no partial refusal may differ."""
    calls = [(60, 20), (40, 35), (30, 5), (25, 25)]  # (reserved, settled)
    verdicts = set()
    for order in permutations(calls):
        ledger = Ledger(Budget(tokens=cap))
        ledger.begin_round()
        try:
            for bound, cost in order:
                ledger.settle(ledger.reserve(Cost(1, tokens=bound)), Cost(1, tokens=cost))
            verdicts.add(ledger.round_holds())
        except BudgetExhausted:
            verdicts.add(False)
    assert len(verdicts) == 1


def test_prices_round_up_to_whole_pico_dollars() -> None:
    assert per_token(0.15) == 150_000
    assert per_token(1e-7) == 1


def test_what_others_pay_for_meanwhile_makes_no_room_in_a_budget(tmp_path: Path) -> None:
    """Otherwise a run would get further when it is done again after others, and end with other bytes."""
    engine = ScriptedEngine(["x"])

    def session(run: str, calls: int | None = None, parent: Session | None = None) -> Session:
        return Session(Journal(tmp_path / "j"), run=run, budget=Budget(calls=calls), parent=parent)

    def ask(within: Session, numbers: Sequence[int]) -> int:
        before, lm = engine.calls, LM(engine, within)
        for n in numbers:
            lm(f"question {n}")
        return engine.calls - before

    assert ask(session("before"), [0]) == 1
    first, meanwhile = session("first", 3), session("meanwhile", 3)
    with pytest.raises(BudgetExhausted):
        ask(first, range(5))
    assert (first.ledger.spent.calls, first.usage.free) == (3, 1)
    assert ask(session("later"), range(4, 7)) == 3
    again = session("first", 3)
    with pytest.raises(BudgetExhausted):
        ask(again, range(5))
    assert again.usage == first.usage
    whole = session("whole", 4)
    assert ask(session("whole/part", parent=whole), range(4)) == 0  # free: they were there when it began
    assert ask(meanwhile, [4, 4, 5]) == 0  # they were not
    assert (meanwhile.ledger.spent.calls, meanwhile.usage.paid.calls, meanwhile.usage.free) == (2, 0, 2)
    part = session("meanwhile/part", parent=meanwhile)
    assert ask(part, [5, 6]) == 0
    assert meanwhile.ledger.spent.calls == 2
    assert ask(session("meanwhile", 3), [4, 5, 6]) == 0
    with pytest.raises(BudgetExhausted):
        ask(session("meanwhile", 2), [4, 5, 6])
