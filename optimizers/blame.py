"""Which predictor of a program its losses are to be blamed on: contrasts between candidates that differ in it alone.

After CANTANTE's contrastive credit attribution (Zehle, "CANTANTE: Optimizing agentic systems via contrastive credit
attribution", 2605.13295), which contrasts rollouts of several joint configurations on one query and has a language
model attribute the credit. Here no model is asked: of two candidates that differ in what one predictor is told, and in
nothing else, any example on which they score differently is that predictor's doing. The predictor to mend first is the
one through which most of what was lost comes back. It is drawn by Thompson sampling, so one of which nothing is known
yet is tried too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from .history import History, Trial


@dataclass(frozen=True)
class Blame:
    """What contrasts say of one predictor, in examples: each counts once, however many contrasts met it."""

    lost: float
    """Score that was missing on the examples met, before."""
    regained: float
    """And what of it came back when this predictor alone was told something else."""

    @property
    def share(self) -> float:
        """Of what was lost, what came back; 0 where nothing was contrasted."""
        return self.regained / self.lost if self.lost else 0.0


def blame(history: History) -> dict[str, Blame]:
    """By predictor, in the program's order, what the contrasts say.

    Trials that are alike in all but one predictor are contrasted with the one of them that met most examples, in both
    directions.
    """
    names = list(history.trials[0].candidate.predictors) if history.trials else []
    return {name: _sum([_contrast(one, other) for one, other in _pairs(history, name)]) for name in names}


def to_mend(history: History, names: Sequence[str], rng: Random, n: int) -> list[str]:
    """The predictors to tell something else next, ``n`` of them; the same one may come again.

    Args:
        names: those to choose from.
    """
    if len(names) == 1:
        return [names[0]] * n
    known = blame(history)
    found = []
    for _ in range(n):
        drawn = {}
        for name in names:
            seen = known.get(name, Blame(0.0, 0.0))
            drawn[name] = rng.betavariate(1 + seen.regained, 1 + seen.lost - seen.regained)
        found.append(max(names, key=drawn.__getitem__))
    return found


Places = dict[int, list[tuple[float, float]]]
"""By place, (lost, regained) of every contrast there."""


def _pairs(history: History, name: str) -> list[tuple[Trial, Trial]]:
    """Trials that differ from another in one predictor alone, each with the one of its kind that met most."""
    kinds: dict[object, list[Trial]] = {}
    for trial in history.trials:
        if trial.scores and not trial.candidate.others:
            marks = trial.candidate.marks
            rest = tuple(mark for other, mark in marks.items() if other != name)
            kinds.setdefault((rest, tuple(sorted(trial.candidate.knobs.items()))), []).append(trial)
    found = []
    for alike in kinds.values():
        first = max(alike, key=lambda trial: (len(trial.scores), -trial.number))
        found += [(first, trial) for trial in alike if trial is not first]
    return found


def _contrast(one: Trial, other: Trial) -> Places:
    places: Places = {}
    for place in one.scores.keys() & other.scores.keys():
        a, b = one.scores[place], other.scores[place]
        places[place] = [(1 - a, max(0.0, b - a)), (1 - b, max(0.0, a - b))]
    return places


def _sum(contrasts: Sequence[Places]) -> Blame:
    """The mean at every place, summed over the places."""
    together: Places = {}
    for places in contrasts:
        for place, seen in places.items():
            together.setdefault(place, []).extend(seen)
    lost = regained = 0.0
    for place in sorted(together):
        seen = together[place]
        lost += sum(a for a, _ in seen) / len(seen)
        regained += sum(b for _, b in seen) / len(seen)
    return Blame(lost, regained)
