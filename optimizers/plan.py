"""The plan of a race: which proposers there are, how many candidates each is given, and the filling of the field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import dspy

from ..runtime.derive import derive
from ..runtime.errors import BadInput
from ..runtime.session import Session
from .history import History, Turn
from .portfolio import Source, orders, plateau, saved
from .proposers import (
    BootstrappedDemos,
    CombinedParts,
    DiverseDemos,
    Ground,
    KnobValues,
    LabeledDemos,
    MergedWinners,
    NearestDemos,
    Proposer,
    ReflectedInstructions,
    ShortenedPrompts,
    VotingEnsembles,
    WrittenInstructions,
)
from .proposers.named import proposer_named
from .race import Race


@dataclass(frozen=True)
class Plan:
    """The proposers of a race, and their shares of its candidates."""

    proposers: tuple[Proposer, ...]
    sources: tuple[Source, ...]
    """One for each."""
    race: Race
    places: int
    """Candidates that they may bring, all together."""
    closing: bool = False
    """Whether it is asked when the race is decided, and knows no plateau."""

    @classmethod
    def of(cls, ground: Ground, race: Race) -> Plan:
        """The proposers that have a share. The last one, which combines what others brought, is always there."""
        share = shares(race, ground.program, ground.train, bool(ground.knobs))
        asked: list[tuple[Proposer, int, bool]] = [
            (LabeledDemos(ground, race.demos), share["labeled"], True),
            (BootstrappedDemos(ground, race.demos, race.pool, race.teacher), share["bootstrapped"], True),
            (WrittenInstructions(ground), share["instructions"], not share["labeled"]),
            (KnobValues(ground), share["knobs"], True),
            (DiverseDemos(ground, race.demos), share["diverse"], False),
            (NearestDemos(ground, race.demos), share["nearest"], True),
            (ReflectedInstructions(ground), share["reflected"], False),
            (MergedWinners(), share["merged"], False),
            (CombinedParts(ground), share["tpe"], False),
        ]
        asked[-1:-1] = [(proposer_named(name, ground), share[name], True) for name in race.proposers]
        kept = [each for each in asked if each[1] or each is asked[-1]]
        names = [proposer.name for proposer, _, _ in kept]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise BadInput(f"Race(proposers={dict(race.proposers)}): two proposers are called {twice!r}")
        sources = tuple(Source(proposer.name, count, early) for proposer, count, early in kept)
        places = race.candidates - 1 - share["shortened"] - share["ensembles"]
        return cls(tuple(proposer for proposer, _, _ in kept), sources, race, places)

    @classmethod
    def last(cls, ground: Ground, race: Race) -> tuple[Plan, ...]:
        """What is tried once the race is decided, one after another: votes, and shorter versions of the winner."""
        share = shares(race, ground.program, ground.train)
        asked: list[tuple[Proposer, int]] = [
            (VotingEnsembles(), share["ensembles"]),
            (ShortenedPrompts(ground), share["shortened"]),
        ]
        return tuple(
            cls((proposer,), (Source(proposer.name, places),), race, places, closing=True) for proposer, places in asked
        )

    def fill(self, history: History, session: Session, seed: int, number: int) -> History:
        """The history with new candidates in the free places of the field, and a note of who was asked.

        Raises:
            BudgetExhausted: if a proposer's calls do not fit.
        """
        parent = history.leader().number
        while (room := min(self._free(history, parent), self.left(history))) > 0 and not self.still(history):
            rng = derive(seed, "portfolio", len(history.trials), len(history.turns))
            asked = orders(history, self.sources, room, number, rng)
            if not asked and len(history.trials) == 1:  # there will be no scores to wait for
                asked = orders(history, [replace(source, early=True) for source in self.sources], room, number, rng)
            if not asked:
                return history if self.closing else replace(history, coming=False)
            for index, wanted in asked:
                history = self._ask(history, session, seed, number, index, wanted, parent)
        return history

    def ending(self, history: History) -> str:
        """Why a search that its budget did not end proposed no more, in words."""
        places, whole = self.left(history), self.places + 1
        if places <= 0:
            return f"all {whole} candidates were tried"
        if not self.still(history):
            return f"no proposer had another candidate after {whole - places} of {whole}"
        return (
            f"a plateau: none of the last {history.since} candidates took the lead, so {places} of "
            f"{whole} were not tried, which saved some {saved(history, places):,} calls"
        )

    def left(self, history: History) -> int:
        """How many candidates may still come."""
        names = {source.name for source in self.sources}
        return self.places - sum(trial.origin in names for trial in history.trials)

    def coming(self, history: History) -> bool:
        """Whether so many may still come that whoever is there should make room: as many as are in the field."""
        return not self.closing and self.left(history) >= self.race.width and not self.still(history)

    def still(self, history: History) -> bool:
        """Whether the search stands at a plateau, where nothing more is proposed."""
        return not self.closing and plateau(history, self.sources, self.race.patience)

    def _free(self, history: History, parent: int) -> int:
        """Free places in the field."""
        return self.race.width - sum(trial.number != parent for trial in history.live)

    def _ask(
        self, history: History, session: Session, seed: int, number: int, index: int, wanted: int, parent: int
    ) -> History:
        proposer, before = self.proposers[index], session.distinct
        rng = derive(seed, "propose", proposer.name, len(history.trials), len(history.turns))
        found = proposer.propose(history, rng, wanted)
        history = history.add([(c, proposer.name, history.parents(c, parent)) for c in found], number)
        turn = Turn(proposer.name, number, wanted, len(found), session.distinct - before)
        return replace(history, turns=(*history.turns, turn))


def shares(race: Race, program: dspy.Module, train: Sequence[dspy.Example], knobs: bool = False) -> dict[str, int]:
    """By kind of proposer, how many of a race's candidates it is given; all of them together.

    Where the examples tell all that every predictor reads and writes, its runs tell no more, and cost calls: nothing is
    bootstrapped.

    Args:
        knobs: whether the task has any.
    """
    predictors = [predictor for _, predictor in program.named_predictors()]
    shortened = min(race.shorter, (race.candidates - 1) // 2)
    ensembles = min(race.ensembles, (race.candidates - 1 - shortened) // 2)
    rest = race.candidates - 1 - shortened - ensembles
    shown = min(max(2, rest // 2), rest) if race.demos > 0 else 0
    bootstrapped = 0 if all(_told(p, train) for p in predictors) else shown // 2
    written = min(race.instructions * len(predictors), rest // 3, rest - shown)
    found = {"labeled": shown - bootstrapped, "bootstrapped": bootstrapped, "instructions": written}
    spare = rest - sum(found.values())
    for name, count in (
        *race.proposers.items(),
        ("knobs", race.knobs if knobs else 0),
        ("diverse", race.diverse if shown else 0),
        ("nearest", race.nearest if shown else 0),
        ("reflected", race.rewrites * len(predictors)),
        ("merged", race.merges),
    ):
        found[name] = min(count, spare)
        spare -= found[name]
    return {**found, "tpe": spare, "ensembles": ensembles, "shortened": shortened}


def _told(predictor: dspy.Predict, train: Sequence[dspy.Example]) -> bool:
    """Whether an example tells all of a predictor's fields."""
    return any(all(e.get(field) is not None for field in predictor.signature.fields) for e in train)
