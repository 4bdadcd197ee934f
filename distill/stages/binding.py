"""Students in the place of a program's predictors: as models, with the teacher behind them, and what they are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import dspy

from ...optimizers.candidate import Candidate
from ...runtime.engines.base import Engine
from ...runtime.lm import LM
from ..state import DistillState
from ..students import keeps_prompt, student_engine


def student_lms(students: Mapping[str, Path], state: DistillState) -> dict[str, LM]:
    """The students as models on behalf of the state's session."""
    return {name: LM(student_engine(folder), state.session) for name, folder in students.items()}


def shipped_lms(students: Mapping[str, Path], state: DistillState) -> dict[str, LM]:
    """The same as they ship: those with a threshold have the teacher behind them."""
    thresholds = {name: gate.threshold for name, gate in state.gates.items() if gate.threshold is not None}
    teacher = state.teacher.lm.on(state.session)
    asked = dict(state.teacher.candidate.apply(state.task.program).named_predictors())
    return {
        name: LM(with_teacher(folder, asked[name], teacher, state.teacher.adapter, thresholds.get(name)), state.session)
        for name, folder in students.items()
    }


def with_teacher(folder: Path, predictor: Any, teacher: LM, adapter: str, threshold: float | None) -> Engine:
    """A student's engine; with a threshold, a cascade to the teacher's predictor, on its own model where it has one."""
    engine: Any = student_engine(folder)
    if threshold is None:
        return engine  # type: ignore[no-any-return]
    from ..cascades import CascadeEngine

    return CascadeEngine(engine, predictor.lm or teacher, predictor, adapter, threshold)


def candidate_with(state: DistillState, names: Iterable[str]) -> Candidate:
    """What the program is told when these predictors run on students: most have it in their weights, and are asked with
    the declared instructions and no demonstrations."""
    candidate = state.teacher.candidate
    declared = dict(state.task.program.named_predictors())
    for name in names:
        if name in state.students and keeps_prompt(state.students[name]):
            candidate = candidate.voices[0]
        else:
            candidate = candidate.with_state(name, instructions=declared[name].signature.instructions, demos=())
    return candidate


def bind(state: DistillState, lms: Mapping[str, LM]) -> dspy.Module:
    """The teacher's program with some predictors on students."""
    program = candidate_with(state, lms).apply(state.task.program)
    for name, predictor in program.named_predictors():
        if name in lms:
            predictor.lm = lms[name]
    return program
