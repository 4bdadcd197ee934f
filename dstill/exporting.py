"""``dstill export``: results of any form, written for other tools and for people, and students for other engines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from . import options as opt

FORMS = {"model-index": ".md", "inspect": ".eval", "junit": ".xml", "labels": ".csv", "optuna": ".db"}
"""What results can be written as, and how such a file's name ends."""


def export(
    results: opt.ResultsArg,
    to: Annotated[
        str, typer.Option(help="model-index, inspect, junit, labels, optuna; hf, onnx, onnx-int8, gguf, gguf-q8.")
    ],
    out: Annotated[
        Path,
        typer.Option(help="The file: a model card, a log (.eval, .json), an .xml, a .csv, a .db; students: a folder."),
    ],
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
    """Write results for other tools (a model card of Hugging Face, a log of inspect_ai, JUnit XML), students for other
    engines.

    With --to labels it is a sheet for people: answers drawn at random and a column for their labels from 0 (bad) to 1
    (good), which dstill eval EVALUATION --labels FILE reads.

    With --to optuna it is a study for each compilation, which optuna.load_study and optuna-dashboard open.

    With --to hf, onnx, onnx-int8 (classifiers), gguf or gguf-q8 (causal students) it is every student of a distill run,
    or the one of the folder that is given; each is loaded back, and what it answers differently is told.

    A model card that is there keeps its text and what others wrote into its head, and a sheet that holds labels is not
    touched; nor is a file with studies of other names. Other files are replaced.

    Example:  dstill export runs/triage-mini-test --to junit --out report.xml

    Example:  dstill export runs/triage-mini-test --to labels --out people.csv --n 60

    Example:  dstill export runs/triage-mini --to optuna --out study.db

    Example:  dstill export runs/triage-small --to gguf --out exports/triage
    """
    from .eval.interchange import write_inspect, write_junit, write_model_card
    from .eval.people import write_sheet
    from .results import How, read_all
    from .runtime.errors import BadInput

    if to not in FORMS:
        from .distill.export import FORMATS

        if to not in FORMATS:
            raise BadInput(f"--to {to}: expected one of {', '.join([*FORMS, *FORMATS])}")
        for made in _students(results, to, out):
            print(made)
        return
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


def _students(places: Sequence[str], to: str, out: Path) -> Iterator[object]:
    """Each student written, in a folder of its own where there are several."""
    from .distill.export import export_student
    from .runtime.errors import BadInput

    found = [student for place in places for student in _in(Path(place))]
    if not found:
        raise BadInput(f"--to {to}: no student in {', '.join(places)}; expected a distill run, or a student's folder")
    names = [student.name for student in found]
    if len(set(names)) < len(names):
        raise BadInput(f"--to {to}: several students are called {max(names, key=names.count)}; write them one by one")
    for student in found:
        yield export_student(student, to, out / student.name if len(found) > 1 else out)


def _in(place: Path) -> list[Path]:
    """The student of a folder, or those of a run."""
    if (place / "student.json").is_file():
        return [place]
    return sorted(file.parent for file in place.glob("students/*/student.json"))


def _count(reports: Sequence[object]) -> str:
    return f"{len(reports)} report{'s' * (len(reports) != 1)}"
