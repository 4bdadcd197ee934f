"""Gold: training rows from the data's own labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dspy

from ...runtime.errors import BadInput
from ...runtime.internals import format_field_value
from ..settings import check_settings
from ..state import DistillState, Pair
from ..students.formats import written


@dataclass(frozen=True)
class Gold:
    """Training rows from the training examples' own labels; no teacher is asked. For programs of one predictor."""

    dev: bool = False
    """Whether dev examples become rows for early stopping."""

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def name(self) -> str:
        """``gold``."""
        return "gold"

    def run(self, state: DistillState) -> DistillState:
        """A row for every training example that has all fields but reasoning."""
        predictors = state.task.program.named_predictors()
        if len(predictors) != 1:
            raise BadInput(
                f"gold labels teach programs of one predictor; this one has {len(predictors)}: use a teacher"
            )
        name, predictor = predictors[0]
        rows = [row for place, e in enumerate(state.task.train) if (row := _gold(predictor, e, f"train[{place}]"))]
        if not rows:
            needed = ", ".join(field for field in predictor.signature.output_fields if field != "reasoning")
            raise BadInput(f"no training example has a label ({needed}): collect a teacher's answers instead")
        dev = [row for place, e in enumerate(state.task.dev) if (row := _gold(predictor, e, f"dev[{place}]"))]
        return state.with_effect(
            self.name, len(state.task.train), pairs={name: tuple(rows)}, gold=True,
            dev_pairs={name: tuple(dev)} if self.dev and dev else {},
        )  # fmt: skip


def _gold(predictor: Any, example: dspy.Example, place: str) -> Pair | None:
    signature = predictor.signature
    if any(f not in example or example[f] is None for f in signature.fields if f != "reasoning"):
        return None
    present = {n: f for n, f in signature.output_fields.items() if n in example}
    mark = example.get("id")
    return Pair(
        place if mark is None else str(mark),
        {n: str(format_field_value(f, example[n])) for n, f in signature.input_fields.items()},
        {n: written(f, example[n]) for n, f in present.items()},
    )
