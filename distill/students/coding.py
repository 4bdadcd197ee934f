"""From training rows to tokens: what fits the student, what does not, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...runtime.engines.local.prompt import Prompter
from ...runtime.errors import BadInput
from ..state import Pair
from ..training.writers import Coded
from .alignment import unwritable
from .formats import Format
from .held import barrier


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


@dataclass
class _LeftOut:
    """Rows that a student cannot learn from, by why."""

    sizes: list[int] = field(default_factory=list)
    """Their tokens, of those that are too long."""
    signs: list[str] = field(default_factory=list)
    """What the tokenizer cannot write."""
    barred: list[str] = field(default_factory=list)
    """What the student is kept from writing."""
    bare: int = 0
    """Those that say nothing."""

    def check_some(self, context: int, student: str) -> None:
        """Refuse rows that were all left out.

        Raises:
            BadInput: with one that stands for them, and what would help.
        """
        if self.sizes:
            count = len(self.sizes) + len(self.signs) + len(self.barred) + self.bare
            raise BadInput(
                f"all {count} rows are longer than the {context} tokens that {student} reads (the longest has "
                f"{max(self.sizes):,}): take a student with a longer context, or style = 'inputs' or 'bare'"
            )
        if self.signs:
            raise BadInput(
                f"the tokenizer of {student} can write none of the answers: it has no token for {self.signs[0]!r}"
            )
        if self.barred:
            raise BadInput(
                f"{student} could give none of the answers: it is held to the types of its fields, without headings in "
                f"a text, and {self.barred[0]} is no such answer: declare a type that has these values (str has all)"
            )
        raise BadInput(
            "the student is to write its reasoning, and no row has any: collect a teacher's answers, or take "
            "objective = 'label'"
        )

    def notes(self, context: int) -> tuple[str, ...]:
        """How many there are, for a stage's note."""
        found = []
        if self.bare:
            found.append(f"{self.bare} rows left out that have no reasoning to learn")
        if self.sizes:
            longest = f"(the longest has {max(self.sizes):,})"
            found.append(f"{len(self.sizes)} rows left out as longer than {context} tokens {longest}")
        if self.signs:
            shown = _some([repr(sign) for sign in self.signs])
            found.append(f"{len(self.signs)} rows left out whose answers the tokenizer cannot write {shown}")
        if self.barred:
            shown = _some(self.barred)
            found.append(f"{len(self.barred)} rows left out whose answers the types of its fields do not have {shown}")
        return tuple(found)


def code(
    tokenizer: Any, rows: Sequence[Pair], formats: Sequence[Format], writer: Any, context: int, student: str,
    asked: Sequence[Sequence[dict[str, str]]] | None = None,
) -> CodedRows:  # fmt: skip
    """Rows as tokens, prompts exactly as the local engine will feed them.

    Args:
        asked: for each row, the messages that stand for the formats' own prompts.

    Raises:
        BadInput: if no row fits the context, the tokenizer can write none of the answers, the student is kept from all
            of them, or none has the reasoning that is to be written.
    """
    found, left = [], _LeftOut()
    bars = [barrier(tokenizer, form) for form in formats]
    for place, row in enumerate(rows):
        tasks: list[Coded | None] = []
        strange = barred = None
        for form, bar in zip(formats, bars, strict=True):
            if any(not row.outputs.get(name) and name == "reasoning" for name in form.outputs):
                tasks.append(None)
                continue
            text = form.answer(row.outputs)
            strange = strange or unwritable(tokenizer, text)
            barred = barred or bar(row.outputs)
            answer = tokenizer(text, add_special_tokens=False)["input_ids"]
            prompt = form.prompt(row.inputs) if asked is None else asked[place]
            tasks.append(Coded(tuple(prompt_tokens(tokenizer, prompt)), (*answer, *_end(tokenizer))))
        coded = [task for task in tasks if task is not None]
        if strange is not None:
            left.signs.append(strange)
        elif barred is not None:
            left.barred.append(barred)
        elif not all(writer.fits(task, context) for task in coded):
            left.sizes.append(max(task.size for task in coded))
        elif coded:
            found.append(CodedRow(place, row.weight, tuple(tasks)))
        else:
            left.bare += 1
    if not found:
        left.check_some(context, student)
    return CodedRows(tuple(found), left.notes(context))


def _some(shown: Sequence[str]) -> str:
    return f"({', '.join(list(dict.fromkeys(shown))[:5])})"


def prompt_tokens(tokenizer: Any, messages: Sequence[dict[str, str]]) -> list[int]:
    """A prompt as the local engine will feed it."""
    prompter = Prompter(tokenizer, 10**9, "student")
    return list(prompter.encode(tuple((m["role"], m["content"]) for m in messages)))


def _end(tokenizer: Any) -> tuple[int, ...]:
    return () if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,)
