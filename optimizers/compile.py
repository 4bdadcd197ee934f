"""``compile``: from a task and a model to a better program, within a budget, with honest evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..eval.runner import Job, Runner
from ..programs.knobs import dump as dump_knobs
from ..programs.task import CompileView, Task
from ..runtime.budget import Budget, budget_of
from ..runtime.cassette import export
from ..runtime.derive import derive, seed_of
from ..runtime.errors import BadInput, BudgetExhausted
from ..runtime.home import default_journal, run_folder
from ..runtime.lm import LM
from ..runtime.models import Model, adopt, lm_for
from ..runtime.progress import Bar, progress
from ..runtime.rundir import RunDir
from ..runtime.session import Session
from .candidate import Candidate
from .compiled import CompiledProgram, dump_program
from .config import Bootstrap, Dspy, FewShot, Optimizer, ZeroShot, dump, kept_apart, optimizer_of
from .confirming import Confirmed, confirm, no_better
from .dspy_optimizers import run_dspy_optimizer
from .front import LEVEL, Front, front_of
from .history import History, Trial
from .live import Live
from .loop import BUDGET, Found, search
from .objective import Objective, objective_of
from .portfolio import accounts
from .proposers import BootstrappedDemos, Ground, LabeledDemos
from .race import Race
from .race import front as race_front
from .remarks import price, remarks
from .selection import Selection
from .together import check_shareable, together
from .verdict import Evidence

RESERVE = 0.2
"""Share of every cap that is kept for confirming the winner's gain, or those of a front."""


@dataclass(frozen=True)
class Where:
    """Where a run lies, what its result is called, and on whose account it calls models."""

    folder: Path | str | None = None
    """The run directory; one named after the work, under ``runs``, by default."""
    session: Session | None = None
    """A session to work within (its journal, its budget); one on the default journal otherwise."""
    replace: bool = False
    """Whether to give up an earlier run of another configuration in the same directory."""
    name: str | None = None
    """What to call the result in boards; the task and how it was made by default."""
    storage: Any = None
    """An Optuna storage or its address (``runtime/storages.py``): the run is a study there while it lasts, and all
    processes that are given the same work and storage do it together, with the result of one."""


def compile(
    task: Task | CompileView,
    lm: Model,
    optimizer: str | Optimizer = "race",
    budget: Budget | None = None,
    seed: int = 0,
    *,
    objective: str | Objective = "score",
    prompt_lm: Model | None = None,
    concurrency: int | None = None,
    run: Path | str | Where | None = None,
) -> CompiledProgram:
    """Find instructions and demonstrations that make a task's program good on a model.

    Args:
        task: what to compile; its test split is never looked at.
        lm: the model that the program will run on.
        optimizer: ``race`` (the default), ``zero-shot``, ``k-shot``, ``bootstrap``, ``dspy:NAME``, or a value of
            ``dstill.optimizers`` (``Race(candidates=48)``).
        budget: caps on calls, tokens, dollars or seconds; when one is reached, the best so far is returned.
        seed: everything that is left to chance follows from it.
        objective: ``score``; or with it any of ``cost``, ``latency`` and ``prompt_tokens``, as ``score,prompt_tokens``:
            then the race keeps whoever is best at its price, and ``.front`` holds the programs of which none is better
            in everything. ``.pick`` takes another one of them, for nothing. Latency is what the journal recorded when
            a call was paid for, so a replay decides as the run did, while another run may not.
        prompt_lm: the model that writes instructions; ``lm`` by default.
        concurrency: engine calls in flight.
        run: the run directory, or a ``Where``. Calling again with equal arguments goes on where an interrupted run
            ended; nothing is paid for twice.

    Returns:
        the program with its evidence; ``.verdict`` says what may be claimed.

    Raises:
        BadInput: for arguments that make no sense, or a model that answers in no readable form.
        Stop: if the model, the metric or the journal failed.
    """
    view = task.compile_view if isinstance(task, Task) else task
    if not isinstance(view, CompileView):
        raise BadInput(f"compile(task={task!r}): expected a dstill.Task")
    chosen = optimizer_of(optimizer)
    where = run if isinstance(run, Where) else Where(run)
    models = lm_for(lm), lm_for(prompt_lm if prompt_lm is not None else lm)
    goals = _possible(objective_of(objective), chosen, models[0])
    config = {
        "task": view.name, "source": view.source and dict(view.source), "data": view.digests, "adapter": view.adapter,
        "lm": model_config(models[0]), "prompt_lm": model_config(models[1]),
        "optimizer": dump(chosen), "budget": budget_of(budget).caps(), "seed": seed_of(seed),
        **({"objective": goals.dump()} if goals.several else {}),
        **({"knobs": dump_knobs(view.knobs)} if view.knobs else {}),
    }  # fmt: skip
    label = where.name or f"{view.name} compiled ({dump(chosen)['name']})"

    def work(out: RunDir, parent: Session) -> CompiledProgram:
        session = Session(run=out.id, budget=budget, parent=parent)
        made = _Work(view, chosen, goals, session, models, seed, concurrency, label, out).do()
        export(session, out.file("cassette.jsonl.zst"))
        out.finish(stopped=made.evidence.stopped if made.evidence else None)
        return made

    folder = run_folder(where.folder, view.name, config)
    if where.storage is not None:
        check_shareable(chosen, budget_of(budget), where.session)
        return together(work, folder, view.name, config, where.storage, replace_other=where.replace)
    with RunDir(folder, kind="compile", config=config, replace=where.replace) as out:
        return work(out, where.session or Session(default_journal(out.path)))


@dataclass(frozen=True)
class _Work:
    """One compilation: search, confirm what was found, and write both down."""

    view: CompileView
    chosen: Optimizer
    goals: Objective
    session: Session
    models: tuple[LM, LM]
    seed: int
    concurrency: int | None
    label: str
    out: RunDir

    def do(self) -> CompiledProgram:
        """All of it."""
        inner = self._part("search", _divided(self.session.ledger.budget)[0])
        live = Live(inner.workers, self.out.config) if inner.workers is not None else None
        with progress(f"compile {self.view.name}") as bar:
            found = self._search(inner, live, bar)
            self.out.write_lines("trials.jsonl", (trial.dump() for trial in found.history.trials))
            points = race_front(found.history) if self.goals.several else [found.best]
            said = self._confirm(found, points, bar)
        made = self._result(found, points, said)
        if live is not None:
            assert made.evidence is not None
            live.end(found.history, made.evidence.best, made.verdict)
        return made

    @property
    def _race(self) -> Race:
        """How the dev split is divided, for DSPy's optimizers too."""
        return self.chosen if isinstance(self.chosen, Race) else Race(confirm=kept_apart(self.chosen))

    def _part(self, name: str, budget: Budget | None) -> Session:
        return Session(run=f"{self.session.run}/{name}", budget=budget, parent=self.session)

    def _on(self, session: Session) -> tuple[CompileView, Runner]:
        """The task and its runner on behalf of a part."""
        view = replace(self.view, program=adopt(self.view.program, session))
        lm = self.models[0].on(session)
        return view, Runner(lm, view.metric, adapter=view.adapter, concurrency=self.concurrency)

    def _search(self, inner: Session, live: Live | None, bar: Bar) -> Found:
        (view, runner), prompt_lm, chosen = self._on(inner), self.models[1].on(inner), self.chosen
        if isinstance(chosen, Race):
            told = live.show if live is not None else None
            return search(view, chosen, runner, inner, prompt_lm=prompt_lm, objectives=self.goals.names,
                          seed=self.seed, bar=bar, told=told)  # fmt: skip
        if isinstance(chosen, Dspy):
            return run_dspy_optimizer(
                chosen.name, dict(chosen.options), view, runner, lm=self.models[0].on(inner), prompt_lm=prompt_lm,
                race=self._race, seed=self.seed, bar=bar,
            )  # fmt: skip
        ground = Ground(view.program, view.train, runner, prompt_lm, self.seed, view.knobs)
        return _single(view, chosen, ground, self.seed)

    def _confirm(self, found: Found, points: Sequence[Trial], bar: Bar) -> Sequence[Confirmed]:
        """What the rows kept apart say of every point; nothing where there was no choice."""
        if not isinstance(self.chosen, Race | Dspy) or (found.best.number == 0 and not self.goals.several):
            return [Confirmed() for _ in points]
        bar.note("confirming the gain")
        # What a search that was cut off has spent depends on timing; the rest that was kept does not.
        last = self._part("confirm", _divided(self.session.ledger.budget)[1] if found.stopped == BUDGET else None)
        view, runner = self._on(last)
        level = 1 - (1 - LEVEL) / max(1, sum(trial.number != 0 for trial in points))
        candidates = [trial.candidate for trial in points]
        return confirm(view, self._race, runner, last, candidates, seed=self.seed, level=level, bar=bar)

    def _result(self, found: Found, points: Sequence[Trial], said: Sequence[Confirmed]) -> CompiledProgram:
        view, budget = self.view, self.session.ledger.budget
        stopped = f"the budget of {budget} is used up" if found.stopped == BUDGET else found.stopped
        reached = front_of(found.history, points, said) if self.goals.several and points else None
        point, picked = _picked(reached, self.goals)
        trial = point or found.best
        own = next((c for t, c in zip(points, said, strict=True) if t.number == trial.number != 0), Confirmed())
        trials, raced = found.history.trials, isinstance(self.chosen, Race)
        compared = not raced or any(t.scores for t in trials)
        best, stays = trial.candidate, tuple[str, ...]()
        # A front's point may be better in something else, and what DSPy chose may have no scores of ours.
        told = own.gain is not None or (raced and not self.goals.several)
        if trial.number and told and point is None and no_better(trial, trials[0], own):
            best, stays = Candidate.of(view.program, view.knobs), ("so the declared program stays",) * compared
        evidence = Evidence(
            dump(self.chosen)["name"], len(trials), trial.number, own.gain, own.spread, stopped, self._race.sought,
            (*stays, *remarks(found, self.chosen), *picked, *price(found.history, trial, best)),
            compared, own.lacking, self._race.confirm,
        )  # fmt: skip
        rows: dict[str, Sequence[str]] = {"choose": [], "won": own.won, "lost": own.lost}
        if isinstance(self.chosen, Race | Dspy):
            order = Selection.of(view.dev, self._race.confirm, self.seed).choose
            rows["choose"] = [Job(view.program, view.dev[row], row, "dev").id for row in order]
        made = CompiledProgram(
            self.label, view.name, best.apply(view.program), self.models[0].on(self.session), view.adapter, best,
            evidence, reached, self.out.path,
        )  # fmt: skip
        self.out.write("program.json", dump_program(made))
        body = {
            "kind": "compile", **evidence.dump(), "digest": best.digest, "rows": rows, "ending": found.ending,
            "opened": found.history.opened,
            "proposers": [account.dump() for account in accounts(found.history)],
            **({"front": reached.dump()} if reached is not None else {}),
        }  # fmt: skip
        self.out.write("report.json", body)
        return made


def _possible(goals: Objective, chosen: Optimizer, lm: LM) -> Objective:
    """The objective, if the optimizer and the model allow it."""
    if goals.several and not isinstance(chosen, Race):
        name = dump(chosen)["name"]
        raise BadInput(f"objective {','.join(goals.names)!r} needs the optimizer race; {name} knows of the score alone")
    if "cost" in goals.names and not getattr(lm.door.engine, "priced", True):
        raise BadInput(f"objective cost: the price of {lm.model} is not known; give its prices, or take prompt_tokens")
    return goals


def _picked(reached: Front | None, goals: Objective) -> tuple[Trial | None, tuple[str, ...]]:
    """The point of the front that was asked for, if it has one, and what is to be said of that."""
    if reached is None or not goals.pick:
        return None, ()
    try:
        point = reached.pick(**dict[str, Any](goals.pick))
    except BadInput as nothing:
        return None, (f"{nothing}; so none of them was picked",)
    limits = ", ".join(f"{name}={value:g}" for name, value in goals.pick.items())
    return Trial(point.trial, point.candidate, ""), (f"trial {point.trial} was picked from the front by {limits}",)


def _single(view: CompileView, chosen: Optimizer, ground: Ground, seed: int) -> Found:
    """The optimizers that make one candidate and select nothing."""
    history = History().add([(ground.baseline, "declared", ())], 0)
    if isinstance(chosen, ZeroShot):
        return Found(history, history.trials[0], None)
    proposer: Any = (
        LabeledDemos(ground, chosen.k)
        if isinstance(chosen, FewShot)
        else BootstrappedDemos(ground, chosen.k, chosen.pool)  # type: ignore[union-attr]
    )
    stopped = None
    made: Sequence[Candidate] = []
    try:
        made = proposer.propose(history, derive(seed, "propose", proposer.name, 0), 1)
        if not made and isinstance(chosen, Bootstrap):
            ground.check_answers()
    except BudgetExhausted:
        stopped = BUDGET
    history = history.add([(candidate, proposer.name, (0,)) for candidate in made], 0)
    best: Trial = history.trials[-1]
    return Found(history.change(best.number, decision="winner", why="drawn once"), best, stopped)


def _divided(budget: Budget) -> tuple[Budget, Budget]:
    """Every cap in two: for searching, and for confirming; of the seconds, each has all."""
    share = budget.part(1 - RESERVE)
    rest = Budget(
        calls=None if budget.calls is None else budget.calls - (share.calls or 0),
        tokens=None if budget.tokens is None else budget.tokens - (share.tokens or 0),
        usd=None if budget.usd is None else budget.usd - (share.usd or 0),
        seconds=budget.seconds,
    )
    return share, rest


def model_config(lm: LM) -> dict[str, Any]:
    """What of a model determines its answers, as JSON."""
    return {**lm.spec, "identity": lm.door.identity}
