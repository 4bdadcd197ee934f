"""Runs of the program on dev with some of its predictors on students, and what was asked in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from ...eval.runner import Job, Outcome, Runner, jobs_for
from ...optimizers.voting import mark_predictors, name_of
from ...runtime.internals import format_field_value
from ...runtime.progress import progress
from ..state import DistillState
from ..students.formats import written
from .binding import bind, student_lms


@dataclass(frozen=True)
class Asked:
    """A call of a predictor."""

    inputs: Mapping[str, Any]
    shown: Mapping[str, str]
    """The inputs as they stand in its prompt."""
    said: Mapping[str, str]
    """The outputs as they stand in its answer, but for the rationale, which students may leave out."""


def _shown(predictor: Any, inputs: Any) -> dict[str, str]:
    fields = predictor.signature.input_fields
    return {name: str(format_field_value(field, inputs[name])) for name, field in fields.items() if name in inputs}


def _said(predictor: Any, prediction: Any) -> dict[str, str]:
    fields = predictor.signature.output_fields
    own = {name: field for name, field in fields.items() if name != "reasoning" or len(fields) == 1}
    return {name: written(field, prediction[name]) for name, field in own.items() if name in prediction}


class Trials:
    """Dev scores of the program with some of its predictors on students."""

    def __init__(self, state: DistillState) -> None:
        self._state = state
        self._lms = student_lms(state.students, state)

    def reached(self, name: str, runs: Collection[Outcome]) -> bool:
        """Whether any of these runs called a predictor, on its student or on its teacher."""
        return any(name_of(step[0]) == name for run in runs for step in run.trace)

    def calls_of(self, outcome: Outcome, name: str) -> list[Asked]:
        """What a predictor was asked in a run."""
        return [
            Asked(dict(inputs), _shown(predictor, inputs), _said(predictor, prediction))
            for predictor, inputs, prediction in outcome.trace
            if name_of(predictor) == name
        ]

    def again(self, name: str, calls: Sequence[Asked]) -> list[dict[str, str] | None]:
        """What a predictor's student says where it is asked the same; ``None`` where it fails."""
        state = self._state
        predictor = dict(bind(state, {name: self._lms[name]}).named_predictors())[name]
        jobs = [
            Job(predictor, dspy.Example(**call.inputs).with_inputs(*call.inputs), place, "dev")
            for place, call in enumerate(calls)
        ]
        runner = Runner(state.teacher.lm.on(state.session), None, adapter=state.teacher.adapter)
        return [None if one.prediction is None else _said(predictor, one.prediction) for one in runner.run(jobs)]

    def outcomes(self, names: tuple[str, ...]) -> list[Outcome]:
        """What became of every dev example."""
        state = self._state
        program = bind(state, {name: self._lms[name] for name in names})
        mark_predictors(program)
        runner = Runner(state.teacher.lm.on(state.session), state.task.metric, adapter=state.teacher.adapter)
        with progress(f"gate {', '.join(names) or 'teacher'}", len(state.task.dev)) as bar:
            return runner.run(jobs_for(program, state.task.dev, "dev"), trace=True, on_row=lambda *_: bar.advance())
