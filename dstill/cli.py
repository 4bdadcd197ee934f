"""The command line: a thin layer of typer over the functions of the face."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from . import options as opt
from .alternating import alternate
from .boards import DEFAULT, boards
from .ending import Commands, end, fail, say
from .evaluating import eval_
from .exporting import export

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # see runtime.engines.local

app = typer.Typer(
    cls=Commands,
    help="dstill compiles a declarative LM program, distils it into small models, and proves what was gained.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(boards, name="leaderboard")
app.command(name="eval")(eval_)
app.command()(alternate)
app.command()(export)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"dstill {version('dstill')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")] = False,
) -> None:
    pass


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="A TOML recipe.")],
    name: opt.NameOpt = None,
    replace: opt.ReplaceOpt = False,
    estimate: opt.EstimateOpt = False,
) -> None:
    """Everything a recipe says: compile, distil, score on the test split, leaderboard.

    Example:  dstill run demo.toml
    """
    from .recipe import read_recipe
    from .running import estimate_recipe, run_recipe

    checked = read_recipe(recipe)
    if estimate:
        print(estimate_recipe(checked))
        return
    done = run_recipe(checked, folder=name, replace_other=replace, say=say)
    if done.board is not None:
        print(done.board)
        print(f"\nleaderboard: {done.folder / 'leaderboard.html'}")
    print(f"run directory: {done.folder}")
    end(done.stopped)


@app.command()
def compile(
    task: opt.TaskOpt,
    lm: opt.LmOpt,
    optimizer: Annotated[str, typer.Option(help="race, zero-shot, k-shot, bootstrap, or dspy:NAME.")] = "race",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Its option, e.g. candidates=12, auto=light.")
    ] = None,
    objective: opt.ObjectiveOpt = "score",
    pick: opt.PickOpt = None,
    calls: opt.CallsOpt = None,
    tokens: opt.TokensOpt = None,
    usd: opt.UsdOpt = None,
    seconds: opt.SecondsOpt = None,
    seed: opt.SeedOpt = 0,
    task_arg: opt.TaskArg = None,
    prompt_lm: Annotated[str | None, typer.Option(help="The model that writes instructions.")] = None,
    base_url: opt.UrlOpt = None,
    name: opt.NameOpt = None,
    replace: opt.ReplaceOpt = False,
    storage: opt.StorageOpt = None,
    estimate: opt.EstimateOpt = False,
    explain: opt.ExplainOpt = None,
) -> None:
    """Find instructions and demonstrations that make a task's program good on a model.

    Example:  dstill compile --task triage --lm openai/gpt-4.1-mini --usd 2 --run triage-mini

    With --storage the same command in several shells, or on several machines, is one run: they share its calls, pay
    for each once, keep its budget together, and all end with the same result.
    """
    from .optimizers.compile import Where
    from .optimizers.compile import compile as compile_
    from .optimizers.config import optimizer_of
    from .optimizers.estimate import estimate as estimate_
    from .optimizers.objective import objective_of
    from .programs.library import task_named
    from .runtime.budget import Budget
    from .runtime.models import lm_for

    made_task = task_named(task, **opt.pairs(task_arg, "--task-arg"))
    budget = Budget(calls, tokens, usd, seconds)
    chosen, goals = optimizer_of(optimizer, **opt.pairs(setting, "--set")), objective_of(objective, opt.limits(pick))
    options: dict[str, Any] = {"base_url": base_url} if base_url else {}
    model = lm_for(lm, **options)
    if estimate:
        print(estimate_(made_task, model, chosen, budget, seed, goals))
        return
    where = Where(name, replace=replace, storage=storage)
    made = compile_(made_task, model, chosen, budget, seed, objective=goals, prompt_lm=prompt_lm, run=where)
    print(made)
    print(f"run directory: {made.folder}")
    end(made.evidence.stopped if made.evidence else None)


@app.command()
def distill(
    compiled: opt.RunArg,
    student: Annotated[str, typer.Option(help="embedded:small, a model folder, or a hub name.")],
    recipe: Annotated[str, typer.Option(help="A name (sft, labels, ladder, ...) or a file NAME.toml.")] = "sft",
    margin: Annotated[float, typer.Option(help="What the program may lose, in score (0.01 is a point).")] = 0.01,
    setting: Annotated[list[str] | None, typer.Option("--set", help="A setting, e.g. epochs=3.")] = None,
    devices: Annotated[
        int | None, typer.Option(help="GPUs to train on; processor cores where there is no GPU. One by default.")
    ] = None,
    calls: opt.CallsOpt = None,
    tokens: opt.TokensOpt = None,
    usd: opt.UsdOpt = None,
    seconds: opt.SecondsOpt = None,
    seed: opt.SeedOpt = 0,
    name: opt.NameOpt = None,
    replace: opt.ReplaceOpt = False,
) -> None:
    """Train students on a compiled program's runs and put them where they are not inferior.

    Example:  dstill distill runs/triage-mini --student Qwen/Qwen2.5-0.5B-Instruct --recipe sft --set lora=16
    """
    from .distill.distill import distill as distill_
    from .distill.recipes import recipe_of
    from .optimizers.compile import Where
    from .runtime.budget import Budget
    from .saved import task_of, teacher_of

    made_task = task_of(compiled)
    teacher = teacher_of(compiled, made_task.program)
    settings = opt.pairs(setting, "--set") | ({} if devices is None else {"devices": devices})
    chosen = recipe_of(recipe, **settings)
    budget = Budget(calls, tokens, usd, seconds)
    made = distill_(teacher, made_task, student, chosen, margin, budget, seed, run=Where(name, replace=replace))
    print(made)
    print(f"run directory: {made.folder}")
    end(made.stopped)


@boards.command(name=DEFAULT)
def leaderboard(
    results: opt.ResultsArg,
    baseline: Annotated[str | None, typer.Option(help="The system to measure gains against.")] = None,
    cluster: opt.ClusterOpt = None,
    shared: Annotated[bool, typer.Option("--shared", help="Of different examples, take those all have.")] = False,
    labels: Annotated[
        list[Path] | None, typer.Option(help="People's labels of a system's answers; noted beside a judge's scores.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where to write leaderboard.{html,md,json,csv}.")] = Path(),
    form: opt.FormOpt = None,
    task: opt.TasksOpt = None,
    metric: opt.MetricsOpt = None,
    rename: opt.RenameOpt = None,
    id: opt.IdOpt = None,
    scale: opt.ScaleOpt = None,
    repeats: opt.RepeatsOpt = "mean",
) -> None:
    """A board of finished evaluations, ours or other tools', in the terminal and as one HTML file.

    This is what happens without a command. Of a board's folder it prints the board as it stands, with the history of
    its systems, and writes nothing.

    Example:  dstill leaderboard runs/triage-mini-test gpt=logs/gpt.eval people.csv --rename score=exact --out boards
    """
    from .eval.interchange import together
    from .eval.publish import BoardFolder
    from .results import How, read_all, with_labels
    from .runtime.errors import BadInput

    if len(results) == 1 and BoardFolder(Path(results[0])).exists():
        print(f"{BoardFolder(Path(results[0])).board()}\n\nleaderboard: {Path(results[0]) / 'leaderboard.html'}")
        return
    how = How(form, task or (), metric or (), rename or (), id, scale, repeats)
    if labels and cluster is not None:
        raise BadInput(
            f"--labels with --cluster {cluster}: a judge's interval takes examples for independent; leave out one"
        )
    found = with_labels(read_all(results, how), labels or ())
    board = together(found, baseline=baseline, cluster=cluster, shared=shared)
    print(f"{board}\n\nleaderboard: {board.save(out)['html']}")


@app.command()
def verify(runs: Annotated[list[Path], typer.Argument(help="Directories of finished runs.")]) -> None:
    """Check every file of finished runs against their manifests, runs within them too.

    Example:  dstill verify runs/demo
    """
    from .runtime.rundir import MANIFEST
    from .runtime.rundir import verify as verify_

    problems = []
    for folder in runs:
        found = verify_(folder)
        inner = sorted(p.parent for p in folder.rglob(MANIFEST) if p.parent != folder)
        for part in inner:
            found += verify_(part)
        problems += found
        print(f"{folder}: {'as it was written' if not found else 'damaged'} ({1 + len(inner)} manifests)")
    if problems:
        fail("\n".join(problems), 5)


@app.command()
def replay(
    run: opt.RunArg,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train students anew, too.")] = False,
) -> None:
    """Carry out a finished run again from its cassette, with no engine and the network closed.

    Example:  dstill replay runs/demo
    """
    from .replaying import replay_run

    found = replay_run(run, retrain=retrain, say=say)
    print(f"{found.calls:,} answers from the cassette, 0 from engines; {len(found.same)} files have the same bytes")
    if found.different:
        fail("other bytes: " + ", ".join(found.different), 5)


@app.command(name="export-cassette")
def export_cassette(
    run: opt.RunArg, out: Annotated[Path, typer.Argument(help="The file to write, e.g. demo.jsonl.zst.")]
) -> None:
    """Write a run's part of the journal as one file; of an interrupted run, what it has paid for so far.

    Example:  dstill export-cassette runs/demo demo.jsonl.zst
    """
    from .runtime.cassette import export_run

    print(f"{export_run(run, out):,} calls in {out}")


@app.command()
def doctor() -> None:
    """What is installed, which models can be reached, and what to do about what is missing.

    Example:  dstill doctor
    """
    from .doctor import examine

    bad = False
    for line in examine():
        print(line)
        bad |= line.bad
    raise typer.Exit(1 if bad else 0)


def main() -> None:
    """The entry point; a task's ``module:function`` may lie in the current folder, as with ``python -m``."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode still gets its answer
    app()


if __name__ == "__main__":
    main()
