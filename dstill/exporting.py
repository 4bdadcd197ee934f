"""``dstill export``: results of any form, written for other tools and for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from . import options as opt

FORMS = {"model-index": ".md", "inspect": ".eval", "junit": ".xml", "labels": ".csv", "optuna": ".db"}
"""What results can be written as, and how such a file's name ends."""


def export(
    results: opt.ResultsArg,
    to: Annotated[str, typer.Option(help="model-index, inspect, junit, labels or optuna.")],
    out: Annotated[Path, typer.Option(help="The file: a model card, a log (.eval, .json), an .xml, a .csv, a .db.")],
    passing: Annotated[float, typer.Option(help="junit: the least score that passes.")] = 1.0,
    kind: Annotated[str, typer.Option(help="model-index: the hub's name of the kind of task.")] = "text-generation",
    n: Annotated[int, typer.Option("--n", help="labels: how many answers, drawn at random.")] = 60,
    seed: Annotated[int, typer.Option(help="labels: which answers, and their order.")] = 0,
    form: opt.FormOpt = None,
    task: opt.TasksOpt = None,
    metric: opt.MetricsOpt = None,
    rename: opt.RenameOpt = None,
    id: opt.IdOpt = None,
    scale: opt.ScaleOpt = None,
    repeats: opt.RepeatsOpt = "mean",
) -> None:
    """Write results for other tools: a model card of Hugging Face, a log of inspect_ai, JUnit XML for CI.

    With --to labels it is a sheet for people: answers drawn at random and a column for their labels from 0 (bad) to 1
    (good), which dstill eval EVALUATION --labels FILE reads.

    With --to optuna it is a study for each compilation, which optuna.load_study and optuna-dashboard open.

    A model card that is there keeps its text and what others wrote into its head, and a sheet that holds labels is not
    touched; nor is a file with studies of other names. Other files are replaced.

    Example:  dstill export runs/triage-mini-test --to junit --out report.xml

    Example:  dstill export runs/triage-mini-test --to labels --out people.csv --n 60

    Example:  dstill export runs/triage-mini --to optuna --out study.db
    """
    from .eval.interchange import write_inspect, write_junit, write_model_card
    from .eval.people import write_sheet
    from .results import How, read_all
    from .runtime.errors import BadInput

    if to not in FORMS:
        raise BadInput(f"--to {to}: expected one of {', '.join(FORMS)}")
    if to == "optuna":
        from .optimizers.studies import write_studies

        print(f"{write_studies(results, out):,} trials in {out}")
        return
    how = How(form, task or (), metric or (), rename or (), id, scale, repeats)
    reports = [report for found in read_all(results, how) for report in found]
    if to == "junit":
        write_junit(reports, out, passing=passing)
    elif to == "inspect":
        write_inspect(reports, out)
    elif to == "labels":
        if len(reports) != 1:
            raise BadInput(f"--to labels: {_count(reports)}; expected one, as a sheet is of the answers of one system")
        count = write_sheet(reports[0], out, n, seed)
        print(f"{count} of {len(reports[0].rows):,} answers to be labelled in {out}, in random order (seed {seed})")
        return
    else:
        write_model_card(reports, out, kind=kind)
    print(f"{_count(reports)} in {out}")


def _count(reports: Sequence[object]) -> str:
    return f"{len(reports)} report{'s' * (len(reports) != 1)}"
