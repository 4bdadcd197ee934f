"""Confirmation: what was chosen, measured on dev rows that had no part in choosing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..eval.compare import Comparison, compare_scores
from ..eval.rows import Row
from ..eval.runner import Runner
from ..programs.task import CompileView
from ..runtime.errors import BudgetExhausted
from ..runtime.progress import Bar
from ..runtime.session import Session
from .candidate import Candidate
from .history import Trial
from .loop import Evaluations
from .race import Race
from .selection import Selection


@dataclass(frozen=True)
class Confirmed:
    """What the rows kept apart from selection said of a candidate."""

    gain: Comparison | None = None
    """Over the declared program; ``None`` where there were no rows, or no budget."""
    spread: float | None = None
    """Mean square of the paired differences."""
    won: tuple[str, ...] = ()
    """Ids of the rows on which the candidate did better than the declared program."""
    lost: tuple[str, ...] = ()
    """And worse."""
    rows: tuple[Row, ...] = ()
    """Its own rows."""
    lacking: str = ""
    """Why there is no gain, where one was to be measured."""


def confirm(
    task: CompileView,
    race: Race,
    runner: Runner,
    session: Session,
    candidates: Sequence[Candidate],
    *,
    seed: int = 0,
    level: float = 0.95,
    bar: Bar | None = None,
) -> list[Confirmed]:
    """The gain of each candidate over the declared program on rows that had no part in choosing it, in order.

    On fewer rows where the budget does not reach for all; nothing if it reaches for none, or there are none.

    Args:
        level: of each gain's interval.
    """
    rows = Selection.of(task.dev, race.confirm, seed).confirm
    versions = [*candidates, Candidate.of(task.program, task.knobs)]
    evaluations = Evaluations(task, runner, session)
    met: list[list[Row]] = [[] for _ in versions]
    for start in range(0, len(rows), race.block):
        part = rows[start : start + race.block]
        try:
            outcomes = evaluations.round([(version, row) for version in versions for row in part])
        except BudgetExhausted:
            break
        for index, own in enumerate(met):
            own += [outcome.row for outcome in outcomes[index * len(part) : (index + 1) * len(part)]]
        if bar is not None:
            bar.advance(len(outcomes))
            bar.note(f"confirming the gain; {session.ledger.status}")
    *own_rows, declared = met
    found = [confirmed(own, declared, level=level, seed=seed) for own in own_rows]
    block, whole = (len(versions) * count for count in (min(race.block, len(rows)), len(rows)))
    why = (
        "no dev rows were left to confirm it" if not rows
        else f"confirming it takes {whole:,} evaluations, and the budget did not reach for the first {block}"
        if not declared
        else f"not one of the {len(declared)} dev rows kept apart could be scored for it and the declared program"
    )  # fmt: skip
    return [said if said.gain is not None else replace(said, lacking=why) for said in found]


def no_better(trial: Trial, declared: Trial, said: Confirmed) -> bool:
    """Whether a race's trial gained nothing over the declared program: on the rows kept apart, or, where it was not
    measured on them, on those that choose."""
    if said.gain is not None:
        return said.gain.difference.value <= 0
    shared = trial.scores.keys() & declared.scores.keys()
    return sum(trial.scores[place] - declared.scores[place] for place in shared) <= 0


def confirmed(own: Sequence[Row], declared: Sequence[Row], *, level: float = 0.95, seed: int = 0) -> Confirmed:
    """What the same rows say of two programs, by those that were scored for both."""
    pairs = zip(own, declared, strict=True)
    scored = [(a.score, b.score, a.id) for a, b in pairs if a.score is not None and b.score is not None]
    if not scored:
        return Confirmed(rows=tuple(own))
    return Confirmed(
        compare_scores([a for a, _, _ in scored], [b for _, b, _ in scored], level=level, seed=seed),
        sum((a - b) ** 2 for a, b, _ in scored) / len(scored),
        tuple(name for a, b, name in scored if a > b),
        tuple(name for a, b, name in scored if a < b),
        tuple(own),
    )
