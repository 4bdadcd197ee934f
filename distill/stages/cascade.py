"""Cascade: a student that may not ship alone answers what it is sure of; the threshold keeps a promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from dspy import lm15

from ...runtime.errors import BadInput, BudgetExhausted, StudentFailed
from ..conformal import NOBODY, Promise, Threshold, calibrate
from ..settings import check_settings
from ..state import DistillState, Gated
from ..students import keeps_prompt, student_engine
from .gate import LEAST, unreached
from .trials import Asked, Trials


@dataclass(frozen=True)
class Cascade:
    """For every student that the gate held back (for all, without a gate), a threshold calibrated on dev.

    Above it the student's answer stands, below it the teacher is asked. What counts as harm is what an example's score
    loses by the student's answer; where the student does better than its teacher nothing is made up. See ``conformal``
    for what is promised.

    Where an example has several calls of students with thresholds, some answers may stand and others not, and what
    comes of every mixture is not known. There an answer that differs from the one it takes the place of counts as the
    loss of the whole example, which is never less than what is lost; so the promises of several students add up to the
    program's.
    """

    harm: float = 0.01
    """What the program may lose per example, in score; students of one program share it, and the level's doubt."""
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
        one = replace(
            self, harm=self.harm / max(1, len(open_ones)), level=1 - (1 - self.level) / max(1, len(open_ones))
        )
        try:
            for name in open_ones:
                found, n, met = one._threshold(state, name, open_ones)
                gates[name] = one._verdict(found, n, met, state.gates.get(name))
                notes.append(f"{name}: {gates[name].why}")
                dev[f"share that {name} answers itself"] = found.kept
        except BudgetExhausted:
            stopped = f"the budget of {state.session.ledger.budget} ended it before a threshold was calibrated"
        return state.with_effect(self.name, state.rows, *notes, dev=dev, gates=gates, stopped=stopped)

    def _threshold(self, state: DistillState, name: str, open_ones: Sequence[str]) -> tuple[Threshold, int, int]:
        """The threshold, of how many examples, and how many of them called the predictor.

        Args:
            open_ones: all students that get a threshold.
        """
        if keeps_prompt(state.students[name]):
            raise BadInput(
                f"the student of {name} has no prompt of its own (style = 'program'), and a cascade needs one: "
                "expected style = 'chat', 'inputs' or 'bare'"
            )
        trials = Trials(state)
        shipped = tuple(other for other in state.students if other in state.gates and state.gates[other].shipped)
        runs = [
            pair
            for pair in zip(trials.outcomes(shipped), trials.outcomes((*shipped, name)), strict=True)
            if pair[0].row.score is not None and pair[1].row.score is not None
        ]
        if not runs:
            raise BadInput(
                "no dev example was scored for both teacher and student: no threshold can be calibrated; expected dev "
                "examples with labels, that the metric scores"
            )
        met = sum(trials.reached(name, pair) for pair in runs)
        if met < LEAST:
            return Threshold(NOBODY, 0.0, 0.0, 0.0), len(runs), met
        engine: Any = student_engine(state.students[name])
        calls = [[(call, _confidence(engine, call)) for call in trials.calls_of(base, name)] for base, _ in runs]
        engine.close()
        several = [
            bool(asked) and max(sum(len(trials.calls_of(run, one)) for one in open_ones) for run in pair) > 1
            for asked, pair in zip(calls, runs, strict=True)
        ]
        mixed = [call for asked, flag in zip(calls, several, strict=True) if flag for call, _ in asked]
        again = iter(trials.again(name, mixed))
        sure, losses = [], []
        for asked, flag, (base, own) in zip(calls, several, runs, strict=True):
            # An example that never called it loses nothing by it, and where it fails the teacher answers.
            surest = max((confidence for _, confidence in asked), default=1.0)
            lost = max(0.0, (base.row.score or 0.0) - (own.row.score or 0.0)) if asked and surest > 0 else 0.0
            if flag:
                other = [confidence for call, confidence in asked if next(again) != call.said and confidence > 0]
                surest, lost = (max(other), base.row.score or 0.0) if other else (surest, lost)
            sure.append(surest)
            losses.append(lost)
        found = calibrate(sure, losses, self.harm, promise=self.promise, level=self.level)
        every = [confidence for asked in calls for _, confidence in asked]
        kept = sum(0 < one >= found.value for one in every) / max(1, len(every))
        return replace(found, kept=kept), len(runs), met

    def _verdict(self, found: Threshold, n: int, met: int, before: Gated | None) -> Gated:
        promised = f"{100 * self.harm:.1f} points" + (
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


def _confidence(engine: Any, call: Asked) -> float:
    """How sure a student is of its answer to a call; 0 where it fails."""
    try:
        return float(engine.confidence(call.shown))
    except (StudentFailed, lm15.ContextLengthError):
        return 0.0
