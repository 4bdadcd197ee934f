"""What a compilation may cost, before anything is spent: prompts are rendered, no model is called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import dspy

from ..programs import metrics
from ..programs.task import CompileView, Task
from ..runtime.adapters import adapter_named
from ..runtime.budget import Budget, Cost, scaled
from ..runtime.lm import LM
from ..runtime.models import Model, lm_for
from ..runtime.wire import Request, media_in
from .candidate import Candidate, demos_from
from .config import Bootstrap, Dspy, FewShot, Optimizer, ZeroShot, optimizer_of
from .objective import Objective, objective_of
from .plan import shares
from .proposers.ensembles import MOST
from .proposers.reflected import BATCH, TRIES
from .race import Race
from .selection import Selection

SAMPLE = 16
"""Examples whose prompts are rendered."""


@dataclass(frozen=True)
class Estimate:
    """Bounds of what a compilation may cost. Each predictor is taken to be called once per example, and a judge too; an
    answer that cannot be read is one call more, in which DSPy asks for JSON."""

    low: Cost
    """Zero-shot prompts and short answers, for the evaluations that the search cannot do without."""
    high: Cost
    """Prompts full of demonstrations and answers of full length, for every evaluation that it may make."""
    budget: Budget
    known: bool
    """Whether the search's size is known; DSPy's optimizers, and proposers of one's own, decide as they go."""
    priced: bool = True
    """Whether the prices of the model and of a judge are known."""
    measured: bool = True
    """Whether all of the prompts is counted: images, sounds and files are where the model has ``media_tokens``."""

    def __str__(self) -> str:
        def line(cost: Cost) -> str:
            price = f"${cost.usd:,.4g}" if self.priced else "price unknown"
            return f"{cost.calls:,} calls, {cost.tokens:,} tokens, {price}"

        size = "" if self.known else " (DSPy decides the size of its search; this is a guess)"
        size += "" if self.measured else "\nimages, sounds and files are not counted: set media_tokens of the model"
        capped = f"\ncapped by the budget: {self.budget}" if self.budget.caps() else "\nno budget is set"
        return f"at least {line(self.low)}\nat most  {line(self.high)}{size}{capped}"


def estimate(
    task: Task | CompileView,
    lm: Model,
    optimizer: str | Optimizer = "race",
    budget: Budget | None = None,
    seed: int = 0,
    objective: str | Objective = "score",
) -> Estimate:
    """What ``compile`` with the same arguments may cost; nothing is spent."""
    view = task.compile_view if isinstance(task, Task) else task
    chosen, model = optimizer_of(optimizer), lm_for(lm)
    least, most, known = _evaluations(view, chosen, seed, objective_of(objective).several)
    demos = getattr(chosen, "demos", getattr(chosen, "k", 0 if isinstance(chosen, ZeroShot) else 4))
    bare, full = _per_example(view, model, 0), _per_example(view, model, demos)
    low = Cost(bare.calls, bare.tokens // 2, bare.pico // 2)  # answers rarely use the room they may
    priced = getattr(model.door.engine, "priced", True) and metrics.asks(view.metric, view.dev[0])[1]
    measured = getattr(model.door.engine, "media_tokens", 0) is not None or not any(
        media_in(request) for request in _requests(view, model, view.dev[0], 0)
    )
    return Estimate(scaled(low, least), scaled(full, most), budget or Budget(), known, priced, measured)


def _evaluations(view: CompileView, chosen: Optimizer, seed: int, several: bool) -> tuple[int, int, bool]:
    """(least, most) runs of the program, and whether that is certain."""
    if isinstance(chosen, ZeroShot | FewShot):
        return 0, 0, True
    if isinstance(chosen, Bootstrap):
        return min(chosen.pool, len(view.train)), min(chosen.pool, len(view.train)), True
    race = chosen if isinstance(chosen, Race) else Race(confirm=chosen.confirm)
    rows = Selection.of(view.dev, race.confirm, seed)
    confirm = 2 * len(rows.confirm)
    if isinstance(chosen, Dspy):
        return len(rows.choose) + confirm, 30 * len(rows.choose) + confirm, False
    first = min(race.candidates, race.patience) * min(race.block, len(rows.choose))
    share = shares(race, view.program, view.train, bool(view.knobs))
    # Calls are made for twice a proposer's share at the most; every bootstrapping may have another teacher.
    bootstrapped = 2 * share["bootstrapped"] * min(race.pool, len(view.train))
    rewritten = 2 * share["reflected"] * TRIES * min(BATCH, len(view.train))
    if several:  # the front may hold all of them
        confirm = race.candidates * len(rows.confirm)
    runs = race.candidates * len(rows.choose)
    if share["ensembles"]:  # whoever wins or is on the front may be a vote, and those who vote may have met little
        confirm, runs = MOST * confirm, runs + share["ensembles"] * (MOST - 1) * len(rows.choose)
    return first, runs + bootstrapped + rewritten + confirm, not race.proposers  # whose calls nobody knows


def _per_example(view: CompileView, lm: LM, demos: int) -> Cost:
    """The bound of running every predictor once, and of what the metric asks, averaged over some dev examples."""
    total = Cost()
    rows = view.dev[:SAMPLE]
    for example in rows:
        total += metrics.asks(view.metric, example)[0]
        for request in _requests(view, lm, example, demos):
            total += lm.door.engine.bound(request)
    count = max(1, len(rows))
    return Cost(total.calls // count, total.tokens // count, total.pico // count)


def _requests(view: CompileView, lm: LM, example: dspy.Example, demos: int) -> Iterator[Request]:
    """What every predictor would ask, once each; of inputs that another predictor makes, some letters."""
    adapter = adapter_named(view.adapter)
    for name, predictor in view.program.named_predictors():
        fields = list(predictor.signature.fields)
        shown = [dspy.Example(**demo) for demo in demos_from(view.train, fields)[:demos]]
        state = Candidate.of(view.program).predictors[name]
        inputs = {f: example.get(f, "x" * 200) for f in predictor.signature.input_fields}
        chat = adapter.format(predictor.signature, shown or [dspy.Example(**d) for d in state.demos], inputs)
        body = {"model": lm.model, "messages": chat, "max_tokens": lm.kwargs.get("max_tokens")}
        yield dspy.lm15.request_from_openai_chat({key: value for key, value in body.items() if value is not None})
