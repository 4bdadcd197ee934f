"""The portfolio: which proposer is asked next. Pure functions of the history and a stream of chance.

Every other free place goes to the proposers in turn, until each has brought what the options give it; the places
between go to those who bring winners. For each of these every proposer draws a rate at which its candidates improve on
the best, by Thompson sampling with evidence that fades (Raj and Kalyani, "Taming non-stationary bandits: a Bayesian
approach", 1707.09727), divided by what one of its candidates costs (budgeted Thompson sampling: Xia, Li, Qin, Yu and
Liu, IJCAI 2015). Evaluating is taken to cost the same whoever proposed, since the better a candidate, the longer it is
evaluated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from .history import History, Trial

FADE = 0.95
"""What an outcome counts for as evidence, after each further candidate."""
SEEN = 90
"""Candidates that are looked back on; what is older counts for less than a hundredth."""


@dataclass(frozen=True)
class Source:
    """A proposer, as the portfolio sees it."""

    name: str
    share: int
    """Candidates that the options give it. Calls are made for twice as many at the most."""
    early: bool = True
    """Whether it can do without scores."""


@dataclass(frozen=True)
class Account:
    """What a proposer cost and brought."""

    name: str
    turns: int
    """How often it was asked."""
    brought: int
    """Candidates."""
    making: int
    """Calls made to propose them; those that the run had made before are not counted again."""
    evaluating: int
    """Calls of the evaluations of its candidates."""
    led: int
    """How many of its candidates took the lead at some time."""
    rate: float
    """At which its candidates improved on the best before them, late ones counting more (``credit``)."""

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {**self.__dict__, "rate": float(f"{self.rate:.4g}")}


def accounts(history: History) -> tuple[Account, ...]:
    """What every proposer cost and brought, in the order in which they were first asked."""
    earned = _earned(history)
    found = []
    for name in dict.fromkeys(turn.origin for turn in history.turns):
        turns = [turn for turn in history.turns if turn.origin == name]
        own = [trial for trial in history.trials if trial.origin == name]
        won, lost = earned.get(name, (0.0, 0.0))
        found.append(
            Account(
                name,
                len(turns),
                len(own),
                sum(turn.calls for turn in turns),
                sum(t.cost.calls for t in own),
                sum(trial.number in history.leads for trial in own),
                won / (won + lost) if own and won else 0.0,
            )
        )
    return tuple(found)


def credit(trial: Trial, before: Trial) -> float:
    """How sure it is that a candidate improved on the best before it: 0 if it is no better, towards 1.

    It is twice the chance by which a normal true difference is above zero, less 1, with the mean and the spread of
    the paired differences and two disagreements more, as in ``standing``.
    """
    shared = sorted(trial.scores.keys() & before.scores.keys())
    if not shared:
        return 0.0
    apart = [trial.scores[place] - before.scores[place] for place in shared]
    n, mean = len(apart), math.fsum(apart) / len(apart)
    spread = math.sqrt((math.fsum((a - mean) ** 2 for a in apart) + 2) / (n * (n + 2)))
    return max(0.0, math.erf(mean / spread / math.sqrt(2)))


def orders(history: History, sources: Sequence[Source], room: int, number: int, rng: Random) -> list[tuple[int, int]]:
    """Whom to ask for how many candidates: (index, count) each; none if there is nobody left to ask.

    Who brought fewer than it was asked for in this round is not asked again in it.

    Args:
        sources: the proposers.
        room: free places, at least 1.
        number: of the round.
        rng: the stream of chance.
    """
    short = {turn.origin for turn in history.turns if turn.born == number and turn.brought < turn.wanted}
    open_ = [
        n
        for n, source in enumerate(sources)
        if source.name not in short and (source.early or number > 0) and _allowed(history, source) > 0
    ]
    if not open_:
        return []
    left = {n: sources[n].share - sum(t.origin == sources[n].name for t in history.trials) for n in open_}
    earned, costs = _earned(history), _costs(history)

    def by_merit() -> int:
        rates = []
        for n in open_:
            won, lost = earned.get(sources[n].name, (0.0, 0.0))
            rates.append(rng.betavariate(1 + won, 1 + lost) / costs.get(sources[n].name, costs[""]))
        return open_[max(range(len(rates)), key=rates.__getitem__)]

    asked: Counter[int] = Counter()
    for place in range(len(history.trials), len(history.trials) + room):
        owed = [n for n in open_ if asked[n] < left[n]]
        asked[owed[place % len(owed)] if owed and (place % 2 or not earned) else by_merit()] += 1
    return [(n, int(min(asked[n], _allowed(history, sources[n])))) for n in open_ if asked[n]]


def plateau(history: History, sources: Sequence[Source], patience: int) -> bool:
    """Whether the search stands still: of the last ``patience`` candidates to drop out or finish none took the lead,
    and there is no proposer that was not asked yet."""
    asked = {turn.origin for turn in history.turns}
    return history.since >= patience and all(source.name in asked for source in sources if source.share)


def saved(history: History, places: int) -> int:
    """About how many calls ``places`` further candidates would have taken, by what those tried took on average."""
    spent = sum(turn.calls for turn in history.turns) + sum(trial.cost.calls for trial in history.trials[1:])
    return round(places * spent / max(1, len(history.trials) - 1))


def _allowed(history: History, source: Source) -> float:
    """For how many candidates a source may still be asked: calls are made for twice its share at the most."""
    paid = sum(turn.wanted for turn in history.turns if turn.origin == source.name and turn.calls)
    return 2 * source.share - paid if paid or not source.share else math.inf


def _earned(history: History) -> dict[str, tuple[float, float]]:
    """By proposer, (successes, failures) of its candidates that have scores, faded."""
    estimates = history.estimates
    found: dict[str, tuple[float, float]] = {}
    best = history.trials[0]
    waiting: list[Trial] = []
    count = len(history.trials)
    for trial in history.trials[1:]:
        while waiting and waiting[0].born < trial.born:
            best = max(best, waiting.pop(0), key=lambda t: (estimates[t.number], -t.number))
        if trial.scores:
            waiting.append(trial)
            if count - trial.number <= SEEN:
                weight, won = FADE ** (count - 1 - trial.number), credit(trial, best)
                before = found.get(trial.origin, (0.0, 0.0))
                found[trial.origin] = (before[0] + weight * won, before[1] + weight * (1 - won))
    return found


def _costs(history: History) -> dict[str, float]:
    """By proposer, the calls that a candidate of its takes; under the empty name, of one not asked yet."""
    tried = max(1, len(history.trials) - 1)
    evaluating = sum(trial.cost.calls for trial in history.trials[1:]) / tried
    making = sum(turn.calls for turn in history.turns) / tried
    found = {"": max(1.0, evaluating + making)}
    for name in {turn.origin for turn in history.turns}:
        own = [turn for turn in history.turns if turn.origin == name]
        each = (sum(turn.calls for turn in own) + making) / (1 + sum(turn.brought for turn in own))
        found[name] = max(1.0, evaluating + each)
    return found
