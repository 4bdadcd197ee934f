"""The race: where evaluations go. Pure functions of the history; who is ahead, who drops out, who is evaluated next.

All candidates meet the same examples in the same order, a block at a time. A candidate drops out when evidence that
may be looked at at any time says that the leader is better, or when it stands last and others want its place.
Dropping decides only where evaluations go: what is claimed of the winner rests on examples kept apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..runtime.errors import BadInput
from .evidence import is_ahead
from .history import History, Trial


@dataclass(frozen=True)
class Race:
    """How a search is run."""

    candidates: int = 24
    """Most candidates to try, the declared program included."""
    width: int = 8
    """Candidates under evaluation at a time."""
    block: int = 16
    """Examples per candidate and round."""
    drop_at: float = 0.2
    """Level of the anytime-valid test that drops a candidate; it trades evaluations for the risk of losing one."""
    confirm: float = 0.3
    """Share of the dev split that selection never sees; the winner's gain is measured there."""
    demos: int = 4
    """Most demonstrations in a prompt, for each predictor."""
    pool: int = 48
    """Training examples that a teacher runs on for bootstrapped demonstrations."""
    instructions: int = 6
    """Instructions to ask the prompt model for, for each predictor; 0 searches demonstrations alone."""
    patience: int = 6
    """Rounds without a new leader after which no more candidates are proposed."""

    def __post_init__(self) -> None:
        for name in ("candidates", "width", "block", "pool", "patience"):
            if getattr(self, name) < 1:
                raise BadInput(f"Race({name}={getattr(self, name)}): expected at least 1")
        for name in ("drop_at", "confirm"):
            if not 0 < getattr(self, name) < 1:
                raise BadInput(f"Race({name}={getattr(self, name)}): expected a number between 0 and 1")
        for name in ("demos", "instructions"):
            if getattr(self, name) < 0:
                raise BadInput(f"Race({name}={getattr(self, name)}): expected 0 or more")


def work(history: History, race: Race, rows: int) -> list[tuple[int, int]]:
    """The next round: (trial, place in the order) for every evaluation, candidates in order."""
    return [
        (trial.number, place) for trial in history.live for place in range(trial.met, min(rows, trial.met + race.block))
    ]


def decide(history: History, race: Race, rows: int, *, more: bool) -> History:
    """The history after a round's scores are in: who has finished, and who drops out.

    Args:
        rows: examples in the order.
        more: whether further candidates want a place.
    """
    leader = history.leader()
    for trial in history.live:
        if trial.met >= rows:
            history = history.change(trial.number, decision="finished", why=f"met all {rows} examples")
    dropped = False
    for trial in history.live:
        if trial.number in (0, leader.number):
            continue
        common = [place for place in trial.scores if place in leader.scores]
        if common and is_ahead([leader.scores[p] for p in common], [trial.scores[p] for p in common], race.drop_at):
            behind = leader.mean - trial.mean
            why = f"{100 * behind:.1f} points behind trial {leader.number} after {len(common)} examples"
            history, dropped = history.change(trial.number, decision="dropped", why=why), True
    if more and not dropped and len(history.live) >= race.width:
        last = min(
            (t for t in history.live if t.number not in (0, leader.number)),
            key=lambda t: (history.estimate(t), -t.candidate.length, -t.number),
            default=None,
        )
        if last is not None:
            why = f"last of {len(history.live)} under evaluation after {last.met} examples"
            history = history.change(last.number, decision="dropped", why=why)
    return history


def winner(history: History, rows: int) -> Trial:
    """The best trial among those that met all examples; the leader's estimate decides if none has."""
    whole = [trial for trial in history.standing if trial.met >= rows]
    if not whole:
        return history.leader()
    return min(whole, key=lambda trial: (-trial.mean, trial.candidate.length, trial.number))
