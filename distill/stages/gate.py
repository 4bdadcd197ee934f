"""Gate: a student ships, predictor by predictor, only where the program is not inferior with it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from ...eval.compare import NonInferiority, non_inferior
from ...eval.runner import Outcome
from ...eval.statistics.power import examples_needed
from ...runtime.errors import BadInput, BudgetExhausted, StudentFailed
from ..state import DistillState, Gated
from .trials import Trials

LEVEL, PLANNED = 0.95, 0.9
"""The one-sided level of the test, and the power that further examples are planned for."""

LEAST = math.ceil(math.log(1 - LEVEL) / math.log(0.5))
"""Dev examples that must reach a predictor: with fewer not even a student that is wrong every second time would be
noticed at the test's level."""


@dataclass(frozen=True)
class Gate:
    """Scores the program on dev with each student in its place, and with all that pass together.

    A student passes if the one-sided 95 % bound of what is lost against the teacher, example by example, lies within
    the state's margin. If those that pass are together inferior, the one that loses most is held back, and so on. A
    student that fewer than ``LEAST`` dev examples reach is held back: whatever it says, the score hardly tells.
    """

    @property
    def name(self) -> str:
        """``gate``."""
        return "gate"

    def run(self, state: DistillState) -> DistillState:
        """The state with a verdict for every student; where the budget does not reach for it, none ships."""
        dev: dict[str, float] = {}
        try:
            gates, dev = self._gates(state)
            stopped = state.stopped
        except BudgetExhausted:
            stopped = f"the budget of {state.session.ledger.budget} ended it before students and teacher were compared"
            gates = {name: Gated(False, stopped) for name in state.students}
        notes = [f"{name}: {'shipped' if gate.shipped else 'held back'}, {gate.why}" for name, gate in gates.items()]
        return state.with_effect(self.name, state.rows, *notes, dev=dev, gates=gates, stopped=stopped)

    def _gates(self, state: DistillState) -> tuple[dict[str, Gated], dict[str, float]]:
        """The verdicts, and mean scores on dev: of the teacher, with each student, with all that ship."""
        trials = Trials(state)
        without = trials.outcomes(())
        runs = {name: trials.outcomes((name,)) for name in state.students}
        met = {name: sum(trials.reached(name, pair) for pair in zip(without, runs[name], strict=True)) for name in runs}
        crashed = {name: failures(outcomes) for name, outcomes in runs.items()}
        teacher, alone = scores_of(without), {name: scores_of(outcomes) for name, outcomes in runs.items()}
        verdicts = {name: self._judge(scores, teacher, state) for name, scores in alone.items()}
        dev = {"teacher": _mean(teacher), **{f"with {name}": _mean(scores) for name, scores in alone.items()}}
        held = {name: unreached(count, len(without)) for name, count in met.items() if count < LEAST}
        passing = [name for name, verdict in verdicts.items() if verdict.accepted and name not in held]
        while len(passing) > 1:
            scores = scores_of(trials.outcomes(tuple(passing)))
            together = self._judge(scores, teacher, state)
            if together.accepted:
                dev["with all that ship"] = _mean(scores)
                break
            worst = min(passing, key=lambda name: verdicts[name].difference.value)
            passing.remove(worst)
            held[worst] = f"passes alone, but together with {', '.join(passing)} the program loses: {together}"
        return {
            name: Gated(
                name in passing, held.get(name, str(verdict)) + crashed[name], verdict.difference.dump(),
                power_of(verdict), reached=met[name],
            )
            for name, verdict in verdicts.items()
        }, dev  # fmt: skip

    def _judge(
        self, ours: Sequence[float | None], theirs: Sequence[float | None], state: DistillState
    ) -> NonInferiority:
        pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
        if not pairs:
            raise BadInput(
                "no dev example was scored for both teacher and student: the margin cannot be checked; expected dev "
                "examples with labels, that the metric scores"
            )
        return judged([a for a, _ in pairs], [b for _, b in pairs], margin=state.margin)


def unreached(count: int, n: int) -> str:
    """Why a student that so few of the dev examples reach does not ship."""
    if count == 0:
        return f"no dev example reached it: of its answers nothing is known (of {n} examples)"
    return f"only {count} of {n} dev examples reached it: that is too few to tell anything, expected {LEAST} or more"


def failures(outcomes: Sequence[Outcome]) -> str:
    """What is said of examples that a student crashed on, each of which counts as 0; empty where there are none."""
    said = [o.row.failure.message for o in outcomes if o.row.failure and o.row.failure.type == StudentFailed.__name__]
    return f"; {len(said)} of {len(outcomes)} examples count as 0: {said[0]}" if said else ""


def judged(ours: Sequence[float], theirs: Sequence[float], *, margin: float) -> NonInferiority:
    """The test of non-inferiority, and the examples at which nine of ten students that lose nothing would pass it.

    They are planned for nine of ten, not for the four that are asked of them, since the share of disagreements that
    they are planned by is itself an estimate. Where the two never disagree it is the number that would be accepted if
    they went on like this.
    """
    found = non_inferior(ours, theirs, margin=margin)
    needed = examples_needed(_spread(ours, theirs), margin, power=PLANNED)
    return replace(found, needed=_unanimous(ours, theirs, margin) if needed is None else needed)


def _unanimous(ours: Sequence[float], theirs: Sequence[float], margin: float) -> int:
    """The least number of examples that is accepted where the two never disagree, by scores of the same kind."""

    def accepted(n: int) -> bool:
        return non_inferior(np.resize(ours, n).tolist(), np.resize(theirs, n).tolist(), margin=margin).accepted

    most = 1
    while not accepted(most):
        most *= 2
    return 1 + bisect_left(range(1, most), True, key=accepted)


def power_of(verdict: NonInferiority) -> dict[str, float]:
    """With how many examples it was tested, how many are needed, and the power that there was: the chance that a
    student with as many disagreements, but truly no loss, would have shipped."""
    assert verdict.needed is not None, "judged says it"
    found = {"n": float(verdict.n), "margin": verdict.margin, "needed": float(verdict.needed)}
    # examples_needed solves (z / margin)^2 (spread + 2 / n) = n; the spread that was planned with follows from it.
    normal = NormalDist()
    planned = normal.inv_cdf(LEVEL) + normal.inv_cdf(PLANNED)
    spread = max(0.0, verdict.needed * (verdict.margin / planned) ** 2 - 2 / verdict.needed)
    if spread == 0:  # nobody disagrees: such a student ships with so many examples, or never
        return {**found, "power": float(verdict.accepted)}
    reach = verdict.margin * math.sqrt(verdict.n / (spread + 2 / verdict.n)) - normal.inv_cdf(LEVEL)
    return {**found, "power": round(normal.cdf(reach), 4)}


def scores_of(outcomes: Iterable[Outcome]) -> list[float | None]:
    """The score of every example; ``None`` where it has none."""
    return [outcome.row.score for outcome in outcomes]


def _mean(scores: Sequence[float | None]) -> float:
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else 0.0


def _spread(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return sum((a - b) ** 2 for a, b in zip(ours, theirs, strict=True)) / len(ours)
