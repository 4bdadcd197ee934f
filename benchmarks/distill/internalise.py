"""A prompt moved into the weights: the compiled program with its demonstrations against a student that sees the input.

    python benchmarks/distill/internalise.py --lm embedded --kinds topics --seeds 5

The teacher is the embedded LM with eight labelled demonstrations on a lab task; the student is the same model, trained
with the recipe ``internalise`` on the teacher's probabilities over unlabelled training inputs, and asked without
instructions and demonstrations. Both answer test; tokens are those that were read, by the models' own count. The
student is scored whether the gate ships it or not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import RESULTS, record, scores_of
from dstill.distill import distill, recipe_of
from dstill.eval import evaluate_on
from dstill.eval.statistics import paired_interval
from dstill.optimizers import FewShot
from plot import in_points, ranges

import dstill


def once(given: argparse.Namespace, kind: str, seed: int, work: Path) -> dict[str, Any]:
    """One task: scores on test and tokens read, of the teacher and of its student."""
    task = dstill.task(
        "lab", kind=kind, classes=given.classes, train=given.train, dev=given.dev, test=given.test, seed=seed
    )
    place = work / f"{kind}-{seed}"
    teacher = dstill.compile(task, given.lm, FewShot(given.shots), seed=seed, run=place / "teacher")
    recipe = recipe_of("internalise", epochs=given.epochs, lr=given.lr, batch=16)
    made = distill(teacher, task, given.lm, recipe, 0.02, seed=seed, run=place / "student")
    assert made.trained is not None
    reports = [
        evaluate_on(task, teacher),
        evaluate_on(task, made.trained, lm=made.lm),
    ]
    return {
        "kind": kind, "seed": seed, "verdict": made.verdict,
        **{side: scores_of(report) for side, report in zip(("teacher", "student"), reports, strict=True)},
        "tokens": [report.prompt_tokens for report in reports],
    }  # fmt: skip


def main() -> None:
    """Every kind and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lm", default="embedded")
    parser.add_argument("--kinds", nargs="+", default=["topics"])
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--shots", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--train", type=int, default=600)
    parser.add_argument("--dev", type=int, default=100)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--lr", type=float, default=5e-4)
    given = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory() as place:
        for kind in given.kinds:
            for seed in range(given.seeds):
                runs.append(once(given, kind, seed, Path(place)))
                print(kind, seed, *(round(mean(runs[-1][side]), 3) for side in ("teacher", "student")),
                      *runs[-1]["tokens"], flush=True)  # fmt: skip
    ours, theirs = ([score for run in runs for score in run[side]] for side in ("student", "teacher"))
    lost = paired_interval(ours, theirs)
    read = [mean(run["tokens"][n] for run in runs) for n in range(2)]
    fewer = 1 - read[1] / read[0]
    record(
        "internalise",
        {"teacher": mean(theirs), "student": mean(ours), "difference": lost.dump(),
         "tokens": read, "fewer": fewer,
         "runs": [{**run, "teacher": mean(run["teacher"]), "student": mean(run["student"])} for run in runs]},
        f"{100 * fewer:.1f} % fewer prompt tokens ({read[1]:.0f} instead of {read[0]:.0f}); the score differs from the "
        f"teacher's {100 * mean(theirs):.1f} by {lost} (n={len(ours)}, {len(runs)} tasks)",
    )  # fmt: skip
    picture(lost.dump(), runs)


def picture(lost: dict[str, float], runs: list[dict[str, Any]]) -> None:
    """Students over their teachers: all together, and each."""
    rows = {"all": in_points(lost)}
    for run in runs:
        one = 100 * (mean(run["student"]) - mean(run["teacher"]))
        rows[f"{run['kind']}, seed {run['seed']}"] = (one, one, one)
    title = "Bare inputs beside a prompt with demonstrations"
    ranges(RESULTS / "internalise.svg", title, "points over the teacher", rows, asked=(0.0, -2.0))


if __name__ == "__main__":
    main()
