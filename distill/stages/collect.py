"""Collect: run the compiled program on the training inputs and keep what its predictors answered."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dspy

from ...eval.runner import Job, Outcome, Runner
from ...optimizers.compiled import CompiledProgram
from ...optimizers.proposers.base import without
from ...optimizers.voting import mark_predictors, name_of
from ...runtime.errors import BadInput, BudgetExhausted
from ...runtime.internals import format_field_value
from ..settings import check_settings
from ..state import DistillState, Pair
from ..students.formats import written
from .votes import agreed, tops_of

FIRST, MOST = 8, 64
"""Examples asked for at a time: rounds grow from the first size to the largest. One that does not fit the budget is
left out as a whole, so that small rounds come first: a small budget gives something, too."""

Rows = dict[str, list[Pair]]


@dataclass(frozen=True)
class Collect:
    """Training rows from the runs of one teacher or several, per predictor by its name.

    A teacher is not shown the example it is asked about. Runs that the journal knows (from compiling, for one) are
    free. Examples without labels are not scored: what was answered there is kept, whatever ``keep`` says, and can be
    filtered by its confidence.
    """

    keep: Literal["passing", "weighted", "all"] = "passing"
    """Runs that the metric scores 1; or every run that it scores above 0, weighted by the score; or all, with no
    metric asked."""
    samples: int = 1
    """Answers for each input and teacher; several answers are votes: their shares become soft labels, and the share
    that agrees is the row's confidence."""
    temperature: float = 0.7
    """Of the samples after the first."""
    logprobs: int = 0
    """Log-probabilities of so many alternatives to each token of the answer, for token-level distillation."""
    dev: bool = False
    """Whether the teacher is run on dev inputs too, for early stopping; a gate asks for the same runs later."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.samples < 1 or not 0 <= self.logprobs <= 20:
            asked = f"Collect(samples={self.samples}, logprobs={self.logprobs})"
            raise BadInput(f"{asked}: expected samples of 1 or more, and logprobs from 0 to 20")
        if not 0 <= self.temperature < math.inf:
            raise BadInput(f"Collect(temperature={self.temperature}): expected 0 or more")

    @property
    def name(self) -> str:
        """``collect``."""
        return "collect"

    def run(self, state: DistillState) -> DistillState:
        """Rows for every predictor that answered."""
        found: Rows = {name: [] for name, _ in state.task.program.named_predictors()}
        asked, kept, stopped = 0, 0, state.stopped
        for places in _rounds(len(state.task.train)):
            state.session.ledger.begin_round()
            try:
                runs = self._ask(state, state.task.train, places, "train")
                if not state.session.ledger.round_holds():
                    raise BudgetExhausted("no further round fits")
            except BudgetExhausted:
                stopped = f"the budget of {state.session.ledger.budget} ended it after {asked} examples"
                break
            asked += len(places)
            kept += sum(self._enter(found, state.task.is_labelled, one) for one in runs)
        if stopped and not asked:
            first = min(FIRST, len(state.task.train))
            raise BudgetExhausted(f"the budget of {state.session.ledger.budget} does not reach for {first} examples")
        if not any(found.values()):
            raise BadInput(
                f"the teacher passes nothing: of {asked} training examples none was answered "
                f"{'readably' if self.keep == 'all' else 'to the metric'}; compile a better program first, or keep "
                "more of its answers (keep = 'weighted' or 'all')"
            )
        pairs = {name: tuple(rows) for name, rows in found.items() if rows}
        notes = [f"kept {kept} of {asked} examples ({self.keep})"]
        unlabelled = sum(not state.task.is_labelled(e) for e in state.task.train[:asked])
        if unlabelled and self.keep != "all":
            notes.append(f"{unlabelled} without a label, kept as answered")
        if uncalled := [name for name in found if name not in pairs]:
            notes.append(f"no student for {', '.join(uncalled)}: no run that was kept called it")
        if state.others:
            notes.append(f"votes of {1 + len(state.others)} teachers")
        return state.with_effect(
            self.name, len(state.task.train), *notes, *([stopped] if stopped else []),
            pairs=pairs, stopped=stopped, dev_pairs=self._dev(state) if self.dev and not stopped else {},
        )  # fmt: skip

    def _dev(self, state: DistillState) -> dict[str, tuple[Pair, ...]]:
        """The first teacher's rows on dev, whatever the metric says of them; none where the budget ends it."""
        found: Rows = {name: [] for name, _ in state.task.program.named_predictors()}
        try:
            for job, outcome in self._runs(state, state.teacher, state.task.dev, range(len(state.task.dev)), "dev", 0):
                _enter_rows(found, [(job, outcome, True)], alone=True)
        except BudgetExhausted:
            return {}
        return {name: tuple(rows) for name, rows in found.items() if rows}

    def _ask(
        self, state: DistillState, examples: Sequence[dspy.Example], places: Sequence[int], split: str
    ) -> list[list[tuple[Job, Outcome]]]:
        """For every example its runs: by teacher, then by sample."""
        parts = [
            self._runs(state, teacher, examples, places, split, sample)
            for teacher in (state.teacher, *state.others)
            for sample in range(self.samples)
        ]
        return [list(one) for one in zip(*parts, strict=True)]

    def _runs(
        self, state: DistillState, teacher: CompiledProgram, examples: Sequence[dspy.Example], places: Sequence[int],
        split: str, sample: int,
    ) -> list[tuple[Job, Outcome]]:  # fmt: skip
        """Every example run once, in order; only examples with a label are scored."""
        jobs = []
        for place in places:
            program = without(teacher.candidate, examples[place]).apply(state.task.program)
            more: dict[str, Any] = {"temperature": self.temperature, "rollout_id": sample} if sample else {}
            if self.logprobs:
                more |= {"logprobs": True, "top_logprobs": self.logprobs}  # as OpenAI spells it, and so DSPy
            mark_predictors(program)
            for predictor in program.predictors() if more else ():
                predictor.config = {**predictor.config, **more}
            jobs.append(Job(program, examples[place], place, split))
        scored = [self.keep != "all" and split == "train" and state.task.is_labelled(job.example) for job in jobs]
        lm = teacher.lm.on(state.session)
        outcomes: dict[int, Outcome] = {}
        for metric, which in ((state.task.metric, True), (None, False)):
            part = [n for n, flag in enumerate(scored) if flag is which]
            done = Runner(lm, metric, adapter=teacher.adapter).run([jobs[n] for n in part], trace=True) if part else []
            outcomes.update(zip(part, done, strict=True))
        return [(job, outcomes[n]) for n, job in enumerate(jobs)]

    def _enter(self, found: Rows, labelled: Callable[[dspy.Example], bool], runs: list[tuple[Job, Outcome]]) -> int:
        """Add the rows of one example; whether there were any."""
        judged = []
        for job, outcome in runs:
            if outcome.prediction is not None:
                score = outcome.row.score or 0.0  # what the metric abstains from is not learned
                fit = score >= 1 or (self.keep == "weighted" and score > 0)
                judged.append((job, outcome, fit or self.keep == "all" or not labelled(job.example)))
        return int(_enter_rows(found, judged, alone=len(runs) == 1))


def _rounds(count: int) -> Iterator[range]:
    """Places of 8, 8, 16, 32, and then always 64 examples."""
    start = 0
    while start < count:
        end = min(count, start + min(MOST, max(FIRST, start)))
        yield range(start, end)
        start = end


def _enter_rows(found: Rows, runs: Sequence[tuple[Job, Outcome, bool]], *, alone: bool) -> bool:
    votes: dict[str, list[tuple[Pair, bool]]] = {}
    for job, outcome, fit in runs:
        for predictor, inputs, prediction in outcome.trace:
            name = name_of(predictor)
            if name is not None:
                row = _pair(job.id, predictor, inputs, prediction, outcome.row.score)
                votes.setdefault(name, []).append((row, fit))
    added = False
    for name, rows in votes.items():
        kept = [row for row, fit in rows if fit] if alone else agreed(rows)
        found[name] += kept
        added = added or bool(kept)
    return added


def _pair(example: str, predictor: Any, inputs: Any, prediction: Any, score: float | None) -> Pair:
    signature = predictor.signature
    said = prediction.get("logprobs")
    return Pair(
        example,
        {n: str(format_field_value(f, inputs[n])) for n, f in signature.input_fields.items() if n in inputs},
        {n: written(f, prediction[n]) for n, f in signature.output_fields.items() if n in prediction},
        1.0 if score is None else score,
        score=score,
        tokens=tops_of(said) if said is not None else None,
    )
