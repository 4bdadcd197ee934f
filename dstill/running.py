"""``dstill run``: a recipe from beginning to end: compile, distil, score on the test split, leaderboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .distill.alternate import alternate
from .distill.checking import check_trainable, weights_of
from .distill.distill import distill
from .distill.distilled import DistilledProgram
from .distill.stages.common import base_digest
from .eval.board import Board, leaderboard
from .eval.clusters import clustered
from .eval.evaluate import System, check_answers, evaluate_on
from .eval.report import Report
from .eval.samples import Samples
from .optimizers.compile import Where, compile
from .optimizers.compiled import CompiledProgram
from .optimizers.config import optimizer_of
from .optimizers.estimate import estimate
from .programs.library import task_named
from .programs.task import Task
from .recipe import AlternateTable, BudgetTable, DistillTable, RunRecipe, check_recipe, read_recipe
from .runtime.budget import Budget
from .runtime.cassette import export
from .runtime.errors import BadInput, BudgetExhausted, ModelUnavailable
from .runtime.home import default_journal, file_name, run_folder
from .runtime.journal import Journal
from .runtime.models import lm_for
from .runtime.rundir import RunDir
from .runtime.session import Replay, Session

Say = Callable[[str], None]


@dataclass(frozen=True)
class Done:
    """What a run came to."""

    folder: Path
    board: Board | None
    """``None`` if the budget ended the run before anything was scored."""
    stopped: str | None
    """Why it ended early, or ``None``."""


def run_recipe(
    recipe: RunRecipe | Path | str | dict[str, Any],
    *,
    folder: Path | str | None = None,
    replace_other: bool = False,
    journal: Journal | None = None,
    replay: Replay | None = None,
    say: Say = lambda line: None,
) -> Done:
    """Carry out a recipe; interrupted and run again, it goes on where it was and ends with the same bytes.

    Args:
        recipe: a file, its tables, or what ``read_recipe`` returned.
        folder: the run directory; ``runs/<name>`` by default.
        replace_other: whether to give up an earlier run of another configuration in the same directory.
        journal: another journal than the one beside the run directory.
        replay: what a cassette knows of its models; with it, no engine is called.
        say: told of every step, a line each.
    """
    if isinstance(recipe, dict):
        recipe = check_recipe(recipe)
    elif isinstance(recipe, Path | str):
        recipe = read_recipe(recipe)
    elif not isinstance(recipe, RunRecipe):
        raise BadInput(f"run(recipe={recipe!r}): expected a TOML file's path, or its tables as a dictionary")
    task = task_named(recipe.task.name, **recipe.task.args)
    place = run_folder(folder or recipe.name, recipe.name, {})
    if replay is None and _trained(recipe):
        _check_students(recipe, task)
    config = {
        "recipe": recipe.model_dump(mode="json"), "source": dict(task.source or {}), "data": task.digests,
        **({"students": students} if (students := _students(recipe)) else {}),
    }  # fmt: skip
    with RunDir(place, kind="run", config=config, replace=replace_other) as out:
        shared = journal if journal is not None else default_journal(out.path)
        session = Session(shared, run=out.id, budget=_budget(recipe.budget), replay=replay)
        return _Run(recipe, task, out, session, replace_other, say).carry_out()


def _trained(recipe: RunRecipe) -> list[DistillTable | AlternateTable]:
    """The steps that train students."""
    return [*recipe.distill, *recipe.alternate]


def _check_students(recipe: RunRecipe, task: Task) -> None:
    """Refuse students that could not be trained before anything is compiled for them.

    Raises:
        BadInput, ModelUnavailable: as ``distill`` does, naming the step.
    """
    lm = lm_for(recipe.lm.model, **recipe.lm.settings())
    for one in _trained(recipe):
        try:
            check_trainable(one.stages_of(), one.student, task.program, lm, task.adapter)
        except (BadInput, ModelUnavailable) as error:
            raise type(error)(f"{one.name}: {error}") from None


def _students(recipe: RunRecipe) -> dict[str, Any]:
    """What the files that a recipe names say: its stages, and the digests of the models that are trained or teach."""
    found = {one.name: (one.stages_of(), base_digest(one.student)) for one in _trained(recipe)}
    return {name: {**made.dump(), "base": base, "models": weights_of(made)} for name, (made, base) in found.items()}


def estimate_recipe(recipe: RunRecipe) -> str:
    """What a recipe may cost, without asking any model."""
    task = task_named(recipe.task.name, **recipe.task.args)
    model = lm_for(recipe.lm.model, **recipe.lm.settings())
    whole = Budget(**recipe.budget.model_dump())
    parts = []
    for step in recipe.compile:
        optimizer = optimizer_of(step.optimizer, **step.options)
        parts.append(f"{step.name}\n{estimate(task, model, optimizer, _budget(step.budget) or whole)}")
    teachers = len({name for step in recipe.distill for name in teachers_of(step, recipe)})
    if teachers:
        asked = f"{len(task.train):,} train and {len(task.dev):,} dev examples"
        parts.append(f"and at most {asked} for each of {teachers} teachers, once a sample")
    for pair in recipe.alternate:
        how = pair.how()
        said = estimate(task, model, optimizer_of(how.optimizer), how.share(_budget(pair.budget) or whole))
        parts.append(f"{pair.name}, each of {how.order.count('p')} searches\n{said}")
    rows = len(task.split(recipe.eval.split))
    parts.append(
        f"and {rows:,} {recipe.eval.split} examples for each of {len(recipe.compile)} compiled systems; "
        "students' calls are free"
    )
    return "\n".join(parts)


def teachers_of(step: Any, recipe: RunRecipe) -> list[str]:
    """The names of a ``[[distill]]``'s teachers; the last ``[[compile]]`` where none is named."""
    named = [step.teacher] if isinstance(step.teacher, str) else step.teacher
    return named or [recipe.compile[-1].name]


class _Run:
    """The steps of one run, in order."""

    def __init__(
        self, recipe: RunRecipe, task: Task, out: RunDir, session: Session, replace_other: bool, say: Say
    ) -> None:
        self.recipe, self.task, self.out, self.session, self.say = recipe, task, out, session, say
        self._replace = replace_other
        self.lm = lm_for(recipe.lm.model, session, **recipe.lm.settings())
        writer = recipe.prompt_lm
        self.prompt_lm = self.lm if writer is None else lm_for(writer.model, session, **writer.settings())
        self.compiled: dict[str, CompiledProgram] = {}
        self.stopped: list[str] = []

    def carry_out(self) -> Done:
        """Everything."""
        systems: list[tuple[System, tuple[str, ...]]] = []
        try:
            for step in self.recipe.compile:
                made = self.compiled[step.name] = self._compile(step)
                systems.append((System(step.name, made.program, made.lm, made.adapter), ()))
            for table in self.recipe.distill:
                systems.append(self._distill(table, [self.compiled[name] for name in teachers_of(table, self.recipe)]))
            systems += [(self._alternate(pair), ()) for pair in self.recipe.alternate]
        except BudgetExhausted as stop:
            self._stop(str(stop))
        board = self._score(systems)
        export(self.session, self.out.file("cassette.jsonl.zst"))
        self.out.finish(stopped=self.stopped[0] if self.stopped else None)
        return Done(self.out.path, board, self.stopped[0] if self.stopped else None)

    def _compile(self, step: Any) -> CompiledProgram:
        self.say(f"compile {step.name} ({step.optimizer})")
        made = compile(
            self.task, self.lm, optimizer_of(step.optimizer, **step.options), _budget(step.budget), self.recipe.seed,
            objective=step.goals(), prompt_lm=self.prompt_lm, concurrency=self.recipe.concurrency,
            run=self._where(step.name),
        )  # fmt: skip
        self.say(f"  {made.verdict}")
        if made.evidence is not None and made.evidence.stopped is not None:
            self._stop(f"{step.name}: {made.evidence.stopped}")
        return made

    def _distill(self, table: Any, teachers: list[CompiledProgram]) -> tuple[System, tuple[str, ...]]:
        self.say(f"distill {table.name} ({table.student}, from {', '.join(one.name for one in teachers)})")
        made: DistilledProgram = distill(
            teachers, self.task, table.student, table.stages_of(), table.margin, _budget(table.budget),
            self.recipe.seed, run=self._where(table.name),
        )  # fmt: skip
        if made.stopped is not None:
            self._stop(f"{table.name}: {made.stopped}")
        for effect in made.effects:
            more = [text for text in (effect.score, effect.price) if text]
            self.say("; ".join([f"  {effect.stage}: {effect.rows_in} -> {effect.rows_out} rows", *effect.notes, *more]))
        return System(table.name, made.trained or made.program, made.lm, made.adapter), made.held

    def _alternate(self, pair: Any) -> System:
        how = pair.how()
        self.say(f"alternate {pair.name} ({pair.student}, {how.strategy})")
        made = alternate(
            self.task, self.lm, pair.student, how, _budget(pair.budget), self.recipe.seed, prompt_lm=self.prompt_lm,
            concurrency=self.recipe.concurrency, run=self._where(pair.name),
        )  # fmt: skip
        for line in (*(f"{step.folder}: {step.verdict}" for step in made.steps), made.verdict):
            self.say(f"  {line}")
        if made.stopped is not None:
            self._stop(f"{pair.name}: {made.stopped}")
        return System(pair.name, made.program, made.lm, made.adapter)

    def _score(self, systems: list[tuple[System, tuple[str, ...]]]) -> Board | None:
        reports: list[Report] = []
        asked = self.recipe.eval
        for system, notes in systems:
            self.say(f"score {system.name} on {asked.split}")
            config = {"system": system.name, "split": asked.split, "run": self.out.id}
            with RunDir(self._folder(f"eval-{system.name}"), kind="eval", config=config, replace=True) as out:
                try:
                    report = evaluate_on(
                        self.task, system, asked.split, session=self.session, concurrency=self.recipe.concurrency,
                        samples=Samples(asked.samples, asked.temperature), run=out,
                    )  # fmt: skip
                except BudgetExhausted as stop:
                    self._stop(str(stop))
                    break
                report = replace(report, notes=(*report.notes, *notes))
                report = report if asked.cluster is None else clustered(report, asked.cluster)
                report.save(out)
                out.finish()
                reports.append(report)
        if not reports:
            return None
        check_answers("the run", [row for report in reports for row in report.rows])
        names = [report.system for report in reports]
        baseline = asked.baseline if asked.baseline in names else None
        board = leaderboard(reports, baseline=baseline)
        board.save(self.out.path)
        return board

    def _where(self, name: str) -> Where:
        return Where(self._folder(name), self.session, self._replace, name)

    def _folder(self, name: str) -> Path:
        return self.out.path / file_name(name)

    def _stop(self, why: str) -> None:
        self.stopped.append(why)
        self.say(f"  stopped early: {why}")


def _budget(table: BudgetTable | None) -> Budget | None:
    return None if table is None else Budget(**table.model_dump())
