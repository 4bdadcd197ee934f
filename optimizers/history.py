"""What a search has tried and found: all that a proposer sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..eval.statistics.values import Scores
from ..runtime.budget import Cost
from .candidate import Candidate
from .objective import SCORE

PRIOR = 8.0
"""Pseudo-examples with which a candidate's mean is drawn towards the mean of all, against luck on few examples."""


@dataclass(frozen=True)
class Trial:
    """One candidate and what became of it."""

    number: int
    """In order of proposal; 0 is the program as declared."""
    candidate: Candidate
    origin: str
    """The proposer."""
    parents: tuple[int, ...] = ()
    """Numbers of the trials that it was made from."""
    met: int = 0
    """Examples met so far; everybody meets the same ones in the same order."""
    scores: Mapping[int, float] = field(default_factory=dict)
    """By place in that order; a place whose evaluation failed through the engine is missing."""
    cost: Cost = field(default_factory=Cost)
    """Of all its evaluations, whoever paid for them."""
    born: int = 0
    """The round in which it was proposed."""
    decision: str = "live"
    """``live``, ``dropped``, ``finished`` or ``winner``."""
    why: str = ""
    evidence: float = 1.0
    """Against its being the best of all, if it was dropped: a capital that rivals won by betting, from 1."""
    measures: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    """Of each objective but the score, its value by place, wherever there is a score."""

    @property
    def mean(self) -> float:
        """The mean score so far (0 before any)."""
        return sum(self.scores.values()) / len(self.scores) if self.scores else 0.0

    def dump(self) -> dict[str, Any]:
        """As JSON, a line of ``trials.jsonl``."""
        measures = {name: [[place, own[place]] for place in sorted(own)] for name, own in self.measures.items()}
        return {
            "number": self.number,
            "origin": self.origin,
            "parents": list(self.parents),
            "born": self.born,
            "decision": self.decision,
            "why": self.why,
            "evidence": float(f"{self.evidence:.4g}"),
            "met": self.met,
            "mean": self.mean,
            "scores": [[place, self.scores[place]] for place in sorted(self.scores)],
            "calls": self.cost.calls,
            "tokens": self.cost.tokens,
            "usd": self.cost.usd,
            **({"measures": measures} if measures else {}),
            "digest": self.candidate.digest,
            "candidate": self.candidate.dump(),
        }

    @classmethod
    def load(cls, body: Mapping[str, Any]) -> Trial:
        """The inverse of ``dump``."""
        cost = Cost(body["calls"], body["tokens"], round(body["usd"] * 10**12))
        scores = dict(body["scores"])
        return cls(
            body["number"], Candidate.load(body["candidate"]), body["origin"], tuple(body["parents"]), body["met"],
            scores, cost, body["born"], body["decision"], body["why"], body.get("evidence", 1.0),
            {name: dict(own) for name, own in body.get("measures", {}).items()},
        )  # fmt: skip


@dataclass(frozen=True)
class Turn:
    """A proposer was asked."""

    origin: str
    """The proposer."""
    born: int
    """The round."""
    wanted: int
    """Candidates asked for."""
    brought: int
    """Candidates that it brought."""
    calls: int
    """Calls made for it; those that the run had made before are not counted again."""


@dataclass(frozen=True)
class History:
    """Trials in order of their numbers; an immutable value."""

    trials: tuple[Trial, ...] = ()
    leads: tuple[int, ...] = ()
    """The trials that the race saw ahead of all others, one after another; none before its first decision."""
    since: int = 0
    """How many trials have dropped out or finished since the lead, or of several objectives the front, last changed."""
    turns: tuple[Turn, ...] = ()
    """When which proposer was asked."""
    objectives: tuple[str, ...] = (SCORE,)
    """What the search is after; all but the score are the less the better."""
    front: tuple[int, ...] = ()
    """Of several objectives, the trials that nobody dominated when the race last decided."""
    coming: bool = False
    """Whether new candidates may come for whom those that are there should make room."""
    opened: int = 0
    """How many decisions were made while they might."""

    @property
    def lead(self) -> int | None:
        """The trial that the race sees ahead of all others; ``None`` before its first decision."""
        return self.leads[-1] if self.leads else None

    def add(self, candidates: Sequence[tuple[Candidate, str, tuple[int, ...]]], born: int) -> History:
        """The history with new trials: (candidate, origin, parents) each."""
        start = len(self.trials)
        new = [
            Trial(start + n, candidate, origin, parents, born=born)
            for n, (candidate, origin, parents) in enumerate(candidates)
        ]
        return replace(self, trials=(*self.trials, *new))

    def change(self, number: int, **changes: Any) -> History:
        """The history with one trial changed."""
        return self.update([replace(self.trials[number], **changes)])

    def update(self, changed: Iterable[Trial]) -> History:
        """The history with these trials in place of those of their numbers."""
        trials = list(self.trials)
        for trial in changed:
            trials[trial.number] = trial
        return replace(self, trials=tuple(trials))

    def has(self, candidate: Candidate) -> bool:
        """Whether a candidate was tried."""
        return any(trial.candidate == candidate for trial in self.trials)

    def parents(self, candidate: Candidate, otherwise: int) -> tuple[int, ...]:
        """Numbers of the trials that a candidate says it was made from; ``otherwise`` alone if it says nothing."""
        named = tuple(t.number for d in candidate.origins for t in self.trials if t.candidate.digest == d)
        return named or (otherwise,)

    @property
    def live(self) -> list[Trial]:
        """Trials that are still being evaluated."""
        return [trial for trial in self.trials if trial.decision == "live"]

    @property
    def standing(self) -> list[Trial]:
        """Trials that were not dropped."""
        return [trial for trial in self.trials if trial.decision != "dropped"]

    def estimate(self, trial: Trial) -> float:
        """A trial's mean score, drawn towards the mean of all scores by ``PRIOR`` pseudo-examples."""
        return self.estimates[trial.number]

    @cached_property
    def estimates(self) -> tuple[float, ...]:
        """Every trial's ``estimate``."""
        totals = [sum(trial.scores.values()) for trial in self.trials]
        count = sum(len(trial.scores) for trial in self.trials)
        centre = sum(totals) / count if count else 0.0
        return tuple(
            (total + PRIOR * centre) / (len(trial.scores) + PRIOR)
            for total, trial in zip(totals, self.trials, strict=True)
        )

    def values(self, trial: Trial) -> list[float]:
        """What a trial with scores is worth: its estimate, and its mean in each further objective."""
        others = [trial.measures[name].values() for name in self.objectives[1:]]
        return [self.estimate(trial), *(sum(own) / len(own) for own in others)]

    def leader(self) -> Trial:
        """Who is in the lead; before a race has decided the best estimate, of equals the shorter, then the earlier."""
        if self.lead is not None:
            return self.trials[self.lead]
        return min(
            (trial for trial in self.standing if trial.scores or trial.number == 0),
            key=lambda trial: (-self.estimate(trial), trial.candidate.length, trial.number),
        )


def table(trials: Sequence[Trial], name: str = SCORE) -> Scores:
    """(A, n) values of an objective by trial and place in the order; nan where not met or unscored."""
    found = np.full((len(trials), max((trial.met for trial in trials), default=0)), np.nan)
    for index, trial in enumerate(trials):
        own = trial.scores if name == SCORE else trial.measures.get(name, {})
        found[index, list(own)] = list(own.values())
    return found
