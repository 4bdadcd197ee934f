"""Crossover: two candidates that win on different examples, merged part by part.

After GEPA's system-aware merge (Agrawal et al., 2507.19457, appendix on merge): of every predictor take what either
parent changed since their common ancestor. A part here is a predictor's instruction, its demonstrations, or the knobs,
so that programs of one predictor can be merged too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random
from typing import TypeVar

from ..candidate import Candidate, PredictorState
from ..history import History, Trial
from .front import front

T = TypeVar("T")


@dataclass(frozen=True)
class MergedWinners:
    """Children of pairs from the front, the pair first that has most to gain from each other. It runs nothing."""

    @property
    def name(self) -> str:
        """``merged``."""
        return "merged"

    def propose(self, history: History, rng: Random, n: int) -> Sequence[Candidate]:
        """Up to ``n`` children; none where nobody wins where another loses, or all children are known."""
        winners = [history.trials[number] for number in front(history)]
        pairs = [(gain, a, b) for a, b in combinations(winners, 2) if (gain := complement(a, b)) > 0]
        pairs.sort(key=lambda found: (-found[0], found[1].number, found[2].number))
        made: list[Candidate] = []
        for _, one, other in pairs:
            better, worse = sorted((one, other), key=lambda t: (-history.estimate(t), t.candidate.length, t.number))
            ancestor = history.trials[common_ancestor(history, one, other)]
            # Where both changed a part, GEPA takes the better parent's; if that child is known, chance decides.
            for chance in (None, rng):
                child = merge(better.candidate, worse.candidate, ancestor.candidate, chance)
                if child not in made and not history.has(child):
                    made.append(child.made_from(one.candidate, other.candidate))
                    break
            if len(made) == n:
                break
        return made


def complement(one: Trial, other: Trial) -> float:
    """By how much the better of two, chosen example by example, would beat either, on the places that both met."""
    shared = one.scores.keys() & other.scores.keys()
    if not shared:
        return 0.0
    ours, theirs = (sum(t.scores[place] for place in shared) for t in (one, other))
    return (sum(max(one.scores[p], other.scores[p]) for p in shared) - max(ours, theirs)) / len(shared)


def common_ancestor(history: History, one: Trial, other: Trial) -> int:
    """The latest trial that both come from, or one of the two if the other comes from it; 0 at the last."""
    return max(_line(history, one.number) & _line(history, other.number), default=0)


def _line(history: History, number: int) -> set[int]:
    """A trial and all that it comes from, the declared program among them."""
    found, open_ = {0}, [number]
    while open_:
        at = open_.pop()
        if at not in found:
            found.add(at)
            open_ += history.trials[at].parents
    return found


def merge(better: Candidate, worse: Candidate, ancestor: Candidate, chance: Random | None = None) -> Candidate:
    """Of every part the parent's that changed it since the ancestor.

    Where both did, the better one's, or, with a stream of chance, either's.
    """

    def pick(ours: T, theirs: T, before: T) -> T:
        if ours == theirs or theirs == before:
            return ours
        if ours == before:
            return theirs
        return ours if chance is None or chance.random() < 0.5 else theirs

    return Candidate(
        {
            name: PredictorState(
                pick(state.instructions, worse.predictors[name].instructions, ancestor.predictors[name].instructions),
                *pick(state.shown, worse.predictors[name].shown, ancestor.predictors[name].shown),
            )
            for name, state in better.predictors.items()
        },
        knobs=pick(better.knobs, worse.knobs, ancestor.knobs),
    )
