"""Local teachers for token-level distillation and matching of hidden states: which model, asked how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dspy

from ...optimizers.nearest import pool_of
from ...runtime.adapters import adapter_named
from ...runtime.engines.local.loading import load, quiet
from ...runtime.errors import BadInput
from ...runtime.internals import format_field_value
from ...runtime.lm import LM
from ..state import DistillState, Pair
from ..students.alignment import check_same_vocabulary
from .common import base_folder, check_kind, check_opens


def teacher_folder(lm: LM, named: str) -> str:
    """The folder of the local model that teaches: the one that is named, or the compiled program's own.

    Raises:
        BadInput: where the program runs on a model that is not here.
    """
    if named:
        return str(base_folder(named))
    folder = getattr(lm.door.engine, "folder", None)
    if folder is None:
        raise BadInput(
            f"token-level distillation needs the teacher's probabilities, and {lm.door.engine.name} is "
            "no local model: name one (teacher = FOLDER), or collect log-probabilities (collect with logprobs = 5) and "
            "take kd = 'stored'"
        )
    return str(folder)


def check_teaches(writer: type[Any], base: str, lm: LM, named: str) -> None:
    """Refuse a teacher, as in ``teacher_folder``, that cannot be opened or has other tokens than the student.

    Args:
        writer: how the student is trained, as in ``training.writers``.
        base: the student before training.

    Raises:
        BadInput: for a model that is not here, and for other tokens.
        ModelUnavailable: for one of another kind, or broken.
    """
    from transformers import AutoTokenizer

    folder, name = teacher_folder(lm, named), named or str(lm.door.engine.name)
    place = name if named else folder
    check_kind(place, writer.kind, writer.loader, role="teach")
    check_opens(place, writer.loader, role="teach")
    with quiet():
        mine = AutoTokenizer.from_pretrained(base_folder(base), trust_remote_code=False)
        theirs = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    check_same_vocabulary(mine, theirs, (base, name))


def signatures(program: dspy.Module) -> list[Any]:
    """Those of a program's predictors."""
    return [predictor.signature for _, predictor in program.named_predictors()]


def reasons(signature: Any) -> bool:
    """Whether a predictor writes a rationale."""
    return "reasoning" in signature.output_fields


def open_teacher(kind: str, folder: str, *, device: str | None = None) -> tuple[Any, Any]:
    """A frozen teacher and its tokenizer; on the GPU, where there is one, unless a device is named."""
    from pathlib import Path

    return load(kind, Path(folder), dtype="float32", device=device)


def teacher_prompts(state: DistillState, predictor: str, rows: Sequence[Pair]) -> list[list[dict[str, str]]]:
    """What the compiled program would ask its model for each row: its instructions and demonstrations included.

    As when rows are collected, none is shown with a demonstration of its own inputs.
    """
    compiled = dict(state.teacher.candidate.voices[0].apply(state.task.program).named_predictors())[predictor]
    adapter, fields = adapter_named(state.teacher.adapter), compiled.signature.input_fields

    def same(demo: Mapping[str, Any], row: Pair) -> bool:
        told = {name: str(format_field_value(field, demo[name])) for name, field in fields.items() if name in demo}
        return bool(told) and all(row.inputs.get(name) == value for name, value in told.items())

    def shown(row: Pair) -> list[dspy.Example]:
        pool, count = pool_of(compiled), len(compiled.demos)
        nearest = compiled.pool.nearest(row.inputs, count + sum(same(demo, row) for demo in pool)) if pool else ()
        other = [demo for demo in (nearest if pool else compiled.demos) if not same(demo, row)]
        return [dspy.Example(**demo) for demo in other[-count:]] if count else []

    return [list(adapter.format(compiled.signature, shown(row), dict(row.inputs))) for row in rows]
