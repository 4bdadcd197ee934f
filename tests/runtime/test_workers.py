"""Workers of one run on one Optuna storage: who pays for what, the dead and the slow, and the caps of all together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from dspy import lm15
from dstill.runtime import (
    LM,
    BadInput,
    Budget,
    BudgetExhausted,
    Cost,
    Journal,
    JournalFailed,
    Retry,
    ScriptedEngine,
    Session,
)
from dstill.runtime import workers as module
from dstill.runtime.storages import open_storage
from dstill.runtime.workers import Claim, Told, Workers
from optuna.storages import InMemoryStorage

KEY = b"k" * 32


def alone(answers: list[Any], session: Session, **options: Any) -> LM:
    left = list(answers)  # a function, as engines with lists of answers are models of their own
    made = LM(ScriptedEngine(lambda request: left.pop(0) if len(left) > 1 else left[0], name="m", **options), session)
    made.door._retry = Retry(attempts=1)
    return made


class World:
    """Workers in threads, with journals of their own, on one storage."""

    def __init__(self) -> None:
        self.storage = InMemoryStorage()
        self.crew: list[Workers] = []
        self.sessions: list[Session] = []

    def worker(
        self, answers: list[Any], budget: Budget | None = None, journal: Journal | None = None, **options: Any
    ) -> LM:
        self.crew.append(Workers(self.storage, "study"))
        session = Session(journal or Journal(), run="r", budget=budget, workers=self.crew[-1])
        self.sessions.append(session)
        return alone(answers, session, **options)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    for workers in made.crew:
        workers.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT", 0.1)
    monkeypatch.setattr(module, "SILENCE", 0.5)


def asks(lm: LM, number: int = 0) -> str:
    found = lm(f"thing {number}")
    return str(found[0])


def together(*acts: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(act) for act in acts]]


def test_an_answer_of_one_is_everybodys(world: World) -> None:
    one, two = world.worker(["a"]), world.worker(["b"])
    assert [asks(one), asks(two)] == ["a", "a"]
    assert two.door.engine.calls == 0
    assert [session.usage.paid.calls for session in world.sessions] == [1, 1]  # it counts, as it would alone
    assert [len(session.journal) for session in world.sessions] == [1, 1]
    assert asks(world.worker(["c"])) == "a"  # and of those that come later


def test_of_many_that_ask_at_once_one_pays(world: World) -> None:
    lms = [world.worker([name], seconds=0.05) for name in "abc"]
    for number in range(5):
        answers = together(*[lambda lm=lm, n=number: asks(lm, n) for lm in lms])
        assert len(set(answers)) == 1
    assert sum(lm.door.engine.calls for lm in lms) == 5


def test_an_error_is_everybodys_too_and_so_is_the_next_attempt(world: World) -> None:
    one = world.worker([lm15.InvalidRequestError("no"), "fine"])
    two = world.worker(["never asked"])
    for lm in (one, two):
        with pytest.raises(Exception, match="no"):
            asks(lm)
    assert [asks(two), asks(one)] == ["never asked"] * 2
    assert [one.door.engine.calls, two.door.engine.calls] == [1, 1]


def test_what_a_failed_attempt_may_have_cost_counts_for_all(world: World) -> None:
    one = world.worker([lm15.TimeoutError("slow"), "fine"], Budget(calls=2))
    two = world.worker(["fine"], Budget(calls=2))
    for lm in (one, two):
        with pytest.raises(Exception, match="slow"):
            asks(lm)
    assert [session.usage.paid.calls for session in world.sessions] == [1, 1]
    assert asks(two) == asks(one) == "fine"
    for lm in (one, two):
        with pytest.raises(BudgetExhausted):
            asks(lm, 1)


def test_no_cap_is_passed_by_all_together(world: World) -> None:
    lms = [world.worker(["a"], Budget(calls=7), seconds=0.02) for _ in range(3)]
    refused = threading.Semaphore(0)

    def work(lm: LM, start: int) -> None:
        for number in range(12):
            try:
                asks(lm, (start + number) % 12)
            except BudgetExhausted:
                refused.release()

    together(*[lambda lm=lm, n=n: work(lm, 4 * n) for n, lm in enumerate(lms)])
    assert sum(lm.door.engine.calls for lm in lms) == 7
    assert refused.acquire(blocking=False)
    world.crew[0].book.read()
    assert not world.crew[0].book.open


def test_calls_of_one_that_fell_silent_go_to_others(world: World, impatient: None) -> None:
    lm = world.worker(["alive"])
    dead = Workers(world.storage, "study")
    claim = dead.ask(KEY, "r", Cost(1), [])
    assert isinstance(claim, Claim)
    dead._left.set()  # its heart stops, and it has not left
    dead._thread.join()
    taken = world.crew[0].ask(KEY, "r", Cost(1), [])
    assert isinstance(taken, Claim)
    asks(lm)
    entry = next(iter(world.sessions[0].journal.entries()))
    assert not claim.answered(entry)  # it wakes up too late
    assert taken.answered(entry)
    dead.book.read()
    found = dead.ask(KEY, "r", Cost(1), [])
    assert isinstance(found, Told)
    assert found.said["text"] == entry.answer.dump().decode()
    dead.close()


def test_a_worker_that_was_taken_for_dead_comes_back(world: World, impatient: None) -> None:
    lm, other = world.worker(["a"]), world.worker(["b"])
    world.crew[0].book.end(world.crew[0]._me, "PRUNED")
    before = world.crew[0]._me.number
    while world.crew[0]._me.number == before:
        threading.Event().wait(0.02)
    assert asks(lm) == asks(other) == "a"


def test_shares_of_a_round_differ_and_are_whole(world: World) -> None:
    for _ in range(3):
        world.worker(["a"])
    for workers in world.crew:
        workers.book.read()
    orders = [workers.order(range(10)) for workers in world.crew]
    assert [order[:3] for order in orders] == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert [workers.first for workers in world.crew] == [True, False, False]


def test_answers_of_an_older_run_are_shared_and_cost_nobody(world: World) -> None:
    journal = Journal()
    asks(alone(["old"], Session(journal, run="before")))
    one, two = world.worker(["new"], Budget(calls=0), journal), world.worker(["new"], Budget(calls=0))
    assert [asks(one), asks(two)] == ["old", "old"]
    assert [session.usage.paid.calls for session in world.sessions] == [0, 0]


def test_journals_that_disagree_are_refused(world: World) -> None:
    journal = Journal()
    asks(alone(["old"], Session(journal, run="before")))
    one, two = world.worker(["new"]), world.worker(["new"], journal=journal)
    asks(one)
    with pytest.raises(JournalFailed, match="another answer"):
        asks(two)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("study.txt", r"expected a URL such as sqlite:///study\.db"),
        (3, "an address, or a storage of Optuna"),
        ("nonsense://x", "cannot be opened"),
        ("sqlite:////no/such/folder/study.db", "cannot be opened"),
    ],
)
def test_what_is_no_storage_is_refused(given: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dstill.runtime.storages.TRIES", 1)
    with pytest.raises(BadInput, match=said):
        open_storage(given)


def test_a_storage_that_fails_ends_the_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lm = world.worker(["a"])

    def gone(*args: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(world.storage, "create_new_trial", gone)
    with pytest.raises(JournalFailed, match="the disk is gone"):
        asks(lm)
    assert lm.door.engine.calls == 0
