"""What a verdict adds in words: what kept a search from telling anything apart, and what else there is to know."""

from __future__ import annotations

from .candidate import Candidate
from .config import Optimizer
from .history import History, Trial
from .loop import Found
from .race import Race

WRITERS = ("instructions", "reflected")
"""Proposers whose candidates a model writes."""
UNSCORED = 0.05
"""Share of the evaluations from which on a verdict says that they could not be scored."""


def remarks(found: Found, chosen: Optimizer) -> tuple[str, ...]:
    """What kept a search from telling anything apart, if something did, and what else there is to know of it."""
    if not isinstance(chosen, Race):
        return ()
    history, said = found.history, []
    scores = [score for trial in history.trials for score in trial.scores.values()]
    met = sum(trial.met for trial in history.trials)
    if len(history.trials) == 1 and chosen.candidates > 1:
        said.append("no proposer brought a candidate")
    elif len(scores) > chosen.block and min(scores) == max(scores):
        said.append(f"every one of {len(scores):,} scores was {scores[0]:g}, so the metric tells nothing apart")
    elif found.ending.startswith("a plateau"):
        said.append(f"the search ended at {found.ending}")
    turns = [turn for turn in history.turns if turn.origin in WRITERS]
    if turns and not any(turn.brought for turn in turns):
        said.append(f"no instruction was written, asked {len(turns)} times: the model failed or said nothing new")
    if found.short:
        said.append(f"the budget did not reach for the {found.short:,} evaluations of a first round")
    if found.shorter:
        said.append(found.shorter)
    if found.uncalled:
        several = "predictors {} were" if len(found.uncalled) > 1 else "predictor {} was"
        said.append(f"{several.format(', '.join(found.uncalled))} never called, so what is told there changes nothing")
    if found.changed:
        what = f"running the program changes it ({', '.join(found.changed)})"
        said.append(f"{what}, so its answers may depend on the order in which examples are met")
    if met - len(scores) >= UNSCORED * met > 0:
        said.append(f"{met - len(scores):,} of {met:,} evaluations could not be scored and count for nothing")
    return tuple(said)


def price(history: History, trial: Trial, best: Candidate) -> tuple[str, ...]:
    """What a vote costs, if the result is one: calls for an answer, by what its evaluations took."""
    if not best.others or best != trial.candidate:
        return ()
    ours, declared = (t.cost.calls / max(1, t.met) for t in (history.trials[trial.number], history.trials[0]))
    told = f"it is a vote of {1 + len(best.others)} programs, which takes {ours:.3g} calls an answer"
    return (f"{told}, and the declared program {declared:.3g}",)
