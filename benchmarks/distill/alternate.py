"""Prompts and weights in turn: what each step adds on test, beside prompts alone and weights alone.

    python benchmarks/distill/alternate.py --seeds 3

The embedded LM is its own student on the shipped task ``triage``; splits and all that is left to chance change with the
seed. ``p`` is the first step of ``p -> w -> p``, ``p -> w`` the second; ``w`` alone trains on what the declared program
gets right. A step that is held back leaves the program of the step before, and is scored as that.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import record, scores_of
from dstill.distill import Alternation, alternate, recipe_of
from dstill.eval import evaluate_on
from dstill.eval.statistics import paired_interval
from dstill.optimizers import Race

import dstill

STEPS = {"p": "1-prompts", "p -> w": "2-weights", "p -> w -> p": "3-prompts"}


def once(given: argparse.Namespace, seed: int, work: Path) -> dict[str, Any]:
    """Scores on test after each step, and what the steps said."""
    task = dstill.task("triage", train=given.train, dev=given.dev, test=given.test, seed=seed)
    recipe = recipe_of("prompted", epochs=given.epochs, lr=given.lr)

    def made(strategy: str) -> Any:
        how = Alternation(strategy, Race(candidates=given.candidates), recipe, given.margin)
        return alternate(task, given.lm, given.student, how, seed=seed, run=work / f"{seed}-{strategy[0]}")

    both, weights = made("p -> w -> p"), made("w")
    scores = {
        "declared": scores_of(evaluate_on(task, task.program, lm=given.lm)),
        "w": scores_of(evaluate_on(task, weights)),
    }
    last = scores["declared"]
    done = {step.folder for step in both.steps}
    for name, folder in STEPS.items():
        if name == "p -> w -> p" and folder in done:
            last = scores_of(evaluate_on(task, both))  # what the last search made of the students of the second step
        elif folder in done:
            last = scores_of(evaluate_on(task, dstill.load(both.folder / folder, task.program)))
        scores[name] = last
    said = {
        f"{strategy[0]}: {step.folder}": step.verdict
        for strategy, one in (("p", both), ("w", weights))
        for step in one.steps
    }
    return {"seed": seed, "scores": scores, "said": said, "verdict": both.verdict}


def main() -> None:
    """Every seed."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--lm", default="embedded")
    cli.add_argument("--student", default="embedded")
    cli.add_argument("--seeds", type=int, default=3)
    for name, size in (("train", 240), ("dev", 180), ("test", 200), ("candidates", 24), ("epochs", 4)):
        cli.add_argument(f"--{name}", type=int, default=size)
    cli.add_argument("--lr", type=float, default=3e-4)
    cli.add_argument("--margin", type=float, default=0.05)
    given = cli.parse_args()
    runs = []
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory() as work:
            runs.append(once(given, seed, Path(work)))
        print(runs[-1]["seed"], {name: round(100 * mean(s), 1) for name, s in runs[-1]["scores"].items()}, flush=True)
    pooled = {name: [s for run in runs for s in run["scores"][name]] for name in runs[0]["scores"]}
    gains = {name: paired_interval(s, pooled["declared"]) for name, s in pooled.items() if name != "declared"}
    added = paired_interval(pooled["p -> w -> p"], pooled["p"])
    record(
        "alternate",
        {"scores": {name: mean(s) for name, s in pooled.items()}, "gains": {n: g.dump() for n, g in gains.items()},
         "over_prompts": added.dump(), "n": len(pooled["declared"]),
         "runs": [{**run, "scores": {name: mean(s) for name, s in run["scores"].items()}} for run in runs]},
        f"triage test, {len(runs)} seeds: declared {100 * mean(pooled['declared']):.1f}, "
        + ", ".join(f"{name} {100 * mean(pooled[name]):.1f} ({gain})" for name, gain in gains.items())
        + f"; p -> w -> p over p {added}",
    )  # fmt: skip


if __name__ == "__main__":
    main()
