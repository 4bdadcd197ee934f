"""What of a recipe can be known not to work before a teacher is asked for anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dspy

from ..optimizers.compiled import CompiledProgram
from ..runtime.errors import BadInput
from ..runtime.lm import LM
from .recipes import Recipe
from .stages import Cascade, Collect, TrainCausal, TrainEncoder, TrainMatcher
from .stages.common import base_digest
from .stages.labels import label_field_of
from .training.devices import check_devices, check_launcher


def check_trainable(recipe: Recipe, base: str, program: Any, lm: LM, adapter: str) -> None:
    """Refuse what could not be trained.

    Args:
        base: the student before training.
        program: the program as declared, whose predictors are to be learned.
        lm: the teacher's model.
        adapter: the program's.

    Raises:
        BadInput: for more devices than there are, a process that was started by a launcher, stages that do not go
            together, an adapter that students do not answer under, a program or a teacher that a stage cannot learn
            from.
        ModelUnavailable: for a model that cannot be had, or is broken or of another kind than its stage takes.
    """
    check_launcher()
    for stage in recipe.stages:
        if (training := getattr(stage, "training", None)) is not None:
            check_devices(training.devices)
    _check_together(recipe)
    _check_adapter(recipe, adapter)
    _check_fields(recipe, program)
    for stage in recipe.stages:
        if (check := getattr(stage, "check", None)) is not None:
            check(base, program, lm)


def check_apart(folder: Path, recipe: Recipe, *models: str | LM) -> None:
    """Refuse a run directory that holds a model which the run reads: it would be written over, or deleted.

    Raises:
        BadInput: naming the model.
    """
    named = [*(one for one in models if isinstance(one, str) and one), *_models(recipe)]
    places = {name: Path(name.removeprefix("local:")).expanduser() for name in named}
    engines: list[Any] = [one.door.engine for one in models if isinstance(one, LM)]
    places |= {one.name: Path(one.folder) for one in engines if getattr(one, "folder", None) is not None}
    for name, place in places.items():
        if place.resolve().is_relative_to(folder.resolve()) and place.exists():
            raise BadInput(
                f"the model {name} lies in the run directory {folder}, which this run writes over: choose another run "
                "directory, or copy the model out of it first"
            )


def weights_of(recipe: Recipe) -> dict[str, str]:
    """The models that a recipe names besides the student, each with the digest of what it is."""
    return {name: base_digest(name) for name in _models(recipe)}


def _models(recipe: Recipe) -> list[str]:
    named = [name for stage in recipe.stages for name in (*getattr(stage, "rungs", ()), getattr(stage, "teacher", ""))]
    return sorted({name for name in named if name})


def check_behind(teacher: CompiledProgram, recipe: Recipe) -> None:
    """Refuse a teacher that a cascade cannot ask.

    Raises:
        BadInput: for a vote.
    """
    if teacher.candidate.others and any(isinstance(stage, Cascade) for stage in recipe.stages):
        raise BadInput(
            f"recipe {recipe.name} has a cascade, and {teacher.name} is a vote of {1 + len(teacher.candidate.others)} "
            "programs: what one student is unsure of cannot be put to the vote; leave the cascade out"
        )


def check_teacher(teacher: CompiledProgram, program: dspy.Module) -> None:
    """Refuse a teacher that has no predictor in common with the task's program.

    Raises:
        BadInput: naming the predictors of both.
    """
    theirs, ours = (_predictors(each) for each in (teacher.program, program))
    if not set(theirs) & set(ours):
        raise BadInput(
            f"distill(compiled=...): {teacher.name} of the task {teacher.task} has other predictors than this task's "
            f"program: {', '.join(theirs)}; expected one of: {', '.join(ours)}"
        )


def _predictors(program: dspy.Module) -> list[str]:
    """Each with its fields, such as ``self(text -> label)``."""
    return [f"{name}({predictor.signature.signature})" for name, predictor in program.named_predictors()]


def _check_adapter(recipe: Recipe, adapter: str) -> None:
    if adapter not in ("chat", "json") and any(hasattr(stage, "check") for stage in recipe.stages):
        raise BadInput(f"a student cannot answer under the {adapter!r} adapter; expected chat or json")
    for stage in recipe.stages:
        # A told probability is of a token of the teacher's own answer, so that the student must write just that.
        if isinstance(stage, TrainCausal) and stage.kd == "stored" and stage.style != "program" and adapter == "json":
            raise BadInput(
                f"kd = 'stored' with style = {stage.style!r} under the json adapter: the teacher's tokens are those of "
                "its JSON, which only style = 'program' writes, or take kd = 'none'"
            )


def _check_fields(recipe: Recipe, program: dspy.Module) -> None:
    classifiers = any(isinstance(stage, TrainEncoder | TrainMatcher) for stage in recipe.stages)
    for name, predictor in program.named_predictors():
        if classifiers:  # not a ladder's, which leaves to the next kind what this one cannot answer
            label_field_of(predictor.signature, name)
        for field, told in predictor.signature.input_fields.items():
            if told.annotation is dspy.History:
                raise BadInput(
                    f"the input {field} of {name} is a dspy.History, whose turns stand in messages of their own, and a "
                    "student reads one: give it the turns as a text"
                )


def _check_together(recipe: Recipe) -> None:
    writers = [stage for stage in recipe.stages if isinstance(stage, TrainCausal)]
    if any(one.style == "program" for one in writers) and any(isinstance(one, Cascade) for one in recipe.stages):
        raise BadInput(
            f"recipe {recipe.name}: style = 'program' with a cascade, which asks a student in a prompt of its own: "
            "expected style = 'chat', 'inputs' or 'bare', or no cascade"
        )
    collects = [stage for stage in recipe.stages if isinstance(stage, Collect)]
    if any(one.kd == "stored" for one in writers) and collects and not any(one.logprobs for one in collects):
        raise BadInput(
            f"recipe {recipe.name}: kd = 'stored' with collect(logprobs = 0), which asks for no log-probabilities: "
            "expected logprobs from 1 to 20"
        )
