"""``dstill eval``: a run's program on a split, in a directory beside the run's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from .eval.clusters import clustered
from .eval.evaluate import check_answers, evaluate_on
from .eval.report import Report
from .eval.samples import ONE, Samples
from .eval.until import Stopped, Until, evaluate_until
from .results import How, read_one
from .runtime.canonical import JSON, digest
from .runtime.errors import BadInput
from .runtime.home import default_journal, file_name
from .runtime.rundir import RunDir
from .runtime.session import Session
from .saved import load, task_of


@dataclass(frozen=True)
class Asked:
    """How a program is scored; the options of ``dstill eval``."""

    split: str
    lm: str | None = None
    name: str | None = None
    concurrency: int | None = None
    samples: Samples = ONE
    cluster: str | None = None
    """A field of the examples by which they stand together."""


def score_run(run: Path, asked: Asked, until: Until | None = None) -> tuple[Report, Stopped | None, Path]:
    """Score a compiled or distilled program; the report, and its directory ``NAME-SPLIT``.

    With ``until`` it ends when decided, and the directory is ``NAME-SPLIT-decided``: it is never taken for a whole one.

    Raises:
        BadInput: for a directory that holds no program, or a split that is none.
    """
    if run.name in ("", ".."):  # what is beside "." lies in the folder above it
        run = run.resolve()
    task = task_of(run)
    session = Session(default_journal(run))
    program = load(run, task.program, lm=asked.lm, session=session)
    system = asked.name or run.name
    target = run.parent / f"{file_name(system)}-{asked.split}{'' if until is None else '-decided'}"
    config: dict[str, JSON] = {"run": run.name, "split": asked.split, "lm": asked.lm, "name": system}
    if asked.samples != ONE:
        config |= {"samples": asked.samples.count, "temperature": asked.samples.temperature}
    if asked.cluster is not None:
        config["cluster"] = asked.cluster
    if until is not None:
        config |= _config(until)
    with RunDir(target, kind="eval", config=config, replace=True) as out:
        found: Stopped | None = None
        if until is None:
            report = evaluate_on(
                task, program, asked.split, name=system, session=session, concurrency=asked.concurrency,
                samples=asked.samples, run=out,
            )  # fmt: skip
            check_answers(report.system, report.rows)
        else:
            report, found = evaluate_until(
                task, program, until, asked.split, name=system, session=session, concurrency=asked.concurrency,
                samples=asked.samples,
            )  # fmt: skip
        held = (f"{note} (the teacher answers)" for note in getattr(program, "held", ()))
        report = replace(report, notes=(*report.notes, *held))
        if asked.cluster is not None:
            report = clustered(report, asked.cluster)
        report.save(out)
        out.finish()
    return report, found, target


def _config(until: Until) -> dict[str, JSON]:
    scores: list[JSON] = [[row.id, row.score] for row in until.baseline.rows]
    return {
        "against": until.baseline.system, "baseline": digest(scores), "margin": until.margin, "better": until.better,
        "seed": until.seed,
    }  # fmt: skip


def report_of(run: Path, baseline: Report | None, asked: Asked, how: How | None = None) -> tuple[Report, Path | None]:
    """What ``dstill eval`` reports on, and the directory to which its rows were written.

    With ``how`` it may be an evaluation that was made before, of any form that a board reads; nothing is run then, and
    of several reports the one on the baseline's task and metric is taken.

    Raises:
        BadInput: as ``score_run``; or of such an evaluation, where there is none or several, or something is given
            that only a program can be asked with.
    """
    if is_program(run) or how is None:
        report, _, folder = score_run(run, asked)
        return report, folder
    given = {"lm": asked.lm, "samples": None if asked.samples.count == 1 else asked.samples.count,
             "temperature": asked.samples.temperature}  # fmt: skip
    for option, value in given.items():
        if value is not None:
            raise BadInput(
                f"--{option} {value}: {run} is a finished evaluation, of which no model is asked anything; leave it out"
            )
    report = read_one(str(run), how, baseline)
    if asked.split not in ("test", report.split):  # the first is the option's default
        raise BadInput(f"--split {asked.split}: {run} is a finished evaluation of {report.split or 'no split'}")
    if asked.cluster is not None:
        report = clustered(report, asked.cluster)
    return report if asked.name is None else replace(report, system=asked.name), None


def report_until(run: Path, until: Until | None, asked: Asked) -> tuple[Report, Stopped, Path]:
    """The same of an evaluation that ends when decided.

    Raises:
        BadInput: as ``score_run``, without a baseline, or for an evaluation that has ended.
    """
    if until is None:
        raise BadInput("--stop-when-decided: there is nothing to be decided; add --against EVALUATION")
    if asked.cluster is not None:
        raise BadInput(
            f"--cluster {asked.cluster} with --stop-when-decided: its intervals take examples for independent; leave "
            "out one of them"
        )
    if not is_program(run):
        raise BadInput(
            f"--stop-when-decided: {run} holds no program, so there is no call to be saved; expected the directory of "
            "a compile or distill run"
        )
    report, found, folder = score_run(run, asked, until)
    assert found is not None
    return report, found, folder


def is_program(run: Path) -> bool:
    """Whether a directory holds a program to be run, and not a finished evaluation."""
    return (run / "program.json").exists()


def is_evaluation(run: Path) -> bool:
    """Whether it can only be a finished evaluation: one of ours, or a file, which no run is."""
    return (run / "report.json").exists() or run.is_file()


def reliability_lines(report: Report) -> list[str]:
    """What several answers to an example say: a line for each k; nothing of one answer."""
    if report.samples > 1 and not report.reliabilities:
        return ["pass@k needs right or wrong: from Python, report.reliability(k, passing=SCORE)"]
    return [str(one) for one in report.reliabilities]


def diagram_of(run: Path, folder: Path | None) -> Path:
    """The file for a reliability diagram: beside the directory of the rows, or of the evaluation that was read."""
    place = folder or (run if run.name not in ("", "..") else run.resolve())
    return place.with_name(f"{place.name.partition('.')[0] if place.is_file() else place.name}-calibration.svg")


def margin_of(text: str) -> float:
    """A margin in score, from ``1pt`` (points of 100) or ``0.01``.

    Raises:
        BadInput: for anything else, or a margin outside (0, 1).
    """
    number, points = (text[:-2], True) if text.endswith("pt") else (text, False)
    try:
        margin = float(number) / (100 if points else 1)
    except ValueError:
        margin = 0.0
    if not 0 < margin < 1:
        raise BadInput(f"--margin {text}: expected points such as 1pt, or a share of the score such as 0.01")
    return margin
