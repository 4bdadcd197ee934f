"""A student that beats its teacher without gold labels: e-SNLI, learned from PaLM's recorded labels alone.

    python benchmarks/distill/over_teacher.py --encoder FOLDER --seeds 5 [--part FILE]

The same encoder learns the teacher's labels as they are (``labels``), and set right by the stage ``correct``
(``corrected``), which is told that each of the three verdicts is right equally often and that the hypotheses that were
written for one premise have different verdicts. Both are known from how the data were made; no training row has its
gold label. Accuracy against gold on the test file, where the student sees one pair
at a time, beside the teacher's on the same rows; gold labels of training rows only tell how many were set right.

Seeds answer the same rows: intervals are over rows, with the answers of all seeds to a row as one cluster. Students are
kept one by one in ``--part``; what is there is not run again, and a training that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import RESULTS, data_folder, points, record, scores_of
from dstill.distill import Collect, Correct, DistillState, Filter, Stage, TrainEncoder, Training
from dstill.eval import evaluate_on
from dstill.eval.statistics import cluster_difference, cluster_mean
from plot import in_points, ranges
from step_by_step import rows_of, scored, task_of

import dstill

EVEN = {"entailment": 1.0, "neutral": 1.0, "contradiction": 1.0}
WAYS: dict[str, dict[str, Any] | None] = {"corrected": {"prior": EVEN, "distinct": "premise"}, "labels": None}
"""The settings of ``correct`` by way; ``None`` for none."""


def counting(gold: dict[str, str], found: dict[str, float]) -> Stage:
    """A stage that changes nothing and tells how often teacher and likeliest label are right."""

    @dataclass(frozen=True)
    class Count:  # gold labels are no setting, and do not belong into the run's files
        name = "count"

        def run(self, state: DistillState) -> DistillState:
            ((_, rows),) = state.pairs.items()
            known = [(row, gold[row.example]) for row in rows]
            said = np.mean([row.outputs["answer"] == true for row, true in known])
            likeliest = np.mean([max(row.soft, key=row.soft.__getitem__) == true for row, true in known])
            found.update(labels_right=float(said), corrected_right=float(likeliest), rows=len(known))
            return state.with_effect(self.name, state.rows)

    return Count()


def stages_of(way: str, given: argparse.Namespace, gold: dict[str, str], found: dict[str, float]) -> list[Stage]:
    """How a student learns."""
    how = Training(epochs=given.epochs, batch=32, lr=given.lr, new=10.0, precision=given.precision)
    first: list[Stage] = [Collect(keep="all"), Filter()]
    settings = WAYS[way]
    if settings is None:
        return [*first, TrainEncoder(how)]
    correct = Correct(training=replace(how, epochs=given.opinion), **settings)
    return [*first, correct, counting(gold, found), TrainEncoder(how, soft=True)]


def main() -> None:
    """All ways and seeds that are not there yet, and the report."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--encoder", required=True, help="a folder or name of an encoder")
    cli.add_argument("--seeds", type=int, default=5)
    cli.add_argument("--only", nargs="+", type=int, help="these seeds alone")
    cli.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    cli.add_argument("--train", type=int, help="at most so many training rows")
    cli.add_argument("--epochs", type=float, default=2.0)
    cli.add_argument("--opinion", type=float, default=2.0, help="epochs of the classifiers that set labels right")
    cli.add_argument("--lr", type=float, default=5e-5)
    cli.add_argument("--precision", choices=["float32", "bf16"], default="float32")
    cli.add_argument("--data", type=Path)
    cli.add_argument("--part", type=Path, default=Path("over_teacher.jsonl"), help="what was run, a line a student")
    given = cli.parse_args()
    data = data_folder(given.data)
    how = {name: getattr(given, name) for name in ("train", "epochs", "opinion", "lr", "precision")}
    how["encoder"] = Path(given.encoder).name
    rows: list[dict[str, Any]] = (
        [json.loads(line) for line in given.part.read_text().splitlines()] if given.part.exists() else []
    )
    if strange := [row["how"] for row in rows if row["how"] != how]:
        sys.exit(f"{given.part} holds students of other settings: {strange[0]}, asked for {how}")
    gold = {f"train-{row['id']}": row["label"] for row in rows_of(data / "esnli", "train")}
    work = Path(f"{given.part}.work")  # where a training that is interrupted goes on
    work.mkdir(exist_ok=True)
    task, engine = task_of("esnli", data, given.train, None, work)
    teacher = dstill.compile(task, engine, "zero-shot", run=work / "teacher")
    taught = scores_of(evaluate_on(task, teacher, "test"))
    for seed, way in product(given.only or range(given.seeds), given.ways):
        if any((row["way"], row["seed"]) == (way, seed) for row in rows):
            continue
        found: dict[str, float] = {}
        stages = stages_of(way, given, gold, found)
        scores = scored(task, teacher, given.encoder, stages, 1.0, seed, work / f"{way}-{seed}")
        rows.append({"way": way, "seed": seed, "how": how, "scores": scores, **found})
        with given.part.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
        shutil.rmtree(work / f"{way}-{seed}")
        print(seed, way, f"{100 * np.mean(scores):.1f}", found, flush=True)
    report(rows, taught, how)


def report(rows: list[dict[str, Any]], taught: list[float], how: dict[str, Any]) -> None:
    """Accuracy of each way, and its difference to the teacher's on the same rows."""
    found: dict[str, Any] = {"how": how, "teacher": float(np.mean(taught))}
    words = [f"e-SNLI test, teacher {100 * np.mean(taught):.1f}"]
    for way in WAYS:
        own = sorted((row for row in rows if row["way"] == way), key=lambda row: row["seed"])
        if not own:
            continue
        scores = np.array([row["scores"] for row in own])
        rows_again = list(range(len(taught))) * len(own)
        over = cluster_difference(scores.ravel(), np.tile(taught, len(own)), rows_again).interval.dump()
        told = {name: float(np.mean([row[name] for row in own])) for name in own[0] if name.endswith("_right")}
        found[way] = {
            "accuracy": cluster_mean(scores.ravel(), rows_again).interval.dump(), "over_teacher": over, **told,
            "seeds": {row["seed"]: float(np.mean(row["scores"])) for row in own},
        }  # fmt: skip
        right = f", {100 * told['corrected_right']:.1f} % of its training labels right" if told else ""
        words.append(f"{way} {100 * scores.mean():.1f}, {points(over)} over the teacher (n={len(own)}){right}")
    record("over_teacher", found, "; ".join(words))
    picture(found)


def picture(found: dict[str, Any]) -> None:
    """Each way over the teacher."""
    rows = {way: in_points(found[way]["over_teacher"]) for way in WAYS if way in found}
    ranges(RESULTS / "over_teacher.svg", "e-SNLI, no gold labels", "points over the teacher", rows)


if __name__ == "__main__":
    main()
