"""Recipes: lists of stages, by name, from TOML tables, or as values."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from ..runtime.errors import BadInput
from .settings import fits
from .stages import (
    Cascade,
    Collect,
    Correct,
    Filter,
    Gate,
    Gold,
    Ladder,
    Stage,
    TrainCausal,
    TrainEncoder,
    TrainMatcher,
    TrainSeq2Seq,
)
from .training import Lora, Training

STAGES: dict[str, type[Any]] = {
    "collect": Collect, "gold": Gold, "filter": Filter, "correct": Correct, "train-causal": TrainCausal,
    "train-seq2seq": TrainSeq2Seq, "train-encoder": TrainEncoder, "train-matcher": TrainMatcher, "ladder": Ladder,
    "gate": Gate, "cascade": Cascade,
}  # fmt: skip
"""Stages by their name in recipes."""


@dataclass(frozen=True)
class Recipe:
    """A named list of stages."""

    name: str
    stages: tuple[Stage, ...]

    def dump(self) -> dict[str, Any]:
        """As JSON, for configurations."""
        names = {kind: name for name, kind in STAGES.items()}
        stages = [{"stage": names.get(type(s), type(s).__name__), **asdict(s)} for s in self.stages]  # type: ignore[call-overload]
        return {"name": self.name, "stages": stages}


BY_PAIRS = Training(epochs=20, batch=32, lr=1e-4)
"""Few rows are seen more often than many."""
RECIPES: dict[str, tuple[Stage, ...]] = {
    "sft": (Collect(), Filter(), TrainCausal(), Gate()),
    "label-only": (Collect(), Filter(), TrainCausal(objective="label"), Gate()),
    "step-by-step": (Collect(), Filter(), TrainCausal(objective="step-by-step"), Gate()),
    "internalise": (Collect(keep="all"), Filter(), TrainCausal(style="inputs", kd="forward"), Gate()),
    "prompted": (Collect(), Filter(), TrainCausal(style="program"), Gate()),
    "labels": (Collect(), Filter(), TrainEncoder(), Gate()),
    "pairs": (Collect(), Filter(), TrainEncoder(BY_PAIRS, objective="pairs"), Gate()),
    "soft-labels": (Collect(keep="all", samples=5), Filter(), TrainEncoder(soft=True), Gate()),
    "corrected": (Collect(), Filter(), Correct(), TrainEncoder(soft=True), Gate()),
    "gold": (Gold(), Filter(), TrainEncoder(), Gate()),
    "match": (Collect(), Filter(), TrainMatcher(), Gate()),
    "ladder": (Collect(), Filter(), Ladder()),
}
"""Recipes by name. ``sft``: the teacher's answers with their rationales. ``label-only``: without. ``step-by-step``:
labels and rationales as two tasks. ``internalise``: a local teacher's probabilities, asked with all instructions and
demonstrations, to a student that sees the inputs alone. ``prompted``: the teacher's answers, to a student that is
asked as the teacher was. ``labels``, ``soft-labels``: a classifier of the teacher's answers, or of their shares.
``pairs``: a sentence encoder that learns from few answers which inputs are alike.
``corrected``: a classifier of the teacher's answers to inputs without labels, set right by what is known of them all.
``gold``: a classifier of the data's own labels. ``match``: a classifier that reads its labels with the input.
``ladder``: the cheapest of several students that is not inferior."""


def recipe_of(spec: str | Recipe | Sequence[Stage], **options: Any) -> Recipe:
    """The recipe of a name, a TOML file of ``[[stages]]``, a value, or a list of stages.

    Args:
        options: settings of its training stage: ``epochs``, ``batch``, ``lr``, ``lora`` (a rank), ``alpha``,
            ``smoothing``, ``style``, ``keep``, ``samples``, and the other fields of the stages.

    Raises:
        BadInput: for an unknown name or option, or an option of a wrong type.
    """
    if isinstance(spec, Recipe):
        made = spec
    elif isinstance(spec, str):
        made = _read(Path(spec)) if spec.endswith(".toml") else _named(spec)
    elif isinstance(spec, list | tuple):
        made = Recipe("own", tuple(spec))
    else:
        raise BadInput(f"recipe={spec!r}: expected one of: {', '.join(RECIPES)}, a file NAME.toml, or a list of stages")
    classes = [stage for stage in made.stages if isinstance(stage, type)]
    if classes:
        one = classes[0].__name__
        raise BadInput(f"a recipe is a list of stages: got the class {one}, expected a stage made of it: {one}()")
    wrong = [stage for stage in made.stages if not isinstance(stage, Stage) or not is_dataclass(stage)]
    if wrong and isinstance(wrong[0], Stage):
        raise BadInput(f"the stage {type(wrong[0]).__name__} is no dataclass, whose fields a run directory keeps")
    if wrong or not made.stages:
        raise BadInput(f"a recipe is a list of stages, one or more: got {wrong[0] if wrong else 'none'!r}")
    made = _set(made, options)
    _check_order(made)
    return made


ORDER: tuple[tuple[str, ...], ...] = (
    ("collect", "gold"), ("filter",), ("correct",),
    ("train-causal", "train-seq2seq", "train-encoder", "train-matcher", "ladder"), ("gate",), ("cascade",),
)  # fmt: skip
"""In which order stages stand, those of a group in one place."""
ROWS, STUDENTS = 0, 3
"""The groups that bring what the others work on."""


def _check_order(recipe: Recipe) -> None:
    """Refuse stages that would work on nothing yet, or throw away what one before them did.

    A stage of somebody else's may stand anywhere, and may bring rows or students.

    Raises:
        BadInput: naming the two stages, and the order.
    """
    places = {STAGES[name]: place for place, group in enumerate(ORDER) for name in group}
    names = {kind: name for name, kind in STAGES.items()}
    place = f"recipe {recipe.name}"
    order = f"expected the order {', '.join(' or '.join(group) for group in ORDER)}"
    met: list[type[Any]] = []
    for kind in map(type, recipe.stages):
        if kind in places:
            if later := [one for one in met if places.get(one, 0) > places[kind]]:
                raise BadInput(f"{place}: {names[later[-1]]} stands before {names[kind]}; {order}")
            kinds = [one for one in met if places.get(one) == places[kind]]
            if kinds and places[kind] in (ROWS, STUDENTS):
                raise BadInput(f"{place}: {names[kind]} throws away what {names[kinds[-1]]} before it brought; {order}")
            needed = ROWS if places[kind] <= STUDENTS else STUDENTS
            if places[kind] != ROWS and not any(places.get(one, needed) == needed for one in met):
                raise BadInput(f"{place}: {names[kind]} needs {' or '.join(ORDER[needed])} before it; {order}")
        met.append(kind)
    deaf = [type(s) for s in recipe.stages if places.get(type(s)) == STUDENTS and not getattr(s, "soft", False)]
    if Correct in met and deaf:
        raise BadInput(
            f"{place}: correct brings probabilities of labels, which {names[deaf[0]]} does not learn; "
            "expected train-encoder with soft = true"
        )


def _named(name: str) -> Recipe:
    if name not in RECIPES:
        known = ", ".join(RECIPES)
        raise BadInput(f"recipe {name!r} is not known; expected one of: {known}, a file NAME.toml, or a list of stages")
    return Recipe(name, RECIPES[name])


def _read(path: Path) -> Recipe:
    """A recipe from a file: ``name`` (the file's by default) and ``[[stages]]``."""
    try:
        body = tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise BadInput(f"there is no recipe {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path} cannot be read as TOML: {error}") from None
    strange = sorted(set(body) - {"name", "stages"})
    stages, name = body.get("stages"), body.get("name", path.stem)
    if strange or not isinstance(name, str) or not isinstance(stages, list) or not stages:
        wrong = f"unknown key {strange[0]}" if strange else f"name = {name!r}, stages = {stages!r}"
        raise BadInput(f"{path}: {wrong}; expected a name and one or more [[stages]]")
    if not all(isinstance(table, dict) for table in stages):
        raise BadInput(f"{path}: stages = {stages!r}; expected tables, [[stages]]")
    return recipe_from_tables(name, stages)


def recipe_from_tables(name: str, tables: Sequence[Mapping[str, Any]]) -> Recipe:
    """A recipe from ``[[stages]]`` tables, each with the key ``stage`` and the stage's own settings.

    Raises:
        BadInput: naming the place of what is wrong, and what would be accepted.
    """
    stages = []
    for number, table in enumerate(tables, 1):
        place = f"recipe {name}, stage {number}"
        kind = table.get("stage")
        if not isinstance(kind, str) or kind not in STAGES:
            raise BadInput(f"{place}: stage = {kind!r}; expected one of: {', '.join(STAGES)}")
        stages.append(_with(STAGES[kind](), {key: value for key, value in table.items() if key != "stage"}, place))
    return recipe_of(Recipe(name, tuple(stages)))


def _set(recipe: Recipe, options: Mapping[str, Any]) -> Recipe:
    """The recipe with settings changed, each in every stage that has it."""
    takes = sorted({name for stage in recipe.stages for name in _settings(stage)})
    if unknown := [name for name in options if name not in takes]:
        raise BadInput(f"recipe {recipe.name} takes no setting {unknown[0]!r}; it takes: {', '.join(takes)}")
    stages = []
    for stage in recipe.stages:
        own = {name: value for name, value in options.items() if name in _settings(stage)}
        stages.append(_with(stage, own, f"recipe {recipe.name}") if own else stage)
    return Recipe(recipe.name, tuple(stages))


def _settings(stage: Any) -> list[str]:
    """What may be set of a stage: its fields and those of its training, or, where each kind of student has a training
    of its own, ``training`` as a table for all of them."""
    inside = getattr(stage, "training", None) is not None
    own = [f.name for f in fields(stage) if f.name != "training" or not inside]
    return own + ([f.name for f in fields(Training)] if inside else [])


def _with(stage: Any, settings: Mapping[str, Any], place: str) -> Any:
    """A stage with settings changed, all at once: one may make sense only with another."""
    inside = getattr(stage, "training", None) is not None
    own, trained = dict[str, Any](), dict[str, Any]()
    for name, value in settings.items():
        if name not in _settings(stage):
            raise BadInput(f"{place}: {stage.name} takes no setting {name!r}; it takes: {', '.join(_settings(stage))}")
        if inside and name in {f.name for f in fields(Training)}:
            trained[name] = _field(Training, name, value, place)
        else:
            own[name] = _field(type(stage), name, _told(name, value, place), place)
    if trained:
        own["training"] = replace(stage.training, **trained)
    return replace(stage, **own)


def _told(name: str, value: Any, place: str) -> Any:
    """A training or adapters from a table; of adapters a rank alone will do."""
    if name == "training" and isinstance(value, Mapping):
        return _of_table(Training(), value, f"{place}: training")
    if name == "lora" and isinstance(value, int) and not isinstance(value, bool):
        return Lora(rank=value, alpha=2 * value)
    if name == "lora" and isinstance(value, Mapping):
        made = _of_table(Lora(), value, f"{place}: lora")
        return made if "alpha" in value else replace(made, alpha=2 * made.rank)
    return value


def _of_table(made: Any, table: Mapping[str, Any], place: str) -> Any:
    """A value with what a table says of it."""
    names = [f.name for f in fields(made)]
    if unknown := [key for key in table if key not in names]:
        raise BadInput(f"{place} takes no {unknown[0]!r}; it takes: {', '.join(names)}")
    return replace(made, **{key: _field(type(made), key, one, place) for key, one in table.items()})


def _field(kind: type[Any], name: str, new: Any, place: str) -> Any:
    """A value as a field takes it."""
    wanted = get_type_hints(kind)[name]
    if get_origin(wanted) is tuple and isinstance(new, list | tuple) and all(isinstance(one, str) for one in new):
        return tuple(new)
    if wanted is float and isinstance(new, int) and not isinstance(new, bool):
        new = float(new)
    if not fits(new, wanted):
        raise BadInput(f"{place}: {name} = {new!r}; expected {_shown(wanted)}")
    return new


def _shown(wanted: Any) -> str:
    if get_origin(wanted) is dict:
        return "a table of numbers"
    if get_origin(wanted) is tuple:
        return "a list of texts"
    if get_origin(wanted) is not None and type(None) not in get_args(wanted):
        return "one of: " + ", ".join(map(str, get_args(wanted)))
    if Training in get_args(wanted):
        return "a table of a training's settings, such as { epochs = 5, lr = 1e-4 }"
    if any(is_dataclass(kind) for kind in get_args(wanted)):
        return "a whole number (the rank), or a table { rank, alpha, dropout, bits }"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(wanted, str(wanted))
