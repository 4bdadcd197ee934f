"""Ensembles: candidates that are right on different examples, to vote together.

Chosen from what the search has met, by forward selection (Caruana, Niculescu-Mizil, Crew and Ksikes, "Ensemble
selection from libraries of models", ICML 2004), on the scores that are paid for. Two are added at a time, since among
an even number the first decides every tie. Scores stand for answers: programs of equal score are taken to agree, so of
right-or-wrong scores a vote is never put too high.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from random import Random

import numpy as np

from ...eval.statistics.values import Scores
from ..candidate import Candidate
from ..history import History, Trial, table
from ..portfolio import credit
from .base import fresh

NAME = "ensembles"
MOST = 5
"""Programs in a vote."""
LIBRARY = 12
"""Trials to choose from, those of the best estimates."""
SURE = 0.5
"""Credit over the leader (``portfolio.credit``) from which on a vote is proposed: the odds that it is better are three
to one, were it not chosen for its scores."""


@dataclass(frozen=True)
class VotingEnsembles:
    """Votes of three or five trials, the better ones first. It runs nothing."""

    @property
    def name(self) -> str:
        """``ensembles``."""
        return NAME

    def propose(self, history: History, rng: Random, n: int) -> Sequence[Candidate]:
        """Up to ``n`` votes that look better than the leader, the surest first; none where none does."""
        tried = [trial for trial in history.trials if trial.scores and not trial.candidate.others]
        values = history.estimates
        tried.sort(key=lambda trial: (-values[trial.number], trial.candidate.length, trial.number))
        library = tried[:LIBRARY]
        if len(library) < 3:
            return []
        scores, leader = table(library), history.leader()
        sets = {members for start in range(len(library)) for members in selected(scores, start)}
        sure = {members: credit(_as_trial(leader, scores, members), leader) for members in sets}
        found = sorted((members for members in sets if sure[members] >= SURE), key=lambda m: (-sure[m], len(m), m))
        return fresh(history, (_vote([library[index].candidate for index in members]) for members in found), n)


def selected(scores: Scores, start: int) -> list[tuple[int, ...]]:
    """The votes that forward selection passes through: rows of ``scores`` in their order, three and then five.

    Args:
        scores: ``(A, n)``, the better candidates first; nan where not met.
        start: the first that is chosen. It goes on while the mean rises, on the places that all have met.
    """
    members: tuple[int, ...] = (start,)
    found = []
    while len(members) < MOST:
        rest = [index for index in range(len(scores)) if index not in members]
        sets = [tuple(sorted((*members, *pair))) for pair in combinations(rest, 2)]
        if not sets:
            break
        best = max(sets, key=lambda one: (_gain(scores, one, members), [-index for index in one]))
        if _gain(scores, best, members) <= 0:
            break
        members = best
        found.append(members)
    return found


def voted(scores: Scores) -> Scores:
    """(n,): at every place the most frequent of (k, n) scores, of equals the first; nan where anybody's is missing."""
    agreeing = (scores[:, None, :] == scores[None, :, :]).sum(axis=1)
    found: Scores = scores[agreeing.argmax(axis=0), np.arange(scores.shape[1])]
    return np.where(np.isnan(scores).any(axis=0), np.nan, found)


def _gain(scores: Scores, members: tuple[int, ...], before: tuple[int, ...]) -> float:
    """By how much a vote is better than one with fewer, in score summed over the places that all have met."""
    apart = voted(scores[list(members)]) - voted(scores[list(before)])
    return float(np.nansum(apart))


def _as_trial(leader: Trial, scores: Scores, members: tuple[int, ...]) -> Trial:
    """A vote as if it had been tried."""
    row = voted(scores[list(members)])
    return replace(leader, scores={int(place): float(row[place]) for place in np.flatnonzero(~np.isnan(row))})


def _vote(members: Sequence[Candidate]) -> Candidate:
    first, *others = members
    return replace(first, others=tuple(replace(other, origins=()) for other in others)).made_from(*members)
