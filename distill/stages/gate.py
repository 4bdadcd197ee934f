"""Gate: a student ships, predictor by predictor, only where the program is not inferior with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dspy

from ...eval.compare import NonInferiority, non_inferior
from ...eval.runner import Runner, jobs_for
from ...runtime.errors import BadInput, BudgetExhausted
from ...runtime.lm import LM
from ...runtime.progress import progress
from ..state import DistillState, Gated
from ..students import student_engine


@dataclass(frozen=True)
class Gate:
    """Scores the program on dev with each student in its place, and with all that pass together.

    A student passes if the one-sided 95 % bound of what is lost against the teacher, example by example, lies within
    the state's margin. If those that pass are together inferior, the one that loses most is held back, and so on.
    """

    @property
    def name(self) -> str:
        """``gate``."""
        return "gate"

    def run(self, state: DistillState) -> DistillState:
        """The state with a verdict for every student; where the budget does not reach for it, none ships."""
        try:
            gates, stopped = self._gates(state), state.stopped
        except BudgetExhausted:
            stopped = f"the budget of {state.session.ledger.budget} ended it before students and teacher were compared"
            gates = {name: Gated(False, stopped) for name in state.students}
        notes = [f"{name}: {'shipped' if gate.shipped else 'held back'}, {gate.why}" for name, gate in gates.items()]
        return state.with_effect(self.name, state.rows, *notes, gates=gates, stopped=stopped)

    def _gates(self, state: DistillState) -> dict[str, Gated]:
        trials = _Trials(state)
        teacher = trials.scores(())
        verdicts = {name: self._judge(trials.scores((name,)), teacher, state) for name in state.students}
        passing = [name for name, verdict in verdicts.items() if verdict.accepted]
        held: dict[str, str] = {}
        while len(passing) > 1:
            together = self._judge(trials.scores(tuple(passing)), teacher, state)
            if together.accepted:
                break
            worst = min(passing, key=lambda name: verdicts[name].difference.value)
            passing.remove(worst)
            held[worst] = f"passes alone, but together with {', '.join(passing)} the program loses: {together}"
        return {
            name: Gated(name in passing, held.get(name, str(verdict)), verdict.difference.dump())
            for name, verdict in verdicts.items()
        }

    def _judge(
        self, ours: Sequence[float | None], theirs: Sequence[float | None], state: DistillState
    ) -> NonInferiority:
        pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
        if not pairs:
            raise BadInput("no dev example was scored for both teacher and student: the margin cannot be checked")
        return non_inferior([a for a, _ in pairs], [b for _, b in pairs], margin=state.margin)


class _Trials:
    """Dev scores of the program with some of its predictors on students."""

    def __init__(self, state: DistillState) -> None:
        self._state = state
        self._lms = student_lms(state.students, state)

    def scores(self, names: tuple[str, ...]) -> list[float | None]:
        """A score for every dev example."""
        state = self._state
        program = bind(state, {name: self._lms[name] for name in names})
        runner = Runner(state.teacher.lm.on(state.session), state.task.metric, adapter=state.teacher.adapter)
        with progress(f"gate {', '.join(names) or 'teacher'}", len(state.task.dev)) as bar:
            outcomes = runner.run(jobs_for(program, state.task.dev, "dev"), on_row=lambda row: bar.advance())
        return [outcome.row.score for outcome in outcomes]


def student_lms(students: Mapping[str, Path], state: DistillState) -> dict[str, LM]:
    """The students as models on behalf of the state's session."""
    return {name: LM(student_engine(folder), state.session) for name, folder in students.items()}


def bind(state: DistillState, lms: Mapping[str, LM]) -> dspy.Module:
    """The teacher's program with some predictors on students: bare inputs, declared instructions, no demonstrations."""
    candidate = state.teacher.candidate
    declared = dict(state.task.program.named_predictors())
    for name in lms:
        candidate = candidate.with_state(name, instructions=declared[name].signature.instructions, demos=())
    program = candidate.apply(state.task.program)
    for name, predictor in program.named_predictors():
        if name in lms:
            predictor.lm = lms[name]
    return program
