"""A vote: programs that answer together, and the answer that most of them gave.

As ``dspy.Ensemble`` with ``dspy.majority``: what is counted is the last field of an answer, and of answers that are
equally frequent the earliest program's is taken. A program that fails has no vote. The trace of a vote is that of the
program whose answer was taken, so demonstrations and training rows come from it alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dspy
from dspy.evaluate import normalize_text

from ..eval.rows import failure_of, outputs_of
from ..runtime.canonical import canonical


class Vote(dspy.Module):
    """Versions of one program. Its predictors are named as in the first of them; those of the others come after."""

    def __init__(self, programs: Sequence[dspy.Module]) -> None:
        super().__init__()
        self.programs = list(programs)

    def forward(self, **inputs: Any) -> Any:
        """The answer of the majority; every program is called.

        Raises:
            Exception: where no program has an answer, what the first of them raised; where a model cannot be reached,
                whichever program asked it, that error, since the vote would be another one.
        """
        said = _Answers()
        for program in self.programs:
            with said.turn():
                said.found.append(program(**inputs))
        return said.elected()

    async def aforward(self, **inputs: Any) -> Any:
        """The same from async code."""
        said = _Answers()
        for program in self.programs:
            with said.turn():
                said.found.append(await program.acall(**inputs))
        return said.elected()

    def named_parameters(self) -> list[tuple[str, Any]]:
        """Those of the first program by its own names, then those of the others."""
        first, *others = self.programs
        rest = [
            (f"others[{n}].{name}", own) for n, other in enumerate(others) for name, own in other.named_parameters()
        ]
        return [*first.named_parameters(), *rest]

    def deepcopy(self) -> Vote:
        """A copy whose programs are copies."""
        return Vote([program.deepcopy() for program in self.programs])


class _Answers:
    """What the programs of a vote have said so far."""

    def __init__(self) -> None:
        self.found: list[Any] = []
        self._steps: list[list[Any]] = []
        self._failed: list[Exception] = []

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A block in which one program answers."""
        steps: list[Any] = []
        try:
            with dspy.context(trace=steps):
                yield
        except Exception as error:
            if failure_of(error).kind == "lm":
                raise
            self._failed.append(error)
        else:
            self._steps.append(steps)

    def elected(self) -> Any:
        """The answer that is taken."""
        if not self.found:
            raise self._failed[0]
        chosen = majority(self.found)
        if dspy.settings.trace is not None:
            dspy.settings.trace.extend(self._steps[chosen])
        return self.found[chosen]


def majority(answers: Sequence[Any]) -> int:
    """Which of some answers to take: the first of those that are most frequent. One that says nothing does not count.

    Args:
        answers: at least one.
    """
    said = [_said(answer) for answer in answers]
    counted: list[str | None] = [one for one in said if one is not None] or said
    return said.index(max(counted, key=counted.count))


def _said(answer: Any) -> str | None:
    """What of an answer is counted, in a form in which equal answers are equal."""
    value = next(reversed(outputs_of(answer).values()), None)
    if isinstance(value, str):
        return normalize_text(value) or None
    return None if value is None else canonical(value).decode()


def voters(program: dspy.Module) -> list[dspy.Module]:
    """The programs of a vote; any other program alone."""
    return list(program.programs) if isinstance(program, Vote) else [program]


def mark_predictors(program: dspy.Module) -> None:
    """Write on every predictor its name in the declared program, for whichever voter it belongs to. Copies that a
    program makes of one (``dspy.BestOfN`` does) have it, too."""
    for voter in voters(program):
        for name, own in voter.named_predictors():
            own.dstill_name = name


def name_of(predictor: Any) -> str | None:
    """The name that was written on a predictor."""
    return getattr(predictor, "dstill_name", None)
