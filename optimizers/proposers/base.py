"""Where candidates come from: the proposer's contract, and what proposers are grounded in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any, Protocol, runtime_checkable

import dspy

from ...eval.evaluate import check_answers
from ...eval.rows import Row
from ...eval.runner import Job, Runner
from ...programs.knobs import Space
from ...runtime.canonical import as_json
from ...runtime.internals import AdapterParseError, LMError
from ...runtime.lm import LM
from ..candidate import Candidate, Demo, PredictorState
from ..history import History
from ..voting import mark_predictors, name_of


def fresh(history: History, drawn: Iterable[Candidate], n: int) -> list[Candidate]:
    """The first ``n`` of those drawn that the history has not, no two alike. No more are drawn than that takes."""
    made: list[Candidate] = []
    for candidate in drawn:
        if candidate not in made and not history.has(candidate):
            made.append(candidate)
        if len(made) == n:
            break
    return made


@runtime_checkable
class Proposer(Protocol):
    """Makes candidates. It may run programs on training examples through its ``Ground``; dev rows it never sees.

    ``propose`` is a function of the history, the stream of chance and the journal: called twice with equal
    arguments it returns equal candidates. It keeps nothing between calls. It returns at most ``n`` candidates,
    fewer (or none) when it has nothing new: none that the history has, and no two alike. It raises nothing but
    what the runner raises (``Stop``).
    """

    @property
    def name(self) -> str:
        """What to call it in the list of trials."""
        ...

    def propose(self, history: History, rng: Random, n: int) -> Sequence[Candidate]:
        """Up to ``n`` new candidates."""
        ...


@dataclass(frozen=True)
class Step:
    """One predictor call in a run: what it was given and what it answered."""

    predictor: str
    demo: Demo
    """Inputs and outputs by field name."""


@dataclass(frozen=True)
class Attempt:
    """A run on a training example."""

    place: int
    """The example's place in train."""
    row: Row
    """Its score, the metric's feedback, or why there is no answer."""
    steps: tuple[Step, ...]
    """Its predictor calls in order, as far as they brought readable answers."""


@dataclass(frozen=True)
class Ground:
    """What proposers stand on: the declared program and the training examples, and a way to run programs on them."""

    program: dspy.Module
    train: Sequence[dspy.Example]
    runner: Runner
    """Scores with the task's metric."""
    prompt_lm: LM
    """Writes instructions."""
    seed: int = 0
    """For choices that must be the same in every call; all others come from the stream that a call is handed."""
    knobs: Space = field(default_factory=dict)
    """What the task's knobs may be."""

    @cached_property
    def baseline(self) -> Candidate:
        """The program as declared."""
        return Candidate.of(self.program, self.knobs)

    @cached_property
    def fields(self) -> dict[str, tuple[str, ...]]:
        """Every predictor's fields, inputs first."""
        return {name: tuple(p.signature.fields) for name, p in self.program.named_predictors()}

    def outputs(self, predictor: str) -> tuple[str, ...]:
        """A predictor's output fields but reasoning."""
        signature = dict(self.program.named_predictors())[predictor].signature
        return tuple(field for field in signature.output_fields if field != "reasoning")

    def labelled(self, predictor: str) -> list[tuple[int, Demo]]:
        """Training examples that have all of a predictor's fields but reasoning, as (place, demo)."""
        signature = dict(self.program.named_predictors())[predictor].signature
        needed = [f for f in signature.fields if f != "reasoning"]
        return [
            (place, {f: as_json(e[f]) for f in signature.fields if f in e})
            for place, e in enumerate(self.train)
            if all(f in e and e[f] is not None for f in needed)
        ]

    def attempts(self, candidate: Candidate, places: Sequence[int], lm: LM | None = None) -> list[Attempt]:
        """Run a candidate on training examples, and tell in the order of ``places`` what became of each.

        It runs on the program's own model, or on ``lm``.

        A candidate is not shown the example it is run on: demonstrations with the same inputs are taken out.
        """
        jobs = []
        for place in places:
            program = without(candidate, self.train[place]).apply(self.program)
            mark_predictors(program)
            jobs.append(Job(program, self.train[place], place, "train"))
        runner = self.runner if lm is None else self.runner.on(lm)
        found: list[Attempt] = []
        for place, outcome in zip(places, runner.run(jobs, trace=True), strict=True):
            steps = tuple(
                Step(name, {k: as_json(v) for k, v in {**inputs, **dict(prediction)}.items()})
                for predictor, inputs, prediction in outcome.trace
                if (name := name_of(predictor)) is not None
            )
            found.append(Attempt(place, outcome.row, steps))
        return found

    def write(self, signature: type[dspy.Signature], request: Mapping[str, str], rollout: int) -> str:
        """The ``instruction`` that the prompt model gives; empty if the call fails or nobody can read its answer."""
        writer = dspy.Predict(signature)
        try:
            with dspy.context(lm=self.prompt_lm, adapter=self.runner.adapter, disable_history=True, trace=None):
                answer: Any = writer(**request, config={"temperature": 1.0, "rollout_id": rollout})
        except (AdapterParseError, LMError):
            return ""
        return str(answer.instruction).strip()

    def traces(self, candidate: Candidate, places: Sequence[int], lm: LM | None = None) -> dict[int, list[Step]]:
        """Run a candidate on training examples, on the program's own model or on ``lm``; by place, the steps of those
        runs that the metric accepts wholly."""
        return {
            attempt.place: list(attempt.steps)
            for attempt in self.attempts(candidate, places, lm)
            if attempt.row.score is not None and attempt.row.score >= 1.0
        }

    def check_answers(self, rows: int = 8) -> None:
        """Raises BadInput if the declared program brings no readable answer on the first training examples."""
        jobs = [Job(self.program, example, place, "train") for place, example in enumerate(self.train[:rows])]
        check_answers("the program", [outcome.row for outcome in self.runner.run(jobs)])


def without(candidate: Candidate, example: dspy.Example) -> Candidate:
    """The candidate without demonstrations that share an example's inputs."""
    inputs = {name: as_json(value) for name, value in example.inputs().items()}

    def same(demo: Demo) -> bool:
        shared = [name for name in inputs if name in demo]
        return bool(shared) and all(demo[name] == inputs[name] for name in shared)

    def other(state: PredictorState) -> PredictorState:
        pool = tuple(demo for demo in state.pool if not same(demo))
        demos = state.demos if pool else tuple(demo for demo in state.demos if not same(demo))
        return PredictorState(state.instructions, demos, pool)  # as many of a pool are shown as there are demos

    states = {name: other(state) for name, state in candidate.predictors.items()}
    others = tuple(without(other, example) for other in candidate.others)
    return Candidate(states, knobs=candidate.knobs, others=others)
