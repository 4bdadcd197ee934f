"""``dstill eval``: a program on a split of its task, and whether it is better than a baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options as opt


def eval_(
    run: opt.RunArg,
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "test",
    lm: Annotated[str | None, typer.Option(help="Another model than the one it was compiled for.")] = None,
    name: Annotated[str | None, typer.Option(help="Its name on boards; the run directory's by default.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Calls in flight.")] = None,
    against: Annotated[Path | None, typer.Option(help="An evaluation of the same split to be judged against.")] = None,
    margin: Annotated[str, typer.Option(help="What may be lost against it: 1pt, or 0.01.")] = "1pt",
    better: Annotated[bool, typer.Option("--better", help="Not to be worse is not enough.")] = False,
    shared: Annotated[bool, typer.Option("--shared", help="Of different examples, judge those both have.")] = False,
    cluster: opt.ClusterOpt = None,
    samples: Annotated[int, typer.Option(help="Answers to each example, for pass@k and pass^k.")] = 1,
    temperature: Annotated[float | None, typer.Option(help="Of the answers; the program's own by default.")] = None,
    stop: Annotated[
        bool, typer.Option("--stop-when-decided", help="Ask no more examples than it takes; against a baseline.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The order of the examples, with --stop-when-decided.")] = 0,
    labels: Annotated[
        Path | None, typer.Option(help="People's labels of some answers, by which a judge's scores are corrected.")
    ] = None,
    confidence: Annotated[
        str | None, typer.Option(help="A field that says how sure an answer is; whether that means what it says.")
    ] = None,
    certain: Annotated[float, typer.Option(help="The number in that field that means certain, e.g. 100.")] = 1.0,
    passing: Annotated[
        float | None, typer.Option(help="The score from which on an answer is right, for graded metrics' confidences.")
    ] = None,
    form: opt.FormOpt = None,
    task: opt.TasksOpt = None,
    metric: opt.MetricsOpt = None,
    rename: opt.RenameOpt = None,
    id: opt.IdOpt = None,
    scale: opt.ScaleOpt = None,
    repeats: opt.RepeatsOpt = "mean",
    junit: Annotated[Path | None, typer.Option(help="A file for JUnit XML, a test case for each example.")] = None,
) -> None:
    """Score a compiled or distilled program on a split.

    Written to a directory beside the run's, NAME-SPLIT. With --against it is a gate: exit code 0 for better or not
    worse, 10 for worse, 11 for undecided, and with --better 12 for not worse. A finished evaluation, ours or another
    tool's, is taken as it stands, and nothing is run; --task and --metric choose among several results in a file, and
    the other options of dstill leaderboard say how it is read. With --samples a row is the mean of several answers to
    its example.

    With --stop-when-decided examples are met in random order, and it ends as soon as it is decided, by intervals that
    allow for looking; what was met is written to NAME-SPLIT-decided.

    With --labels a judge's mean is corrected by labels of people, a table with the columns id and label from 0 to 1;
    dstill export RUN --to labels draws the answers to be labelled. A finished evaluation is taken as it stands.

    With --confidence FIELD it says whether that field of the answers, a probability or a text such as 85 %, means what
    it says: calibration error, Brier score, and a reliability diagram beside the rows. A finished evaluation will do.

    Example:  dstill eval runs/triage-mini --against runs/zero-shot-test --margin 1pt --stop-when-decided

    Example:  dstill eval runs/triage-mini --samples 8 --temperature 0.7

    Example:  dstill eval logs/new.eval --against logs/old.eval --metric accuracy

    Example:  dstill eval runs/triage-mini-test --labels people.csv

    Example:  dstill eval answers.csv --confidence sure --certain 100
    """
    from .eval.interchange import write_junit
    from .eval.people import judged, read_labels
    from .eval.samples import Samples
    from .judging import Judging, judged_report
    from .results import How, read_one
    from .runtime.errors import BadInput
    from .scoring import Asked, diagram_of, is_evaluation, is_program, margin_of, reliability_lines

    if labels is not None and (against is not None or stop):
        raise BadInput(
            f"--labels {labels}: a gate compares a judge's plain scores; leave out one of --labels, --against"
        )
    how = How(form, task or (), metric or (), rename or (), id, scale, repeats)
    if how != How() and against is None and is_program(run):
        raise BadInput(f"{how.given}: {run} is a program, of which no results are read; leave it out")
    people = None if labels is None else read_labels(labels)  # before anything is paid for
    baseline = None if against is None else read_one(str(against), how)
    judging = Judging(baseline, margin_of(margin), better, shared, stop, seed)
    asked = Asked(split, lm, name, concurrency, Samples(samples, temperature), cluster)
    finished = is_evaluation(run) or any(given is not None for given in (against, labels, confidence))
    report, folder, verdict = judged_report(run, asked, judging, how if finished else None)
    notes = [note for note in report.notes if verdict is None or not note.startswith(verdict.said)]  # the last line
    rows = [] if folder is None else [f"rows: {folder / 'rows.jsonl'}"]
    print("\n".join([str(report), *reliability_lines(report), *notes, *rows]))
    if people is not None:
        print(judged(report, people))
    if confidence is not None:
        shown = report.calibration(confidence, certain=certain, passing=passing)
        print(f"{shown}\ndiagram: {shown.save(diagram_of(run, folder))}")
    if junit is not None:
        print(f"junit: {write_junit([report], junit)}")
    if verdict is not None:
        print(verdict.said)
        raise typer.Exit(verdict.exit_code(better))
