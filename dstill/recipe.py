"""Run recipes: one TOML file that says everything, checked before anything is done."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .runtime.errors import BadInput, ModelUnavailable
from .runtime.home import LONGEST, file_name

if TYPE_CHECKING:
    from .distill.alternated import Alternation
    from .distill.recipes import Recipe
    from .optimizers.objective import Objective


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TaskTable(_Table):
    """``[task]``: a declared task (``triage``, ``nli``, ``math_word``, ``lab``) or ``module:function``; arguments."""

    name: str
    args: dict[str, Any] = Field(default_factory=dict)


class ModelTable(_Table):
    """``[lm]``, ``[prompt_lm]``: a model's name and its settings. Keys come from the environment only."""

    model: str
    base_url: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    timeout: float | None = None
    prices: list[float] | None = Field(default=None, min_length=2, max_length=2)
    media_tokens: int | None = Field(default=None, ge=0)

    def settings(self) -> dict[str, Any]:
        """What is set, but for the name."""
        return {k: v for k, v in self.model_dump(exclude={"model"}).items() if v is not None}


class BudgetTable(_Table):
    """``[budget]``: caps; any subset."""

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None


class CompileTable(_Table):
    """``[[compile]]``: one compiled program, a row of the board."""

    name: str
    optimizer: str = "race"
    options: dict[str, Any] = Field(default_factory=dict)
    objective: str = "score"
    pick: dict[str, float] = Field(default_factory=dict)
    """Of several objectives, which point of the front to take."""
    budget: BudgetTable | None = None

    def goals(self) -> Objective:
        """The objective with what to pick."""
        from .optimizers.objective import objective_of

        return objective_of(self.objective, self.pick)


class DistillTable(_Table):
    """``[[distill]]``: one distilled program, a row of the board."""

    name: str
    student: str
    teacher: str | list[str] | None = None
    """The ``[[compile]]`` that it learns from, or several whose answers are votes; the last one by default."""
    recipe: str = "sft"
    options: dict[str, Any] = Field(default_factory=dict)
    stages: list[dict[str, Any]] | None = None
    """A recipe of one's own, in place of ``recipe`` and ``options``."""
    margin: float = 0.01
    budget: BudgetTable | None = None

    def stages_of(self) -> Recipe:
        """The recipe of the students."""
        from .distill.recipes import recipe_from_tables, recipe_of

        return (
            recipe_of(self.recipe, **self.options)
            if self.stages is None
            else recipe_from_tables(self.name, self.stages)
        )


class AlternateTable(_Table):
    """``[[alternate]]``: prompts and weights in turn, a row of the board."""

    name: str
    student: str
    strategy: str = "p -> w -> p"
    prompts: dict[str, Any] = Field(default_factory=dict)
    """``optimizer`` and its options."""
    weights: dict[str, Any] = Field(default_factory=dict)
    """``recipe`` and its options."""
    margin: float = 0.01
    budget: BudgetTable | None = None

    def how(self) -> Alternation:
        """What to alternate."""
        from .distill.alternated import Alternation
        from .distill.recipes import recipe_of
        from .optimizers.config import optimizer_of

        prompts, weights = {"optimizer": "race", **self.prompts}, {"recipe": "prompted", **self.weights}
        optimizer = optimizer_of(prompts.pop("optimizer"), **prompts)
        return Alternation(self.strategy, optimizer, recipe_of(weights.pop("recipe"), **weights), self.margin)

    def stages_of(self) -> Recipe:
        """The recipe of the students."""
        from .distill.recipes import recipe_of

        return recipe_of(self.how().recipe)


class EvalTable(_Table):
    """``[eval]``: the split that the board shows, and how it is scored."""

    split: str = "test"
    baseline: str | None = None
    """The system that gains are measured against; the first by default."""
    samples: int = 1
    """Answers to each example."""
    temperature: float | None = None
    """Of the answers; the programs' own by default."""
    cluster: str | None = None
    """A field of the examples by whose values they stand together."""


class RunRecipe(_Table):
    """A whole run."""

    name: str
    seed: int = Field(default=0, ge=0, lt=2**63)
    concurrency: int | None = Field(default=None, ge=1)
    task: TaskTable
    lm: ModelTable
    prompt_lm: ModelTable | None = None
    budget: BudgetTable = Field(default_factory=BudgetTable)
    compile: list[CompileTable] = Field(min_length=1)
    distill: list[DistillTable] = Field(default_factory=list)
    alternate: list[AlternateTable] = Field(default_factory=list)
    eval: EvalTable = Field(default_factory=EvalTable)


def read_recipe(path: Path | str) -> RunRecipe:
    """A recipe from a TOML file.

    Raises:
        BadInput: for a file that is missing or no TOML, unknown keys, wrong types, and names that do not fit
            together; the message names the place and what would be accepted.
    """
    path = Path(path)
    try:
        tables = tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise BadInput(f"there is no recipe {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not TOML: {error}") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from None
    return check_recipe(tables, str(path))


def check_recipe(tables: dict[str, Any], source: str = "recipe") -> RunRecipe:
    """A recipe from tables; see ``read_recipe``."""
    from .distill.stages.common import base_folder
    from .eval.samples import Samples
    from .optimizers.config import optimizer_of
    from .programs.task import SPLITS
    from .runtime.budget import Budget

    try:
        made = RunRecipe.model_validate(tables)
    except ValidationError as error:
        raise BadInput(f"{source}: {_first(error)}") from None
    steps: list[Any] = [*made.compile, *made.distill, *made.alternate]
    names = [step.name for step in steps]
    _check_names(made.name, names, source)
    teachers = [step.name for step in made.compile]
    if made.eval.split not in SPLITS:
        raise BadInput(f"{source}: eval.split = {made.eval.split!r}; expected one of: {', '.join(SPLITS)}")
    if made.eval.baseline is not None and made.eval.baseline not in names:
        raise BadInput(f"{source}: eval.baseline = {made.eval.baseline!r}; expected one of: {', '.join(names)}")
    place = f"{source}: eval"
    try:
        Samples(made.eval.samples, made.eval.temperature)
        place = f"{source}: budget"
        Budget(**made.budget.model_dump())
        for index, step in enumerate(made.compile):
            place = f"{source}: compile[{index}] ({step.name})"
            optimizer_of(step.optimizer, **step.options)
            step.goals()
            Budget(**(step.budget or BudgetTable()).model_dump())
        for index, table in enumerate(made.distill):
            place = f"{source}: distill[{index}] ({table.name})"
            Budget(**(table.budget or BudgetTable()).model_dump())
            named = [table.teacher] if isinstance(table.teacher, str) else table.teacher or []
            if unknown := [name for name in named if name not in teachers]:
                raise BadInput(f"teacher = {unknown[0]!r}; expected one of: {', '.join(teachers)}")
            if table.teacher == [] or len(set(named)) < len(named):
                raise BadInput(f"teacher = {table.teacher!r}; expected one name or several, each once")
            if not 0 < table.margin < 1:
                raise BadInput(f"margin = {table.margin!r}; expected a share of the score, between 0 and 1")
            base_folder(table.student)
            if table.stages is not None and "recipe" in table.model_fields_set:
                raise BadInput("both recipe and stages are given; expected one of them")
            table.stages_of()
        for index, pair in enumerate(made.alternate):
            place = f"{source}: alternate[{index}] ({pair.name})"
            Budget(**(pair.budget or BudgetTable()).model_dump())
            base_folder(pair.student)
            pair.how()
    except (BadInput, ModelUnavailable) as error:
        raise type(error)(f"{place}: {error}") from None
    return made


def _check_names(run: str, systems: list[str], source: str) -> None:
    """Names become folders: of the run, and in it one of each system and one of its evaluation."""
    for name in (run, *systems):
        if not name.isprintable() or "/" in name or set(name) <= {".", " "} or len(name) > LONGEST:
            raise BadInput(
                f"{source}: name = {name!r}; expected 1 to {LONGEST} printable signs, without / and not dots"
            )
    taken: dict[str, str] = {}
    for name in systems:
        for folder in (file_name(name), file_name(f"eval-{name}")):
            if folder in taken:
                both = f"{source}: two systems are called {taken[folder]!r} and {name!r}"
                raise BadInput(f"{both}; each needs a name, and a folder {folder}, of its own")
            taken[folder] = name


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in found["loc"])
    if found["type"] == "extra_forbidden":
        table: Any = RunRecipe
        for part in found["loc"][:-1]:
            if isinstance(part, str) and part in table.model_fields:
                annotation = table.model_fields[part].annotation
                inner = [a for a in (annotation, *getattr(annotation, "__args__", ())) if hasattr(a, "model_fields")]
                table = inner[0] if inner else table
        return f"unknown key {place}; expected one of: {', '.join(table.model_fields)}"
    if found["type"] == "missing":
        return f"{place} is missing"
    return f"{place} = {found['input']!r}: {found['msg'][0].lower()}{found['msg'][1:]}"
