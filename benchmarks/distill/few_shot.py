"""Encoder students from few examples beside SetFit: same encoder, same rows, same machine, in turn.

    python -m venv build/setfit && build/setfit/bin/pip install torch==2.13.0 && build/setfit/bin/pip install setfit
    python benchmarks/distill/few_shot.py --encoder FOLDER --setfit build/setfit/bin/python --tasks trec --shots 8 16 64

Both get the same examples of each label (``--shots``; 0 for all), train, and are scored on the same test rows. SetFit
has its own defaults, which are one epoch over all pairs of rows; where that would take more than ``--times`` times as
long as our training, it gets as many steps as fill that time, by its own speed in its first steps.

Seeds draw other training rows and answer the same test rows: intervals are over test rows, with the answers of all
seeds to a row as one cluster. Our settings were chosen on seed 0, which is therefore left out. Runs are kept one by one
in ``--part``; what is there is not run again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Collection
from itertools import product
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

FEW, STEPS = 1000, 40
"""Below so many rows we learn by pairs, in some so many steps."""
PROBES = (10, 40)
"""Steps of two short trainings of SetFit, which tell how long a step takes it."""
SIDES = ("ours", "setfit")


def theirs(job: Path) -> None:
    """SetFit on a job's rows; runs in SetFit's own Python."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    body = json.loads(job.read_text())
    labels = sorted({label for _, label in body["train"]})
    data = Dataset.from_dict(
        {"text": [t for t, _ in body["train"]], "label": [labels.index(y) for _, y in body["train"]]}
    )

    def trained(steps: int) -> tuple[float, Any]:
        model = SetFitModel.from_pretrained(body["encoder"], labels=labels)
        with tempfile.TemporaryDirectory() as place:
            how = TrainingArguments(output_dir=place, seed=body["seed"], report_to="none", save_strategy="no",
                                    max_steps=steps)  # fmt: skip
            started = time.perf_counter()
            Trainer(model=model, args=how, train_dataset=data).train()
            return time.perf_counter() - started, model

    few, more = (trained(steps)[0] for steps in PROBES)
    each = max(1e-6, (more - few) / (PROBES[1] - PROBES[0]))
    steps = max(PROBES[1], round((body["seconds"] - few) / each) + PROBES[0])
    whole = pairs_of(Counter(label for _, label in body["train"]).values()) // 16  # a default batch
    capped = steps < whole
    seconds, model = trained(steps if capped else -1)
    said = [str(one) for one in model.predict([t for t, _ in body["test"]])]
    print("RESULT " + json.dumps({"seconds": seconds, "said": said, "steps": min(steps, whole), "capped": capped}))


def pairs_of(sizes: Collection[int]) -> int:
    """Pairs in an epoch of SetFit: those of one label and those of two, the fewer of them repeated."""
    rows = sum(sizes)
    same = sum(size * (size + 1) // 2 for size in sizes)
    return 2 * max(same, rows * (rows + 1) // 2 - same)


def stage_of(rows: int) -> Any:
    """How we learn so many rows."""
    from dstill.distill import TrainEncoder, Training

    if rows < FEW:
        epochs = max(3.0, min(STEPS / math.ceil(rows / 32), rows / 3))
        return TrainEncoder(Training(epochs=epochs, batch=32, lr=1e-4), objective="pairs", pooling="mean")
    how = Training(epochs=max(3.0, 6000 / rows), batch=16, lr=1e-4, new=10.0, precision="bf16")
    return TrainEncoder(how, smoothing=0.1, pooling="mean")


def ours(body: dict[str, Any], run: Path) -> dict[str, Any]:
    """Our classifier on the same rows."""
    import dspy
    from dstill.distill import Gold
    from dstill.distill.students import student_engine
    from dstill.runtime import ScriptedEngine

    import dstill

    labels = tuple(sorted({label for _, label in body["train"]}))
    signature = dspy.Signature("text -> label").with_updated_fields("label", type_=Literal[labels])
    rows = {
        split: [dspy.Example(id=f"{split}{n}", text=t, label=y).with_inputs("text") for n, (t, y) in enumerate(pairs)]
        for split, pairs in (("train", body["train"]), ("test", body["test"]))
    }
    known = {row.text for row in rows["train"]}
    apart = [row for row in rows["test"] if row.text not in known]
    task = dstill.Task(
        "few", dspy.Predict(signature), rows["train"], apart[:1], apart[1:], dstill.metrics.exact("label")
    )
    nobody = ScriptedEngine(lambda request: "", name="nobody")
    declared = dstill.compile(task, nobody, "zero-shot", run=run / "declared")
    stage = stage_of(len(rows["train"]))
    started = time.perf_counter()
    made = dstill.distill(declared, task, body["encoder"], [Gold(), stage], seed=body["seed"], run=run / "run")
    seconds = time.perf_counter() - started
    assert made.folder is not None
    engine: Any = student_engine(next((made.folder / "students").iterdir()))
    found = engine.probabilities([{"text": t} for t, _ in body["test"]]).argmax(-1).tolist()
    engine.close()
    return {"seconds": seconds, "said": [labels[place] for place in found]}


def drawn(data: Path, task: str, shots: int, seed: int, test: int | None) -> dict[str, Any]:
    """The rows of a task, so many of each label."""
    from dstill.programs.folders import find_file
    from dstill.runtime import derive

    def read(split: str) -> list[tuple[str, str]]:
        path = find_file(data / task, split)
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            return [(row["text"], str(row["label"])) for row in map(json.loads, lines)]

    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    rows = list(dict.fromkeys(read("train")))
    derive(seed, task).shuffle(rows)
    for row in rows:
        groups[row[1]].append(row)
    kept = [row for label in sorted(groups) for row in (groups[label][:shots] if shots else groups[label])]
    return {"train": kept, "test": read("test")[:test], "seed": seed}


def main() -> None:
    """Every task, number of shots and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", help="a folder or hub name of a sentence encoder")
    parser.add_argument("--setfit", help="a Python in which setfit is installed")
    parser.add_argument("--tasks", nargs="+", default=["banking77", "clinc150", "trec", "sst2"])
    parser.add_argument("--shots", nargs="+", type=int, default=[8, 16, 64, 0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--test", type=int, help="at most so many test rows")
    parser.add_argument("--times", type=float, default=3.0, help="SetFit's training time at most, in ours")
    parser.add_argument("--part", type=Path, default=Path("few_shot.jsonl"), help="what was run, a line a run")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        theirs(given.here)
        return
    from common import data_folder

    if not given.encoder:
        sys.exit("give a sentence encoder: --encoder FOLDER")
    rows = [json.loads(line) for line in given.part.read_text().splitlines()] if given.part.exists() else []
    how = {"encoder": Path(given.encoder).name, "test": given.test, "times": given.times}
    if strange := [row["how"] for row in rows if row["how"] != how]:
        sys.exit(f"{given.part} holds runs of other settings: {strange[0]}, asked for {how}")
    for seed, task, shots in product(range(1, given.seeds + 1), given.tasks, given.shots):
        if any((row["task"], row["shots"], row["seed"]) == (task, shots, seed) for row in rows):
            continue
        body = drawn(data_folder(given.data), task, shots, seed, given.test) | {"encoder": given.encoder}
        row = {"task": task, "shots": shots, "seed": seed, "how": how, "rows": len(body["train"])}
        for side, one in both(body, given).items():
            right = [float(a == y) for a, (_, y) in zip(one.pop("said"), body["test"], strict=True)]
            row[side] = one | {"scores": right}
        rows.append(row)
        with given.part.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(task, shots, seed, {side: told(row[side]) for side in SIDES if side in row}, flush=True)
    report(rows)


def both(body: dict[str, Any], given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Ours, and SetFit in its own Python where there is one."""
    with tempfile.TemporaryDirectory() as place:
        found = {"ours": ours(body, Path(place))}
        if given.setfit:
            job = Path(place) / "job.json"
            job.write_text(json.dumps(body | {"seconds": given.times * found["ours"]["seconds"]}))
            done = subprocess.run(
                [given.setfit, __file__, "--here", str(job)], capture_output=True, text=True,
                env={**os.environ, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"},
            )  # fmt: skip
            lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
            if not lines:
                sys.exit(f"setfit failed: {done.stderr[-3000:]}")
            found["setfit"] = json.loads(lines[0][7:])
    return found


def told(one: dict[str, Any]) -> str:
    """Accuracy and time."""
    return f"{100 * sum(one['scores']) / len(one['scores']):.1f} in {one['seconds']:.0f} s"


def report(rows: list[dict[str, Any]]) -> None:
    """Accuracies, times, and the differences, by task and number of shots."""
    from common import points, record, spread
    from dstill.eval.statistics import cluster_difference

    results, words = [], []
    for task, shots in dict.fromkeys((row["task"], row["shots"]) for row in rows):
        own = [row for row in rows if (row["task"], row["shots"]) == (task, shots)]
        flat = {side: [score for row in own for score in row[side]["scores"]] for side in SIDES if side in own[0]}
        result: dict[str, Any] = {
            "task": task, "shots": shots, "rows": own[0]["rows"], "seeds": len(own),
            "accuracy": {side: sum(scores) / len(scores) for side, scores in flat.items()},
            "seconds": {side: [row[side]["seconds"] for row in own] for side in flat},
        }  # fmt: skip
        said = f"{task} {shots or 'all'}: " + ", ".join(
            f"{side} {100 * value:.1f}" for side, value in result["accuracy"].items()
        )
        if "setfit" in flat:
            clusters = [place for row in own for place in range(len(row["ours"]["scores"]))]
            apart = cluster_difference(flat["ours"], flat["setfit"], clusters).interval.dump()
            ratio = spread([row["ours"]["seconds"] / row["setfit"]["seconds"] for row in own])
            result |= {"difference": apart, "time_ratio": ratio, "capped": [row["setfit"]["capped"] for row in own]}
            said += f", {points(apart)}, in {ratio} of its time"
        results.append(result)
        words.append(said)
    record("few_shot", {"how": rows[0]["how"], "results": results}, "; ".join(words))
    picture(results)


def picture(results: list[dict[str, Any]]) -> None:
    """Points over SetFit, by task, examples of a label, and how often they were drawn."""
    from common import RESULTS
    from plot import in_points, ranges

    order = sorted(results, key=lambda one: (one["task"], one["shots"] or math.inf))
    rows = {
        f"{one['task']}, {one['shots'] or 'all'} (n={one['seeds']})": in_points(one["difference"])
        for one in order
        if "difference" in one
    }
    if rows:
        ranges(RESULTS / "few_shot.svg", "Few examples of a label", "points over SetFit", rows)


if __name__ == "__main__":
    main()
