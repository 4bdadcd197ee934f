"""Whether a shorter prompt takes the place of the best: only if it is shown to lose less than a margin.

Of equal means the shorter prompt leads anyway (``race``). One that scores less is preferred if the one-sided bound of
its loss, on the examples that both have met, lies within ``Race.margin``; the level is shared by all shortened versions
(Bonferroni), so that with probability 95 % none that loses more is taken for any of them. The best one was chosen for
its score on the same examples, which makes it look better than it is and a shorter one seem to lose more: the rule errs
on the side of the longer prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..eval.compare import NonInferiority, non_inferior
from .history import History, Trial
from .proposers.shortened import NAME

if TYPE_CHECKING:
    from .race import Race

WRONG = 0.05
"""Chance that any shortened version which loses the margin or more is taken to lose less."""


def settle(history: History, race: Race) -> tuple[Trial, str]:
    """Who wins, and what is said of it: of the shortened versions that are not inferior the shortest, or the leader."""
    best = history.leader()
    tried = [(t, found) for t in history.trials if (found := against(t, best, race)) is not None]
    shown = [(trial, found) for trial, found in tried if found.accepted]
    if not shown:
        least = min((-found.difference.low for _, found in tried), default=None)
        if least is None:
            return best, ""
        return best, (
            f"no shorter version was shown to lose less than {100 * race.margin:g} points "
            f"(the surest one loses at most {100 * least:.1f})"
        )
    trial, found = min(shown, key=lambda pair: (pair[0].candidate.length, pair[0].number))
    less = 1 - trial.candidate.length / best.candidate.length
    bound = max(0.0, -100 * found.difference.low)
    return trial, (
        f"trial {trial.number} is {100 * less:.0f} % shorter than trial {best.number}, and shown to lose at most "
        f"{bound:.1f} points against it on {found.n} examples, margin {100 * race.margin:g}"
    )


def against(trial: Trial, best: Trial, race: Race) -> NonInferiority | None:
    """A shortened version against a longer leader, on the examples that both have met; ``None`` for any other."""
    if trial.origin != NAME or trial.candidate.length >= best.candidate.length:
        return None
    shared = sorted(trial.scores.keys() & best.scores.keys())
    if not shared:
        return None
    ours, theirs = ([t.scores[place] for place in shared] for t in (trial, best))
    return non_inferior(ours, theirs, margin=race.margin, level=1 - WRONG / max(1, race.shorter))


def open_(trial: Trial, best: Trial, race: Race) -> bool:
    """Whether a trial is a shortened version that may still turn out not to be inferior: it is not dropped."""
    found = against(trial, best, race)
    return found is not None and found.difference.high > -race.margin
