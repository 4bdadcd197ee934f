"""A program that notes who it was when it was scored, for optimizers that keep no record of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import dspy

from ..eval.rows import failure_of
from ..runtime.canonical import canonical
from .candidate import Candidate

ENOUGH = 10
"""Scores below which a candidate is not salvaged, while others have more."""


class Notes:
    """Scores by candidate and example, noted from any thread."""

    def __init__(self, declared: Candidate, told: Callable[[float], None] = lambda best: None) -> None:
        self._told = told
        self._lock = threading.Lock()
        self._scores: dict[Candidate, dict[bytes, float]] = {declared: {}}
        self._known: dict[Any, tuple[Any, Candidate]] = {}
        self._current = threading.local()
        self._best = 0.0

    def __deepcopy__(self, memo: dict[int, Any]) -> Notes:
        return self

    def ran(self, program: dspy.Module) -> None:
        """This thread just ran a version of the program."""
        parts = [(p.signature, *p.demos) for p in program.predictors()]
        said = tuple(p.signature.instructions for p in program.predictors())  # which some write over in place
        key = (said, *(tuple(map(id, part)) for part in parts))
        found = self._known.get(key)
        if found is None:  # the parts are kept, so that their ids stay theirs
            found = self._known[key] = (parts, Candidate.of(program))
        self._current.candidate = found[1]

    def scored(self, inputs: Mapping[str, Any], score: float) -> None:
        """This thread's last run brought a score on the example of these inputs."""
        candidate = getattr(self._current, "candidate", None)
        if candidate is not None:
            with self._lock:
                own = self._scores.setdefault(candidate, {})
                own[key_of(inputs)] = score
                if len(own) >= ENOUGH:
                    self._best = max(self._best, sum(own.values()) / len(own))
            self._told(self._best)

    def snapshot(self) -> dict[Candidate, dict[bytes, float]]:
        """All scores so far."""
        with self._lock:
            return {candidate: dict(scores) for candidate, scores in self._scores.items()}


class Noting(dspy.Module):
    """The user's program inside one that takes notes.

    Its copies have signatures of their own: DSPy's would share them, and what an optimizer writes into one of them
    would be in all of them, and in the program that the user declared.
    """

    def __init__(self, program: dspy.Module, notes: Notes) -> None:
        super().__init__()
        self.program = program
        self.notes = notes

    def deepcopy(self) -> Noting:
        """A copy that shares nothing that an optimizer alters."""
        made: Noting = super().deepcopy()
        for _, predictor in made.named_predictors():
            predictor.signature = predictor.signature.with_instructions(predictor.signature.instructions)
        return made

    def forward(self, **inputs: Any) -> Any:
        """Run the program. No prediction counts as 0 where that is its own fault; DSPy asks no metric of it."""
        try:
            prediction = self.program(**inputs)
        except Exception as error:
            if failure_of(error).kind != "lm":
                self.notes.ran(self.program)
                self.notes.scored(inputs, 0.0)
            raise
        self.notes.ran(self.program)
        return prediction


def key_of(inputs: Mapping[str, Any]) -> bytes:
    """What an example is known by: its inputs as text."""
    return canonical({name: str(value) for name, value in inputs.items()})
