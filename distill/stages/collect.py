"""Collect: run the compiled program on the training inputs and keep what its predictors answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import dspy

from ...eval.runner import Job, Outcome, Runner
from ...optimizers.proposers.base import without
from ...runtime.errors import BadInput, BudgetExhausted
from ...runtime.internals import format_field_value
from ..state import DistillState, Pair

ROUND = 64
"""Examples asked for at a time; a round that does not fit the budget is left out as a whole."""


@dataclass(frozen=True)
class Collect:
    """Training rows from the teacher's runs, per predictor by its name.

    The teacher is not shown the example it is asked about. Runs that the journal knows (from compiling, for one)
    are free.
    """

    keep: Literal["passing", "weighted", "all"] = "passing"
    """Runs that the metric scores 1; or every run that it scores above 0, weighted by the score; or all (for
    training inputs without labels)."""
    samples: int = 1
    """Answers for each input; with several, their shares become soft labels."""
    temperature: float = 0.7
    """Of the samples after the first."""

    @property
    def name(self) -> str:
        """``collect``."""
        return "collect"

    def run(self, state: DistillState) -> DistillState:
        """Rows for every predictor that answered."""
        lm = state.teacher.lm.on(state.session)
        metric = None if self.keep == "all" else state.task.metric
        runner = Runner(lm, metric, adapter=state.teacher.adapter)
        found: dict[str, list[Pair]] = {name: [] for name, _ in state.task.program.named_predictors()}
        asked, kept, stopped = 0, 0, state.stopped
        for start in range(0, len(state.task.train), ROUND):
            jobs = self._jobs(state, range(start, min(start + ROUND, len(state.task.train))))
            state.session.ledger.begin_round()
            try:
                outcomes = [runner.run(part, trace=True) for part in jobs]
                if not state.session.ledger.round_holds():
                    raise BudgetExhausted("no further round fits")
            except BudgetExhausted:
                stopped = f"the budget of {state.session.ledger.budget} ended it after {asked} examples"
                break
            asked += len(jobs[0])
            for row, job in enumerate(jobs[0]):
                runs = [(part[row], outs[row]) for part, outs in zip(jobs, outcomes, strict=True)]
                kept += self._enter(found, job.id, runs)
        if stopped and not asked:
            first = min(ROUND, len(state.task.train))
            raise BudgetExhausted(f"the budget of {state.session.ledger.budget} does not reach for {first} examples")
        if not any(found.values()):
            raise BadInput(
                f"the teacher passes nothing: of {asked} training examples none was answered "
                f"{'readably' if self.keep == 'all' else 'to the metric'}; compile a better program first, or keep "
                "more of its answers (keep = 'weighted' or 'all')"
            )
        pairs = {name: tuple(rows) for name, rows in found.items() if rows}
        notes = [f"kept {kept} of {asked} examples ({self.keep})", *([stopped] if stopped else [])]
        return state.with_effect(self.name, len(state.task.train), *notes, pairs=pairs, stopped=stopped)

    def _jobs(self, state: DistillState, places: Sequence[int]) -> list[list[Job]]:
        """One list of jobs for each sample."""
        made = []
        for sample in range(self.samples):
            jobs = []
            for place in places:
                example = state.task.train[place]
                program = without(state.teacher.candidate, example).apply(state.task.program)
                if sample:
                    for predictor in program.predictors():
                        predictor.config = {
                            **predictor.config, "temperature": self.temperature, "rollout_id": sample,
                        }  # fmt: skip
                jobs.append(Job(program, example, place, "train"))
            made.append(jobs)
        return made

    def _enter(self, found: dict[str, list[Pair]], example: str, runs: list[tuple[Job, Outcome]]) -> int:
        """Add the rows of one example; whether there were any."""
        votes: dict[str, list[Pair]] = {}
        for job, outcome in runs:
            weight = 1.0 if self.keep == "all" else outcome.row.score or 0.0
            if outcome.prediction is None or weight <= 0 or (self.keep == "passing" and weight < 1):
                continue
            names = {id(predictor): name for name, predictor in job.program.named_predictors()}
            for predictor, inputs, prediction in outcome.trace:
                name = names.get(id(predictor))
                if name is not None:
                    votes.setdefault(name, []).append(_pair(example, predictor, inputs, prediction, weight))
        for name, rows in votes.items():
            if self.samples == 1:
                found[name] += rows
            else:
                found[name] += _agreed(rows)
        return int(bool(votes))


def _pair(example: str, predictor: Any, inputs: Any, prediction: Any, weight: float) -> Pair:
    signature = predictor.signature
    return Pair(
        example,
        {n: str(format_field_value(f, inputs[n])) for n, f in signature.input_fields.items() if n in inputs},
        {n: str(format_field_value(f, prediction[n])) for n, f in signature.output_fields.items() if n in prediction},
        weight,
    )


def _agreed(rows: list[Pair]) -> list[Pair]:
    """One row for each input: its commonest answer, with the shares of all as soft labels."""
    merged: dict[tuple[tuple[str, str], ...], list[Pair]] = {}
    for row in rows:
        merged.setdefault(tuple(row.inputs.items()), []).append(row)
    found = []
    for same in merged.values():
        labels = [_label(row) for row in same]
        shares = Counter(labels)
        first = next(row for row in same if _label(row) == shares.most_common(1)[0][0])
        found.append(replace(first, soft={label: count / len(labels) for label, count in sorted(shares.items())}))
    return found


def _label(row: Pair) -> str:
    return "\n".join(value for name, value in row.outputs.items() if name != "reasoning")


@dataclass(frozen=True)
class Gold:
    """Training rows from the training examples' own labels; no teacher is asked. For programs of one predictor."""

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
        rows = [row for place, e in enumerate(state.task.train) if (row := _gold(predictor, e, place)) is not None]
        if not rows:
            needed = ", ".join(field for field in predictor.signature.output_fields if field != "reasoning")
            raise BadInput(f"no training example has a label ({needed}): collect a teacher's answers instead")
        return state.with_effect(self.name, len(state.task.train), pairs={name: tuple(rows)})


def _gold(predictor: Any, example: dspy.Example, place: int) -> Pair | None:
    signature = predictor.signature
    if any(f not in example or example[f] is None for f in signature.fields if f != "reasoning"):
        return None
    present = {n: f for n, f in signature.output_fields.items() if n in example}
    mark = example.get("id")
    return Pair(
        f"train[{place}]" if mark is None else str(mark),
        {n: str(format_field_value(f, example[n])) for n, f in signature.input_fields.items()},
        {n: str(format_field_value(f, example[n])) for n, f in present.items()},
    )
