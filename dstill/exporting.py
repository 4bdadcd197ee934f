"""``dstill export``: results of any form, written for other tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from . import options as opt

FORMS = {"model-index": ".md", "inspect": ".eval", "junit": ".xml"}
"""What results can be written as, and how such a file's name ends."""


def export(
    results: opt.ResultsArg,
    to: Annotated[str, typer.Option(help="model-index, inspect or junit.")],
    out: Annotated[Path, typer.Option(help="The file: a model card, a log (.eval, .json), an .xml.")],
    passing: Annotated[float, typer.Option(help="junit: the least score that passes.")] = 1.0,
    kind: Annotated[str, typer.Option(help="model-index: the hub's name of the kind of task.")] = "text-generation",
    form: opt.FormOpt = None,
    task: opt.TasksOpt = None,
    metric: opt.MetricsOpt = None,
    rename: opt.RenameOpt = None,
    id: opt.IdOpt = None,
    scale: opt.ScaleOpt = None,
    repeats: opt.RepeatsOpt = "mean",
) -> None:
    """Write results for other tools: a model card of Hugging Face, a log of inspect_ai, JUnit XML for CI.

    A model card that is there keeps its text and what others wrote into its head; other files are replaced.

    Example:  dstill export runs/triage-mini-test --to junit --out report.xml
    """
    from .eval.interchange import write_inspect, write_junit, write_model_card
    from .results import How, read_all
    from .runtime.errors import BadInput

    if to not in FORMS:
        raise BadInput(f"--to {to}: expected one of {', '.join(FORMS)}")
    how = How(form, task or (), metric or (), rename or (), id, scale, repeats)
    reports = [report for found in read_all(results, how) for report in found]
    if to == "junit":
        write_junit(reports, out, passing=passing)
    elif to == "inspect":
        write_inspect(reports, out)
    else:
        write_model_card(reports, out, kind=kind)
    print(f"{_count(reports)} in {out}")


def _count(reports: Sequence[object]) -> str:
    return f"{len(reports)} report{'s' * (len(reports) != 1)}"
