"""dstill compiles a declarative LM program and then distils it.

>>> import dstill
>>> task = dstill.task("triage")                                        # or dstill.Task(name, program, ...)
>>> compiled = dstill.compile(task, lm="embedded", seed=0)              # instructions and demonstrations
>>> small = dstill.distill(compiled, task, student="embedded:small")    # the same program on a small model
>>> dstill.leaderboard([task.program, compiled, small], task)           # what was gained, and how sure we are

Names are loaded when they are first used: ``import dstill`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .board import leaderboard as leaderboard
    from .distill.alternate import alternate as alternate
    from .distill.alternated import AlternatedProgram as AlternatedProgram
    from .distill.alternated import Alternation as Alternation
    from .distill.distill import distill as distill
    from .distill.distilled import DistilledProgram as DistilledProgram
    from .distill.recipes import Recipe as Recipe
    from .eval.board import Board as Board
    from .eval.compare import compare as compare
    from .eval.evaluate import evaluate as evaluate
    from .eval.interchange import read_results as read_results
    from .eval.report import Report as Report
    from .eval.samples import Samples as Samples
    from .optimizers.compile import Where as Where
    from .optimizers.compile import compile as compile
    from .optimizers.compiled import CompiledProgram as CompiledProgram
    from .optimizers.config import Bootstrap as Bootstrap
    from .optimizers.config import Dspy as Dspy
    from .optimizers.config import FewShot as FewShot
    from .optimizers.config import ZeroShot as ZeroShot
    from .optimizers.estimate import estimate as estimate
    from .optimizers.race import Race as Race
    from .programs import metrics as metrics
    from .programs.data import read_examples as read_examples
    from .programs.data import read_hub as read_hub
    from .programs.library import task_named as task
    from .programs.metrics import Score as Score
    from .programs.splits import split as split
    from .programs.task import Task as Task
    from .running import run_recipe as run
    from .runtime.budget import Budget as Budget
    from .runtime.errors import BadInput as BadInput
    from .runtime.errors import BudgetExhausted as BudgetExhausted
    from .runtime.errors import DstillError as DstillError
    from .runtime.errors import Stop as Stop
    from .runtime.journal import Journal as Journal
    from .runtime.lm import LM as LM
    from .runtime.models import lm_for as lm
    from .runtime.session import Session as Session
    from .saved import load as load

_HOMES = {
    "AlternatedProgram": "distill.alternated", "Alternation": "distill.alternated",
    "BadInput": "runtime.errors", "Board": "eval.board", "Bootstrap": "optimizers.config",
    "Budget": "runtime.budget", "BudgetExhausted": "runtime.errors", "CompiledProgram": "optimizers.compiled",
    "DistilledProgram": "distill.distilled", "Dspy": "optimizers.config", "DstillError": "runtime.errors",
    "FewShot": "optimizers.config", "Journal": "runtime.journal", "LM": "runtime.lm", "Race": "optimizers.race",
    "Recipe": "distill.recipes", "Report": "eval.report", "Samples": "eval.samples", "Score": "programs.metrics",
    "Session": "runtime.session", "Stop": "runtime.errors", "Task": "programs.task",
    "Where": "optimizers.compile", "ZeroShot": "optimizers.config",
    "alternate": "distill.alternate", "compare": "eval.compare", "compile": "optimizers.compile",
    "estimate": "optimizers.estimate", "evaluate": "eval.evaluate", "leaderboard": "board",
    "lm": "runtime.models:lm_for", "load": "saved",
    "read_examples": "programs.data", "read_hub": "programs.data", "read_results": "eval.interchange",
    "run": "running:run_recipe", "split": "programs.splits", "task": "programs.library:task_named",
}  # fmt: skip
"""Where each name lives: the module, and the name there if it is another."""

__all__ = [
    "LM",
    "AlternatedProgram",
    "Alternation",
    "BadInput",
    "Board",
    "Bootstrap",
    "Budget",
    "BudgetExhausted",
    "CompiledProgram",
    "DistilledProgram",
    "Dspy",
    "DstillError",
    "FewShot",
    "Journal",
    "Race",
    "Recipe",
    "Report",
    "Samples",
    "Score",
    "Session",
    "Stop",
    "Task",
    "Where",
    "ZeroShot",
    "alternate",
    "compare",
    "compile",
    "distill",
    "estimate",
    "evaluate",
    "leaderboard",
    "lm",
    "load",
    "metrics",
    "read_examples",
    "read_hub",
    "read_results",
    "run",
    "split",
    "task",
]


def __getattr__(name: str) -> Any:
    if name == "distill":
        return import_module(".distill", __name__)
    if name == "metrics":
        return import_module(".programs.metrics", __name__)
    if name == "__version__":
        from importlib.metadata import version

        return version("dstill")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, other = _HOMES[name].partition(":")
    found = getattr(import_module(f".{module}", __name__), other or name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
