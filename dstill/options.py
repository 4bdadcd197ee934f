"""The options that commands share, and how their values are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

RunArg = Annotated[Path, typer.Argument(help="A run's directory, e.g. runs/demo.")]
TaskOpt = Annotated[str, typer.Option(help="triage, nli, math_word, lab, or module:function.")]
TaskArg = Annotated[list[str] | None, typer.Option("--task-arg", help="An argument of the task, e.g. train=200.")]
LmOpt = Annotated[str, typer.Option(help="embedded, openai/gpt-4.1-mini, local:FOLDER, recorded:FILE, ...")]
UrlOpt = Annotated[str | None, typer.Option(help="A server that speaks the OpenAI protocol (vLLM, Ollama).")]
NameOpt = Annotated[str | None, typer.Option("--run", help="The run's directory, or its name under runs/.")]
SeedOpt = Annotated[int, typer.Option(help="Everything left to chance follows from it.")]
CallsOpt = Annotated[int | None, typer.Option(help="Cap on LM calls.")]
TokensOpt = Annotated[int | None, typer.Option(help="Cap on input plus output tokens.")]
UsdOpt = Annotated[float | None, typer.Option(help="Cap on dollars.")]
SecondsOpt = Annotated[float | None, typer.Option(help="Cap on seconds.")]
ReplaceOpt = Annotated[bool, typer.Option("--replace", help="Give up an earlier run of another configuration.")]
ResultsArg = Annotated[list[str], typer.Argument(
    metavar="RESULTS...", help="Evaluations' directories, or results of lm-eval, inspect, HELM, CSV or JSONL; "
    "NAME=PATH names the system.",
)]  # fmt: skip
FormOpt = Annotated[str | None, typer.Option(help="dstill, lm-eval, inspect, helm, table, wide; told by itself.")]
TasksOpt = Annotated[list[str] | None, typer.Option("--task", help="Take only this task.")]
MetricsOpt = Annotated[list[str] | None, typer.Option("--metric", help="Take only this metric.")]
RenameOpt = Annotated[list[str] | None, typer.Option(help="OLD=NEW: a task, split or metric.")]
IdOpt = Annotated[str | None, typer.Option(help="The examples' field that is their id.")]
ScaleOpt = Annotated[str | None, typer.Option(help="WORST:BEST of the metric, e.g. 0:100.")]
RepeatsOpt = Annotated[str, typer.Option(help="Several answers to an example: mean, or each a row.")]
ClusterOpt = Annotated[str | None, typer.Option(
    help="A field of the examples, e.g. document: those that share a value stand together, and intervals allow for it."
)]  # fmt: skip
ObjectiveOpt = Annotated[str, typer.Option(help="score, or with it any of cost, latency, prompt_tokens: a front.")]
PickOpt = Annotated[list[str] | None, typer.Option(
    help="Of a front, a trial's number or limits, e.g. prompt_tokens=200; nothing is paid for again."
)]  # fmt: skip
StorageOpt = Annotated[str | None, typer.Option(
    help="An Optuna storage (sqlite:///study.db, grpc://HOST:PORT, a .db or .log file): a study to watch in "
    "optuna-dashboard, which every process that runs the same command works on."
)]  # fmt: skip
EstimateOpt = Annotated[bool, typer.Option("--estimate", help="Say what it may cost, and spend nothing.")]


def _explain(run: Path | None) -> None:
    """Say why a finished run ended as it did, write that as a page beside it, and leave."""
    if run is not None:
        from .optimizers.explain import explain
        from .runtime.home import run_folder

        if not run.exists():  # the name that --run was given
            run = run_folder(run, run.name, {})
        found, page = explain(run), run.parent / f"{run.name}.html"
        found.save(page)
        print(found)
        print(f"\npage: {page}")
        raise typer.Exit


ExplainOpt = Annotated[Path | None, typer.Option(
    metavar="RUN", callback=_explain, is_eager=True,
    help="Explain a finished run, by its directory or its name under runs/; nothing is spent.",
)]  # fmt: skip


def limits(texts: list[str] | None) -> dict[str, Any]:
    """``--pick``: the number of a trial, or limits."""
    return {"trial": int(texts[0])} if texts and len(texts) == 1 and texts[0].isdecimal() else pairs(texts, "--pick")


def pairs(texts: list[str] | None, option: str) -> dict[str, Any]:
    """``key=value`` options; values are TOML values where they are some, ``null`` is none, all else is text.

    Raises:
        BadInput: for one without a key or a value.
    """
    import tomllib

    from .runtime.errors import BadInput

    found: dict[str, Any] = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise BadInput(f"{option} {text}: expected key=value")
        if value.strip() == "null":  # of JSON; TOML has no word for it
            found[key.strip()] = None
            continue
        try:
            found[key.strip()] = tomllib.loads(f"x = {value}")["x"]
        except tomllib.TOMLDecodeError:
            found[key.strip()] = value
    return found
