"""A candidate: what may differ between two versions of one program, as an immutable value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import dspy

from ..programs.knobs import Value, put, read
from ..runtime.canonical import as_json, canonical, digest
from ..runtime.errors import BadInput
from .nearest import choosing, pool_of
from .voting import Vote, voters

Demo = Mapping[str, Any]
"""One demonstration: field names to JSON values."""
KNOBS = "@knobs"
"""Where a candidate's JSON keeps its knobs."""
OTHERS = "@others"
"""Where it keeps those that vote with it."""


@dataclass(frozen=True)
class PredictorState:
    """What one predictor is told."""

    instructions: str
    demos: tuple[Demo, ...] = ()
    pool: tuple[Demo, ...] = ()
    """If there are any: of these as many as there are demonstrations are shown, those nearest to the input. What
    ``demos`` holds is then shown by plain DSPy alone."""

    @property
    def shown(self) -> tuple[tuple[Demo, ...], tuple[Demo, ...]]:
        """All that decides on the demonstrations: a part that is taken over as a whole."""
        return self.demos, self.pool

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        body = {"instructions": self.instructions, "demos": [dict(demo) for demo in self.demos]}
        return {**body, "pool": [dict(demo) for demo in self.pool]} if self.pool else body


@dataclass(frozen=True)
class Candidate:
    """Predictor name to what it is told, in the program's order. Equal candidates have equal digests."""

    predictors: Mapping[str, PredictorState]
    origins: tuple[str, ...] = ()
    """Digests of the candidates that it was made from, where its maker said so; no part of its identity."""
    knobs: Mapping[str, Value] = field(default_factory=dict)
    """By path, what the task's knobs are set to; those that are not here stay as the program has them."""
    others: tuple[Candidate, ...] = ()
    """Candidates that answer too: the majority's answer is taken, of equals this one's, then that of the first of them
    (``voting``). Plain DSPy shows what this one shows."""

    @classmethod
    def of(cls, program: dspy.Module, knobs: Iterable[str] = ()) -> Candidate:
        """What a program's predictors are told now (those of frozen sub-modules are left as they are).

        Args:
            knobs: paths of the knobs to read too.
        """
        knobs = tuple(knobs)
        program, *others = voters(program)
        return cls(
            {
                name: PredictorState(
                    predictor.signature.instructions,
                    tuple({str(k): as_json(v) for k, v in dict(demo).items()} for demo in predictor.demos),
                    pool_of(predictor),
                )
                for name, predictor in program.named_predictors()
            },
            knobs=read(program, knobs),
            others=tuple(cls.of(other, knobs) for other in others),
        )

    def apply(self, program: dspy.Module) -> dspy.Module:
        """A copy of the program that is told this; the program itself is not touched.

        Raises:
            BadInput: if the program has other predictors, or lacks a knob.
        """
        made = voters(program)[0].deepcopy()
        found = dict(made.named_predictors())
        if found.keys() != self.predictors.keys():
            raise BadInput(
                f"this candidate is for predictors {', '.join(self.predictors) or 'none'}, "
                f"and the program has {', '.join(found) or 'none'}"
            )
        for name, state in self.predictors.items():
            predictor = found[name]
            if predictor.signature.instructions != state.instructions:
                predictor.signature = predictor.signature.with_instructions(state.instructions)
            predictor.demos = [dspy.Example(**demo) for demo in state.demos]
            choosing(predictor, state.pool)
        put(made, self.knobs)
        if not self.others:
            return made
        return Vote([made, *(other.apply(program) for other in self.others)])

    def with_state(self, name: str, **changes: Any) -> Candidate:
        """Another candidate in which one predictor is told something else; other demonstrations take the pool away.

        Those that vote with this one do not vote with the other; nor do they when knobs are set otherwise.
        """
        changes = {"pool": (), **changes} if "demos" in changes else changes
        return Candidate({**self.predictors, name: replace(self.predictors[name], **changes)}, knobs=self.knobs)

    def with_knobs(self, values: Mapping[str, Value]) -> Candidate:
        """Another candidate in which these knobs are set otherwise."""
        return Candidate(self.predictors, knobs={**self.knobs, **values})

    def made_from(self, *parents: Candidate) -> Candidate:
        """The same candidate, which says what it was made from."""
        return replace(self, origins=tuple(parent.digest for parent in parents))

    @property
    def voices(self) -> tuple[Candidate, ...]:
        """The candidates that vote, each alone; a candidate without others is its only one."""
        return (replace(self, others=()), *self.others) if self.others else (self,)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return digest(self.dump())

    @cached_property
    def marks(self) -> dict[str, str]:
        """By predictor, a digest of what it is told."""
        return {name: digest(state.dump()) for name, state in self.predictors.items()}

    @cached_property
    def length(self) -> int:
        """Characters of instructions and demonstrations; of equals, the shorter is preferred."""
        told = {name: replace(state, pool=()).dump() for name, state in self.predictors.items()}
        return len(canonical(told)) + sum(other.length for other in self.others)

    def dump(self) -> dict[str, Any]:
        """As JSON; knobs and others, where there are any, stand under names that no predictor can have."""
        told: dict[str, Any] = {name: state.dump() for name, state in self.predictors.items()}
        if self.knobs:
            told[KNOBS] = dict(self.knobs)
        if self.others:
            told[OTHERS] = [other.dump() for other in self.others]
        return told

    @classmethod
    def load(cls, body: Mapping[str, Any]) -> Candidate:
        """The inverse of ``dump``."""
        told = {name: state for name, state in body.items() if name not in (KNOBS, OTHERS)}
        return cls(
            {
                name: PredictorState(state["instructions"], tuple(state["demos"]), tuple(state.get("pool", ())))
                for name, state in told.items()
            },
            knobs=dict(body.get(KNOBS, {})),
            others=tuple(cls.load(other) for other in body.get(OTHERS, ())),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Candidate) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def short(candidate: Candidate) -> str:
    """A line about a candidate for people."""
    if candidate.others:
        return f"a vote of {len(candidate.voices)}: " + " | ".join(short(one) for one in candidate.voices)
    parts = []
    for name, state in candidate.predictors.items():
        first = state.instructions.strip().splitlines()[0] if state.instructions.strip() else ""
        nearest = "nearest " if state.pool else ""
        parts.append(f"{name}: {len(state.demos)} {nearest}demos, {first[:60]!r}")
    return "; ".join([*parts, *(f"{name} = {value}" for name, value in candidate.knobs.items())])


def demos_from(examples: Sequence[dspy.Example], fields: Sequence[str]) -> list[Demo]:
    """Demonstrations from labelled examples: the given fields of those examples that have them all."""
    return [
        {field: as_json(example[field]) for field in fields}
        for example in examples
        if all(field in example and example[field] is not None for field in fields)
    ]
