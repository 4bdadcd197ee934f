"""The one door to a model: journal first, one flight per request, budget before dispatch, durable before return."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property

import dspy
import orjson

from .budget import Cost
from .canonical import digest
from .engines.base import Engine
from .errors import BadInput, BudgetExhausted, CassetteMiss, JournalFailed, ModelUnavailable, Stop, Unbounded
from .journal import Entry, Identity
from .retry import Gate, Retry, judge, retold, told
from .secrets import redact
from .session import Flight, Session
from .slots import Slots
from .wire import Answer, Request, Response, Wire, media_in, wire_of, with_seed
from .workers import Claim, Told, Workers


class Door:
    """An engine behind a session's journal and budget. Itself an engine, so DSPy can hold it.

    Args:
        engine: the model.
        session: the run on whose behalf calls are made.
        retry: how failed calls are tried again.

    Raises:
        BadInput: for a model of unknown price where a budget counts dollars.
    """

    def __init__(self, engine: Engine, session: Session, *, retry: Retry | None = None) -> None:
        if session.ledger.in_dollars and not getattr(engine, "priced", True):
            raise BadInput(
                f"the price of {engine.name} is not known, so a budget in dollars cannot hold: set its prices "
                "(prices = [READ, WRITTEN], dollars per million tokens), or a cap on calls or tokens"
            )
        self.engine = engine
        self.session = session
        self.name = engine.name
        self._retry = retry or Retry()
        self._gate = Gate()

    @cached_property
    def identity(self) -> Identity:
        """What the model is."""
        identity = self.engine.identity
        self.session.meet(self.name, identity, self.engine.max_tokens)
        return identity

    @cached_property
    def digest(self) -> str:
        """Digest of the identity, under which calls are keyed."""
        return digest(self.identity)

    @property
    def parameters(self) -> int | None:
        """How many weights the model has, where that is known."""
        found: int | None = getattr(self.engine, "parameters", None)
        if found is not None:
            self.session.meet(self.name, self.identity, self.engine.max_tokens, found)
        return found

    def complete(self, request: Request) -> Response:
        """DSPy's seam: answer sample 0 of a request."""
        entry = self.ask(wire_of(request), lambda seed: with_seed(request, seed), 0)
        return entry.answer.response(request.model)

    def ask(self, wire: Wire, make: Callable[[int | None], Request], sample: int) -> Entry:
        """The completed call for sample ``sample`` of a request, from the journal or paid for now.

        Args:
            wire: the request's canonical form.
            make: builds the request, with another seed for sampling where one is given; called only if it has to be
                sent.
            sample: which of several independent answers to the same request.

        Raises:
            BudgetExhausted: if the call does not fit the budget.
            Unbounded: for images, sounds or files under a cap on tokens or dollars, where their tokens are not known.
            ModelUnavailable: if no call to this model can succeed.
            JournalFailed: if the answer cannot be stored.
            Exception: the engine's error, when its retries are used up.
        """
        greedy = _greedy(wire)
        if greedy and self.engine.repeatable:
            sample = 0
        key = wire.key(self.digest.encode(), sample)
        flights, mine = self.session.flights, Flight()
        flight = flights.setdefault(key, mine)
        if flight is not mine:
            with flight.landed:
                pass
            if flight.entry is None:
                assert flight.error is not None
                raise flight.error
            entry = flight.entry
        else:
            try:
                entry = flight.entry = self._answer(key, wire, make, sample, greedy)
            except BaseException as error:
                flight.error = error
                raise
            finally:
                del flights[key]
                flight.landed.release()
        if (meter := dspy.settings.get("dstill_meter")) is not None:
            meter.add(entry)
        return entry

    def _answer(
        self, key: bytes, wire: Wire, make: Callable[[int | None], Request], sample: int, greedy: bool
    ) -> Entry:
        if self.session.workers is not None:
            return self._share(self.session.workers, key, wire, make, sample, greedy)
        found = self.session.journal.get(key)
        if found is not None:
            self.session.lend(found)
            self.session.account(found, hit=True)
            return found
        request = make(self._seed(key, wire, sample, greedy))
        if self.session.replay is not None:
            ledger = self.session.ledger
            if ledger.in_dollars or not ledger.fits(self.engine.bound(request)):  # a cassette keeps no prices
                raise BudgetExhausted("the budget of the recorded run ended here")
            end = str(request.messages[-1].text or "")[-160:]
            raise CassetteMiss(f"the cassette has no answer of {self.name} to the request that ends with {end!r}")
        entry = self._pay(key, wire, request, sample)
        assert entry is not None, "nobody else could have had the call"
        self.session.account(entry, hit=False)
        return entry

    def _bound(self, request: Request) -> Cost:
        """The most that a call can cost, where a cap needs to know."""
        if self.session.ledger.in_size and getattr(self.engine, "media_tokens", 0) is None and media_in(request):
            raise Unbounded(
                f"how many tokens an image, a sound or a file takes at {self.name} is not known beforehand, so a "
                "budget in tokens or dollars cannot hold: set media_tokens (the most that one of them can take), or "
                "cap calls alone"
            )
        return self.engine.bound(request)

    def _seed(self, key: bytes, wire: Wire, sample: int, greedy: bool) -> int | None:
        """The seed to sample with, if it is ours to say. A seed that the caller set is that of the first sample; with
        it the others would all be equal."""
        if greedy:
            return None
        given = b'"seed":' in wire.tail and orjson.loads(wire.tail)["settings"].get("seed") is not None
        if given:
            return int.from_bytes(key[:4], "big") >> 1 if sample else None  # 31 bits, which every provider takes
        return int.from_bytes(key[:6], "big") if self.engine.repeatable else None

    def _share(
        self, workers: Workers, key: bytes, wire: Wire, make: Callable[[int | None], Request], sample: int, greedy: bool
    ) -> Entry:
        """The completed call as all workers have it: told by the one that had the claim, or paid for and told here."""
        session, request = self.session, make(self._seed(key, wire, sample, greedy))
        while True:
            entry = session.journal.get(key)
            bound = self._bound(request) if entry is None else Cost()
            found = workers.ask(key, session.run, bound, session.caps())
            if isinstance(found, Told):
                return self._told(found, key, wire, sample)
            entry = entry or session.journal.get(key)  # of one on the same journal that died before it could tell
            try:
                if entry is not None:
                    kept = entry if found.answered(entry) else None
                else:
                    kept = self._pay(key, wire, request, sample, found)
            except Exception as error:
                if found.failed(*told(error)):
                    raise
                kept = None
            except BaseException:
                found.void()
                raise
            if kept is not None:
                session.account(kept, hit=entry is not None)
                return kept

    def _told(self, found: Told, key: bytes, wire: Wire, sample: int) -> Entry:
        """The entry, or the error, that the book has of a call; it is as if this worker had met it itself."""
        session, said = self.session, found.said
        first = not session.has(key)
        if first and found.lost.calls:
            session.ledger.replay(found.lost, found.lost)
        if found.failed:
            raise retold(said["kind"], said["message"])
        cost, bound = Cost(*said["cost"]), Cost(*said["bound"])
        answer = Answer.load(said["text"])
        entry = Entry(key, self.digest, wire, sample, answer, cost, bound, said["seconds"], said["run"])
        stored = session.journal.get(key) or session.journal.put(entry, self.identity)
        if stored.answer != answer:
            raise JournalFailed(
                f"the journal {session.journal.path} has another answer to a call than the workers share: "
                "start them on the same journal, or each on a new one"
            )
        session.account(entry, hit=True)
        return entry

    def _pay(self, key: bytes, wire: Wire, request: Request, sample: int, claim: Claim | None = None) -> Entry | None:
        """The answer, on disk and told to other workers; ``None`` if they lost patience and have one of their own."""
        session, engine = self.session, self.engine
        bound = self._bound(request)
        attempt = 0
        while True:
            attempt += 1
            self._gate.enter()
            held = session.ledger.reserve(bound)
            try:
                with Slots.of_settings():
                    started = time.perf_counter()
                    response = engine.complete(request)
                    seconds = time.perf_counter() - started
                cost = engine.cost(request, response)
            except Exception as error:
                verdict = judge(error)
                charge = bound if verdict.billed else Cost()
                if verdict.billed:
                    session.journal.lose(key, session.run, redact(f"{type(error).__name__}: {error}"), bound)
                    if claim is not None:
                        claim.lose(bound)
                session.ledger.settle(held, charge)
                wait = self._retry.wait(attempt, verdict.asked, key) if verdict.again else None
                if verdict.fatal or (verdict.unreachable and wait is None):
                    raise ModelUnavailable(_unavailable(engine.name, error)) from None
                if wait is None:
                    raise
                if verdict.asked is not None:
                    self._gate.close_for(wait)
                else:
                    time.sleep(wait)
                continue
            except BaseException as stop:
                session.ledger.settle(held, Cost() if isinstance(stop, Stop) else bound)
                raise
            entry = Entry(key, self.digest, wire, sample, Answer.of(response), cost, bound, seconds, session.run)
            stored = None
            try:
                if claim is None or claim.answered(entry):
                    stored = session.journal.put(entry, self.identity)
                else:
                    cost = Cost()  # theirs is the one that counts, for everybody
            except JournalFailed:
                session.journal.put(entry, self.identity)
                raise
            finally:
                session.ledger.settle(held, cost)
            return stored

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()


def _greedy(wire: Wire) -> bool:
    """Whether no temperature is set; most requests can be told by their bytes, without reading them."""
    return b'"temperature":' not in wire.tail or not orjson.loads(wire.tail)["settings"].get("temperature")


def _unavailable(name: str, error: Exception) -> str:
    first = redact(str(error)).strip().splitlines()
    return f"the model {name} cannot be used: {first[0] if first else type(error).__name__}"
