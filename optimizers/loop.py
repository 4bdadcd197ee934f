"""The compile loop: propose, evaluate a round, decide, until the budget or the ideas are used up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import dspy

from ..eval.evaluate import check_answers
from ..eval.runner import Job, Outcome, Runner
from ..programs.task import CompileView
from ..runtime.budget import Cost
from ..runtime.errors import BudgetExhausted
from ..runtime.lm import LM
from ..runtime.progress import Bar, Silent
from ..runtime.session import Session
from .candidate import Candidate
from .changed import changed
from .history import History, Trial
from .objective import SCORE, measured
from .plan import Plan
from .proposers import Ground
from .race import Race, decide, enter, weigh, winner, work
from .selection import Selection
from .shorter import settle
from .voting import voters

BUDGET = "the budget"
"""What ended a search that its budget ended; which call it was depends on timing, and is not told."""


@dataclass(frozen=True)
class Found:
    """What a search came to."""

    history: History
    best: Trial
    stopped: str | None
    """Why it ended before it was done (a budget), or ``None``."""
    ending: str = ""
    """Why it proposed no more, where it was not stopped."""
    shorter: str = ""
    """What came of shortening the winner."""
    uncalled: tuple[str, ...] = ()
    """Predictors that no evaluation with an answer ever called."""
    short: int = 0
    """Evaluations of a first round, if the budget did not reach for it."""
    changed: tuple[str, ...] = ()
    """What running the declared program changed in it."""


class Evaluations:
    """Runs candidates on dev rows in rounds that either count as a whole or not at all."""

    def __init__(self, task: CompileView, runner: Runner, session: Session) -> None:
        self._task, self._runner, self._session = task, runner, session
        self._programs: dict[str, dspy.Module] = {}
        self._names = tuple(name for name, _ in task.program.named_predictors())
        self._called: set[str] = set()
        self._answered = False

    def round(self, work: Sequence[tuple[Candidate, int]]) -> list[Outcome]:
        """Evaluate candidates on dev rows, in order.

        Raises:
            BudgetExhausted: if the round does not fit; whether it does depends on the calls alone, not on their order.
        """
        jobs = [Job(self._program(candidate), self._task.dev[row], row, "dev") for candidate, row in work]
        self._session.ledger.begin_round()
        outcomes = self._runner.run(jobs, trace=True)
        if not self._session.ledger.round_holds():
            raise BudgetExhausted(f"budget exhausted: no further round fits into {self._session.ledger.budget}")
        for job, outcome in zip(jobs, outcomes, strict=True):
            if outcome.prediction is not None:
                self._answered = True
                self._note(job.program, outcome)
        return outcomes

    @property
    def uncalled(self) -> tuple[str, ...]:
        """Predictors that no evaluation called, in the program's order; none as long as there was no answer."""
        return tuple(name for name in self._names if self._answered and name not in self._called)

    def changed(self, candidate: Candidate) -> tuple[str, ...]:
        """What running a candidate changed in its program."""
        ran = self._programs.get(candidate.digest)
        return () if ran is None else changed(candidate.apply(self._task.program), ran)

    def _note(self, program: dspy.Module, outcome: Outcome) -> None:
        """Remember whom a run called. A module that works on copies of itself (BestOfN) is known by its signatures."""
        if len(self._called) == len(self._names):
            return
        for name, own in (named for voter in voters(program) for named in voter.named_predictors()):
            if any(one is own or one.signature.equals(own.signature) for one, _, _ in outcome.trace):
                self._called.add(name)

    def _program(self, candidate: Candidate) -> dspy.Module:
        if candidate.digest not in self._programs:
            self._programs[candidate.digest] = candidate.apply(self._task.program)
        return self._programs[candidate.digest]


def search(
    task: CompileView,
    race: Race,
    runner: Runner,
    session: Session,
    *,
    prompt_lm: LM,
    objectives: tuple[str, ...] = (SCORE,),
    seed: int = 0,
    bar: Bar | None = None,
    told: Callable[[History], None] | None = None,
) -> Found:
    """The best candidate by the rows that choose; a function of its arguments and the journal alone.

    Args:
        told: of the history before and after every round.

    Raises:
        BadInput: if not one candidate brings a readable answer in the first round.
        Stop: what ended it, but for a budget, which yields the best so far.
    """
    rows = Selection.of(task.dev, race.confirm, seed).choose
    ground = Ground(task.program, task.train, runner, prompt_lm, seed, task.knobs)
    history = History(objectives=objectives, coming=True).add([(ground.baseline, "declared", ())], 0)
    evaluations, plan, last = Evaluations(task, runner, session), Plan.of(ground, race), [*Plan.last(ground, race)]
    number, ending, tell = 0, "", told or (lambda history: None)
    try:
        while True:
            history = plan.fill(history, session, seed, number)
            todo = work(history, race, len(rows))
            while not todo and last:  # the race is decided
                ending = ending or plan.ending(history)
                plan = last.pop(0)
                history = plan.fill(history, session, seed, number)
                todo = work(history, race, len(rows))
            if not todo:
                break
            history = replace(history, coming=history.coming and plan.coming(history))
            tell(history)
            outcomes = evaluations.round([(history.trials[t].candidate, rows[place]) for t, place in todo])
            if number == 0:
                check_answers("the program", [outcome.row for outcome in outcomes])
            found = [outcome.row for outcome in outcomes]
            others = [measured(row, objectives) for row in found] if len(objectives) > 1 else None
            history = _paid(enter(history, todo, [row.score for row in found], others), todo, outcomes)
            history = decide(history, race, len(rows), seed)
            tell(history)
            number += 1
            ahead = 0 if plan.still(history) else plan.left(history)
            _show(bar or Silent(), history, session, len(todo), ahead=ahead * len(rows), rows=len(rows))
        ended = _end(history, race, None, ending)
    except BudgetExhausted:
        short = len(work(history, race, len(rows))) if number == 0 else 0
        ended = replace(_end(history, race, BUDGET, ""), short=short)
    return replace(ended, uncalled=evaluations.uncalled, changed=evaluations.changed(ground.baseline))


def _paid(history: History, todo: Sequence[tuple[int, int]], outcomes: Sequence[Outcome]) -> History:
    """The history with what a round's evaluations cost."""
    costs: dict[int, Cost] = {}
    for (number, _), outcome in zip(todo, outcomes, strict=True):
        row = outcome.row
        cost = Cost(row.calls, row.tokens_in + row.tokens_out, round(row.usd * 10**12))
        costs[number] = costs.get(number, history.trials[number].cost) + cost
    return history.update(replace(history.trials[number], cost=cost) for number, cost in costs.items())


def _end(history: History, race: Race, stopped: str | None, ending: str) -> Found:
    best, said = settle(history, race) if len(history.objectives) == 1 else (winner(history), "")
    why = said if best.number != history.leader().number else best.why
    history = weigh(history.change(best.number, decision="winner", why=why), race)
    return Found(history, best, stopped, ending, said)


def _show(bar: Bar, history: History, session: Session, done: int, *, ahead: int, rows: int) -> None:
    """Evaluations done of those that there may be at most; the most shrinks with every candidate that is dropped."""
    leader = history.leader()
    met = sum(trial.met for trial in history.trials)
    bar.total(met + sum(rows - trial.met for trial in history.live) + ahead)
    bar.advance(done)
    best = f"best {100 * leader.mean:.1f} (trial {leader.number} of {len(history.trials)})"
    bar.note(f"{best}; {session.ledger.status}")
