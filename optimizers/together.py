"""One run by several processes: each does all of it and shares the calls; one of them writes the run directory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..runtime.budget import Budget
from ..runtime.errors import BadInput, RunBusy
from ..runtime.home import default_journal
from ..runtime.rundir import RunDir, awaited, belongs
from ..runtime.session import Session
from ..runtime.storages import Storage
from ..runtime.workers import Workers
from .compiled import CompiledProgram
from .config import Optimizer, dump
from .race import Race

Work = Callable[[RunDir, Session], CompiledProgram]
"""Does a run and writes it; its calls count within the session."""


def together(
    work: Work, folder: Path, name: str, config: dict[str, Any], storage: str | Storage, *, replace_other: bool
) -> CompiledProgram:
    """Do a run as one of its workers.

    A process that finds the directory taken by another worker does the run beside it, in a folder that goes away, and
    then waits for it to be written; where its writer has died, it writes it itself.

    Args:
        name: of the study, before a part of the run's id.

    Raises:
        RunBusy: if a process with another configuration has the directory.
    """

    def share(out: RunDir) -> CompiledProgram:
        workers = Workers(storage, f"{name} {out.id[:12]}")
        try:
            return work(out, Session(default_journal(folder), workers=workers))
        finally:
            workers.close()

    while True:
        try:
            with RunDir(folder, kind="compile", config=config, replace=replace_other) as out:
                return share(out)
        except RunBusy:
            if not belongs(folder, "compile", config):
                raise
        with (
            tempfile.TemporaryDirectory(prefix="dstill-") as beside,
            RunDir(Path(beside) / folder.name, kind="compile", config=config) as out,
        ):
            made = share(out)
        if awaited(folder):
            return replace(made, folder=folder)


def check_shareable(optimizer: Optimizer, budget: Budget, session: Session | None) -> None:
    """Refuse what several processes cannot do with the result of one.

    Raises:
        BadInput: for DSPy's optimizers, a cap on seconds, or a session of the caller's.
    """
    if not isinstance(optimizer, Race):
        raise BadInput(f"a storage needs the optimizer race; {dump(optimizer)['name']} does not work in rounds")
    if budget.seconds is not None:
        raise BadInput(f"a storage with a cap of {budget.seconds:g} seconds: each worker would end where its own clock "
                       "says; cap calls, tokens or dollars")  # fmt: skip
    if session is not None:
        raise BadInput("a storage goes with a run of its own, not with one within another session")
