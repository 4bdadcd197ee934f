"""From training rows to tokens: what fits the student, what does not, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...runtime.engines.local.prompt import Prompter
from ...runtime.errors import BadInput
from ..state import Pair
from ..training.writers import Coded
from .alignment import unwritable
from .formats import Format


@dataclass(frozen=True)
class CodedRow:
    """A row as the student reads it."""

    place: int
    """Its place among the rows."""
    weight: float
    tasks: tuple[Coded | None, ...]
    """One for each format; ``None`` where the row has nothing to say there (no rationale)."""

    @property
    def size(self) -> int:
        """Tokens of all tasks."""
        return sum(task.size for task in self.tasks if task is not None)


@dataclass(frozen=True)
class CodedRows:
    """The rows that a student can learn from, and a note on the others."""

    rows: tuple[CodedRow, ...]
    notes: tuple[str, ...]


def code(
    tokenizer: Any, rows: Sequence[Pair], formats: Sequence[Format], writer: Any, context: int, student: str,
    asked: Sequence[Sequence[dict[str, str]]] | None = None,
) -> CodedRows:  # fmt: skip
    """Rows as tokens, prompts exactly as the local engine will feed them.

    Args:
        asked: for each row, the messages that stand for the formats' own prompts.

    Raises:
        BadInput: if no row fits the context, the tokenizer can write none of the answers, or none has the reasoning
            that is to be written.
    """
    found, sizes, signs, bare = [], [], [], 0
    for place, row in enumerate(rows):
        tasks: list[Coded | None] = []
        strange = None
        for form in formats:
            if any(not row.outputs.get(name) and name == "reasoning" for name in form.outputs):
                tasks.append(None)
                continue
            text = form.answer(row.outputs)
            strange = strange or unwritable(tokenizer, text)
            answer = tokenizer(text, add_special_tokens=False)["input_ids"]
            prompt = form.prompt(row.inputs) if asked is None else asked[place]
            tasks.append(Coded(tuple(prompt_tokens(tokenizer, prompt)), (*answer, *_end(tokenizer))))
        coded = [task for task in tasks if task is not None]
        if strange is not None:
            signs.append(strange)
        elif not all(writer.fits(task, context) for task in coded):
            sizes.append(max(task.size for task in coded))
        elif coded:
            found.append(CodedRow(place, row.weight, tuple(tasks)))
        else:
            bare += 1
    if not found and sizes:
        raise BadInput(
            f"all {len(rows)} rows are longer than the {context} tokens that {student} reads (the longest has "
            f"{max(sizes):,}): take a student with a longer context, or style = 'inputs' or 'bare'"
        )
    if not found and signs:
        raise BadInput(f"the tokenizer of {student} can write none of the answers: it has no token for {signs[0]!r}")
    if not found:
        raise BadInput(
            "the student is to write its reasoning, and no row has any: collect a teacher's answers, or take "
            "objective = 'label'"
        )
    notes = []
    if bare:
        notes.append(f"{bare} rows left out that have no reasoning to learn")
    if sizes:
        notes.append(f"{len(sizes)} rows left out as longer than {context} tokens (the longest has {max(sizes):,})")
    if signs:
        shown = ", ".join(repr(sign) for sign in list(dict.fromkeys(signs))[:5])
        notes.append(f"{len(signs)} rows left out whose answers the tokenizer cannot write ({shown})")
    return CodedRows(tuple(found), tuple(notes))


def prompt_tokens(tokenizer: Any, messages: Sequence[dict[str, str]]) -> list[int]:
    """A prompt as the local engine will feed it."""
    prompter = Prompter(tokenizer, 10**9, "student")
    return list(prompter.encode(tuple((m["role"], m["content"]) for m in messages)))


def _end(tokenizer: Any) -> tuple[int, ...]:
    return () if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,)
