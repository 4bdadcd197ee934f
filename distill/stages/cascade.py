"""Cascade: a student that may not ship alone answers what it is sure of; the threshold keeps a promise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ...runtime.errors import BadInput, BudgetExhausted
from ..conformal import NOBODY, Promise, Threshold, calibrate
from ..settings import check_settings
from ..state import DistillState, Gated
from ..students import keeps_prompt, student_engine
from .gate import LEAST, Trials, unreached


@dataclass(frozen=True)
class Cascade:
    """For every student that the gate held back (for all, without a gate), a threshold calibrated on dev.

    Above it the student's answer stands, below it the teacher is asked. What counts as harm is what an example's score
    loses by the student's answer; where the student does better than its teacher nothing is made up. See ``conformal``
    for what is promised.
    """

    harm: float = 0.01
    """What the program may lose per example, in score; students of one program share it."""
    promise: Promise = "likely"
    """``likely``: kept over as many further examples as dev has, at ``level``; ``mean``: kept on average."""
    level: float = 0.975
    """The confidence of ``likely``."""

    def __post_init__(self) -> None:
        check_settings(self)
        if not 0 < self.harm < 1 or not 0 < self.level < 1:
            raise BadInput(f"Cascade(harm={self.harm}, level={self.level}): expected both between 0 and 1")

    @property
    def name(self) -> str:
        """``cascade``."""
        return "cascade"

    def run(self, state: DistillState) -> DistillState:
        """The state with a threshold for every such student whose surest answers keep the promise."""
        open_ones = [name for name in state.students if name not in state.gates or not state.gates[name].shipped]
        gates, notes, dev, stopped = dict(state.gates), [], {}, state.stopped
        try:
            for name in open_ones:
                found, n, met = self._threshold(state, name, self.harm / len(open_ones))
                gates[name] = self._verdict(found, n, met, self.harm / len(open_ones), state.gates.get(name))
                notes.append(f"{name}: {gates[name].why}")
                dev[f"share that {name} answers itself"] = found.kept
        except BudgetExhausted:
            stopped = f"the budget of {state.session.ledger.budget} ended it before a threshold was calibrated"
        return state.with_effect(self.name, state.rows, *notes, dev=dev, gates=gates, stopped=stopped)

    def _threshold(self, state: DistillState, name: str, harm: float) -> tuple[Threshold, int, int]:
        """The threshold, of how many examples, and how many of them called the predictor."""
        if keeps_prompt(state.students[name]):
            raise BadInput(
                f"the student of {name} has no prompt of its own (style = 'program'), and a cascade needs one: "
                "expected style = 'chat', 'inputs' or 'bare'"
            )
        trials = Trials(state)
        shipped = tuple(other for other in state.students if other in state.gates and state.gates[other].shipped)
        theirs, ours = trials.outcomes(shipped), trials.outcomes((*shipped, name))
        engine: Any = student_engine(state.students[name])
        sure, losses, asked_on = [], [], []
        for teacher, student in zip(theirs, ours, strict=True):
            if teacher.row.score is None or student.row.score is None:
                continue
            asked = trials.inputs_of(student, name)
            # An example that never called it loses nothing by it, whatever the threshold.
            sure.append(min((engine.confidence(inputs) for inputs in asked), default=1.0))
            asked_on.append(bool(asked) or trials.reached(name, (teacher, student)))
            losses.append(max(0.0, teacher.row.score - student.row.score))
        engine.close()
        if not sure:
            raise BadInput("no dev example was scored for both teacher and student: no threshold can be calibrated")
        met = sum(asked_on)
        if met < LEAST:
            return Threshold(NOBODY, 0.0, 0.0, 0.0), len(sure), met
        found = calibrate(sure, losses, harm, promise=self.promise, level=self.level)
        own = sum(called and one >= found.value for called, one in zip(asked_on, sure, strict=True))
        return replace(found, kept=own / met), len(sure), met

    def _verdict(self, found: Threshold, n: int, met: int, harm: float, before: Gated | None) -> Gated:
        promised = f"{100 * harm:.1f} points" + (
            f" at {100 * self.level:g} %" if self.promise == "likely" else " on average"
        )
        if found.kept == 0:
            why = f"no part of its answers keeps a promise of {promised} on {n} examples"
            if met < LEAST:
                why = unreached(met, n)
            if before is None:
                return Gated(False, why, reached=met)
            return before if before.why == why else replace(before, why=f"{before.why}; {why}")
        why = (
            f"answers {100 * found.kept:.0f} % itself, from a confidence of {found.value:.3f}, and asks the teacher "
            f"for the rest; loses at most {promised} (conformal, {n} examples)"
        )
        return replace(before or Gated(True, why), shipped=True, why=why, threshold=found.value, reached=met)
