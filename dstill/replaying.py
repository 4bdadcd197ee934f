"""``dstill replay``: a finished run once more from its cassette, with the network closed, and the bytes compared."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from .distill.alternate import alternate
from .distill.alternated import Alternation
from .distill.distill import distill
from .distill.recipes import Recipe, recipe_from_tables
from .optimizers.compile import Where, compile
from .optimizers.compiled import load_program
from .optimizers.config import OBJECT, Dspy, Optimizer, optimizer_of
from .optimizers.objective import Objective
from .running import run_recipe
from .runtime.budget import Budget
from .runtime.cassette import load
from .runtime.closed import closed_network
from .runtime.errors import BadInput
from .runtime.journal import Journal
from .runtime.rundir import read_manifest
from .runtime.session import Replay, Session
from .saved import task_of

COMPARED = ("program.json", "report.json", "trials.jsonl")
"""Files whose bytes follow from the answers alone."""


@dataclass(frozen=True)
class Replayed:
    """What a replay came to."""

    same: list[str]
    """Files with equal bytes, relative to the run."""
    different: list[str]
    """Files with other bytes, or missing."""
    calls: int
    """Answers taken from the cassette."""


def replay_run(
    folder: Path | str, *, retrain: bool = False, say: Callable[[str], None] = lambda line: None
) -> Replayed:
    """Carry out a finished run again with no engine and no network, and compare.

    Args:
        folder: the run's directory; it is only read.
        retrain: train students anew (the same bits on the same kind of machine) instead of taking those of the run.
        say: told of every step.

    Raises:
        BadInput: for a run that has not ended, or cannot be replayed from its configuration alone.
        CassetteMiss: if the run asks for anything that it did not ask for before.
    """
    folder = Path(folder)
    kind = read_manifest(folder)["kind"]
    config = orjson.loads((folder / "config.json").read_bytes())
    again: dict[str, Callable[..., None]] = {
        "run": _run, "compile": _compile, "distill": _distill, "alternate": _alternate,
    }  # fmt: skip
    if kind not in again:
        raise BadInput(f"{folder} is a run of kind {kind!r}; runs of kind {', '.join(again)} can be replayed")
    journal, replay = load(folder / "cassette.jsonl.zst")
    with tempfile.TemporaryDirectory(prefix="dstill-replay-") as temporary:
        target = Path(temporary) / folder.name
        if not retrain:
            for students in sorted(folder.glob("**/students")):
                shutil.copytree(students, target / students.relative_to(folder))
        with closed_network():
            again[kind](folder, target, config, journal, replay, say)
        same: list[str] = []
        different: list[str] = []
        for name in sorted(p.relative_to(folder).as_posix() for n in COMPARED for p in folder.glob(f"**/{n}")):
            equal = (target / name).is_file() and (target / name).read_bytes() == (folder / name).read_bytes()
            (same if equal else different).append(name)
    return Replayed(same, different, len(journal))


def _run(folder: Path, target: Path, config: Any, journal: Journal, replay: Replay, say: Callable[[str], None]) -> None:
    run_recipe(config["recipe"], folder=target, journal=journal, replay=replay, say=say)


def _compile(
    folder: Path, target: Path, config: Any, journal: Journal, replay: Replay, say: Callable[[str], None]
) -> None:
    session = Session(journal, replay=replay)
    name = orjson.loads((folder / "program.json").read_bytes())["dstill"]["name"]
    compile(
        task_of(folder), _model(config["lm"], session), optimizer_from(config["optimizer"]),
        Budget(**config["budget"]), config["seed"],
        objective=Objective.load(config["objective"]) if "objective" in config else "score",
        prompt_lm=_model(config["prompt_lm"], session),
        run=Where(target, session, name=name),
    )  # fmt: skip


def _distill(
    folder: Path, target: Path, config: Any, journal: Journal, replay: Replay, say: Callable[[str], None]
) -> None:
    session, task = Session(journal, replay=replay), task_of(folder)
    files = ["teacher.json", *(f"teacher-{number}.json" for number in range(2, 2 + len(config.get("others", ()))))]
    teachers = [load_program(folder / file, task.program, session=session) for file in files]
    name = orjson.loads((folder / "program.json").read_bytes())["dstill"]["name"]
    recipe = recipe_from_dump(config["recipe"])
    distill(
        teachers, task, config["student"]["base"], recipe, config["margin"], Budget(**config["budget"]),
        config["seed"], run=Where(target, session, name=name),
    )  # fmt: skip


def _alternate(
    folder: Path, target: Path, config: Any, journal: Journal, replay: Replay, say: Callable[[str], None]
) -> None:
    session = Session(journal, replay=replay)
    name = orjson.loads((folder / "program.json").read_bytes())["dstill"]["name"]
    recipe = recipe_from_dump(config["recipe"])
    how = Alternation(config["strategy"], optimizer_from(config["optimizer"]), recipe, config["margin"])
    alternate(
        task_of(folder), _model(config["lm"], session), config["student"]["base"], how, Budget(**config["budget"]),
        config["seed"], prompt_lm=_model(config["prompt_lm"], session), run=Where(target, session, name=name),
    )  # fmt: skip


def optimizer_from(body: dict[str, Any]) -> Optimizer:
    """The optimizer that a configuration names."""
    if body["name"].startswith("dspy:"):
        objects = [key for key, value in body["options"].items() if isinstance(value, dict) and OBJECT in value]
        if objects:
            raise BadInput(
                f"{body['name']} was given {', '.join(objects)}, which no file can hold: the run cannot be replayed "
                "from its directory"
            )
        return Dspy(body["name"].removeprefix("dspy:"), body["options"], body["confirm"])
    return optimizer_of(body["name"], **{key: value for key, value in body.items() if key != "name"})


def recipe_from_dump(body: dict[str, Any]) -> Recipe:
    """The recipe that a configuration holds."""
    tables = []
    for stage in body["stages"]:
        flat = {key: value for key, value in stage.items() if key != "training"} | stage.get("training", {})
        tables.append({key: value for key, value in flat.items() if value is not None})
    return recipe_from_tables(body["name"], tables)


def _model(body: dict[str, Any], session: Session) -> Any:
    from .runtime.models import lm_for

    return lm_for(body["model"], session, **body["settings"])
