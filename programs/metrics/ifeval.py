"""IFEval: the share of verifiable instructions that a response follows, or whether it follows all of them.

Source: Zhou et al., "Instruction-Following Evaluation for Large Language Models", 2023 (arXiv:2311.07911): strict and
loose accuracy, by prompt and by instruction. The mean over examples of ``level="instruction"`` weighs every prompt
alike; the paper weighs every instruction alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from ...runtime.errors import BadInput
from .base import Score
from .fields import RIGHT, answer_of, gold_of, shown, text_of
from .ifeval_checks import follows, needs_langdetect


def loose_forms(text: str) -> tuple[str, ...]:
    """The eight forms of a response that loose accuracy looks at: without its first line, its last line, or both, and
    each of these without asterisks."""
    lines = text.split("\n")
    cut = (text, "\n".join(lines[1:]).strip(), "\n".join(lines[:-1]).strip(), "\n".join(lines[1:-1]).strip())
    return tuple(dict.fromkeys((*cut, *(form.replace("*", "") for form in cut))))


def followed(text: str, ids: Sequence[str], kwargs: Sequence[Mapping[str, Any]], *, loose: bool = False) -> list[bool]:
    """Whether a text follows each of several instructions, in their order.

    Raises:
        BadInput: for an unknown id, a missing argument, or not as many arguments as ids.
    """
    if len(ids) != len(kwargs):
        raise BadInput(f"{len(ids)} instructions with {len(kwargs)} sets of arguments: expected one set for each")
    forms = loose_forms(text) if loose else (text,)
    return [any(follows(one, wants, form) for form in forms) for one, wants in zip(ids, kwargs, strict=True)]


@dataclass(frozen=True, slots=True)
class IFEval:
    """See ``ifeval``."""

    field: str
    loose: bool = False
    level: str = "prompt"
    ids: str = "instruction_id_list"
    kwargs: str = "kwargs"

    @property
    def name(self) -> str:
        """``ifeval(field)``."""
        return f"ifeval({self.field}{', loose' if self.loose else ''}{', by instruction' * (self.level != 'prompt')})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        ids, kwargs = gold_of(example, self.ids, list, tuple), gold_of(example, self.kwargs, list, tuple)
        for part in (ids, kwargs):
            if isinstance(part, Score):
                return part
        if not ids or not all(isinstance(one, str) for one in ids):
            return Score(None, f"the example's {self.ids} is {shown(ids)}: expected ids of instructions")
        if not all(isinstance(wants, Mapping) for wants in kwargs):
            return Score(None, f"the example's {self.kwargs} is {shown(kwargs)}: expected an object for each id")
        text = text_of(answer_of(prediction, self.field))
        try:
            right = followed(text, ids, kwargs, loose=self.loose)
        except BadInput as wrong:  # in the example: nothing in a response raises
            return Score(None, str(wrong))
        failed = [
            f"{one} {shown(given)}" if (given := {k: v for k, v in wants.items() if v is not None}) else one
            for one, wants, good in zip(ids, kwargs, right, strict=True)
            if not good
        ]
        value = sum(right) / len(right) if self.level == "instruction" else float(all(right))
        return Score(value, f"Not followed: {'; '.join(failed)}." if failed else RIGHT)


def ifeval(
    field: str, *, loose: bool = False, level: str = "prompt", ids: str = "instruction_id_list", kwargs: str = "kwargs"
) -> IFEval:
    """1 if a response follows all verifiable instructions of its prompt, else 0 (``level="prompt"``); or the share of
    them that it follows (``level="instruction"``). Needs the extra ``metrics`` for its instructions about language.

    Args:
        loose: also try the response without its first and last line and without asterisks.
        ids, kwargs: the example's fields with the ids of its instructions and their arguments.

    Raises:
        BadInput: for an unknown level, or without the library langdetect.
    """
    if level not in ("prompt", "instruction"):
        raise BadInput(f"ifeval(level={level!r}): expected prompt or instruction")
    needs_langdetect()
    return IFEval(field, loose, level, ids, kwargs)
