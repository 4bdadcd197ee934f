"""Runs of the program on dev with some of its predictors on students, and what was asked in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from ...eval.runner import Job, Outcome, Runner, jobs_for
from ...optimizers.voting import predictor_names
from ...runtime.internals import format_field_value
from ...runtime.progress import progress
from ..state import DistillState
from .binding import bind, student_lms


@dataclass(frozen=True)
class Asked:
    """A call of a predictor."""

    inputs: Mapping[str, Any]
    shown: Mapping[str, str]
    """The inputs as they stand in its prompt."""
    said: Mapping[str, str]
    """The outputs as they stand in its answer, but for the rationale, which students may leave out."""


def _shown(fields: Mapping[str, Any], values: Any) -> dict[str, str]:
    return {name: str(format_field_value(field, values[name])) for name, field in fields.items() if name in values}


def _said(predictor: Any, prediction: Any) -> dict[str, str]:
    fields = predictor.signature.output_fields
    return _shown(
        {name: field for name, field in fields.items() if name != "reasoning" or len(fields) == 1}, prediction
    )


class Trials:
    """Dev scores of the program with some of its predictors on students."""

    def __init__(self, state: DistillState) -> None:
        self._state = state
        self._lms = student_lms(state.students, state)
        self._programs: dict[tuple[str, ...], dspy.Module] = {}
        self._names: dict[int, str] = {}

    def reached(self, name: str, runs: Collection[Outcome]) -> bool:
        """Whether any of these runs called a predictor, on its student or on its teacher."""
        return any(self._name_of(step[0]) == name for run in runs for step in run.trace)

    def calls_of(self, outcome: Outcome, name: str) -> list[Asked]:
        """What a predictor was asked in a run."""
        return [
            Asked(dict(inputs), _shown(predictor.signature.input_fields, inputs), _said(predictor, prediction))
            for predictor, inputs, prediction in outcome.trace
            if self._name_of(predictor) == name
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
        program = self._programs[names] = bind(state, {name: self._lms[name] for name in names})
        self._names |= predictor_names(program)
        runner = Runner(state.teacher.lm.on(state.session), state.task.metric, adapter=state.teacher.adapter)
        with progress(f"gate {', '.join(names) or 'teacher'}", len(state.task.dev)) as bar:
            return runner.run(jobs_for(program, state.task.dev, "dev"), trace=True, on_row=lambda *_: bar.advance())

    def _name_of(self, predictor: Any) -> str | None:
        """Its name in the program; a copy that the program made of one is known by its student."""
        own = self._names.get(id(predictor))
        lm = getattr(predictor, "lm", None)
        return own or next((name for name, student in self._lms.items() if student is lm), None)
