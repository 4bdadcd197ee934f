"""``dstill.load``: a program back from its run directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dspy
import orjson

from .distill.distilled import DistilledProgram, load_distilled
from .optimizers.compiled import CompiledProgram, load_program
from .programs.library import task_named
from .programs.task import Task
from .runtime.errors import BadInput, Damaged
from .runtime.models import Model
from .runtime.session import Session


def load(
    run: Path | str,
    program: dspy.Module | None = None,
    *,
    lm: Model | None = None,
    session: Session | None = None,
) -> CompiledProgram | DistilledProgram:
    """The program that a run made; with local students, without network.

    Args:
        run: the directory of a ``compile``, ``distill`` or ``alternate`` run.
        program: the declared program; may be left out for tasks made by name (``dstill.task("triage")``).
        lm: another model than the one that the program was made for.
        session: the run on whose behalf calls are made.

    Raises:
        BadInput: for a directory that holds no program, or a declared program that must be given.
        Damaged: for files that are not what they were.
    """
    folder = Path(run)
    if program is None:
        program = task_of(folder).program
    if (folder / "program.json").is_file() and "students" in _read(folder / "program.json").get("dstill", {}):
        return load_distilled(folder, program, lm=lm, session=session)
    return load_program(folder, program, lm=lm, session=session)


def teacher_of(run: Path | str, program: dspy.Module) -> CompiledProgram:
    """The compiled program of a run, to learn from.

    Raises:
        BadInput: for a distilled one, too: it would lose its students.
    """
    found = load(run, program)
    if isinstance(found, DistilledProgram):
        raise BadInput(
            f"{run} is a distilled program, and students learn from a compiled one: give the compile run that it came "
            "from"
        )
    return found


def task_of(folder: Path) -> Task:
    """The task of a run, made anew by its name.

    Raises:
        BadInput: for a run that makes no program, or whose task was not made by name.
    """
    config = _read(folder / "config.json")
    if config.get("kind") not in ("compile", "distill", "alternate"):
        inner = sorted(place.parent.name for place in folder.glob("*/program.json"))
        hint = f", such as {folder / inner[0]}" if inner else ""
        raise BadInput(
            f"{folder} is a run of kind {config.get('kind')}: expected one of compile, distill or alternate{hint}"
        )
    source = config.get("source")
    if not source:
        raise BadInput(
            f"{folder}: its task {config.get('task')!r} was not made by name, so the declared program is not known: "
            "pass it, dstill.load(run, program)"
        )
    return task_named(source["name"], **source["args"])


def _read(file: Path) -> dict[str, Any]:
    try:
        body = orjson.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(f"{file.parent} holds no run: {file.name} is missing") from None
    except orjson.JSONDecodeError as error:
        raise Damaged(f"{file} cannot be read: {error}") from None
    if not isinstance(body, dict):
        raise Damaged(f"{file} is not what a run writes")
    return body
