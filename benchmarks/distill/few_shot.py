"""Encoder students from few examples beside SetFit: same encoder, same rows, same machine, in turn.

    python -m venv build/setfit && build/setfit/bin/pip install torch==2.13.0 && build/setfit/bin/pip install setfit
    python benchmarks/distill/few_shot.py --encoder FOLDER --setfit build/setfit/bin/python --tasks trec --shots 8 16 64

Both get the same examples of each label (``--shots``; 0 for all), train, and are scored on the same test rows; SetFit
with its own defaults. Accuracy and seconds of training, with the paired difference over all seeds.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def theirs(job: Path) -> None:
    """SetFit on a job's rows; runs in SetFit's own Python."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    body = json.loads(job.read_text())
    labels = sorted({label for _, label in body["train"]})
    model = SetFitModel.from_pretrained(body["encoder"], labels=labels)
    data = Dataset.from_dict(
        {"text": [t for t, _ in body["train"]], "label": [labels.index(y) for _, y in body["train"]]}
    )
    with tempfile.TemporaryDirectory() as place:
        arguments = TrainingArguments(output_dir=place, seed=body["seed"], report_to="none", save_strategy="no",
                                      max_steps=body["max_steps"])  # fmt: skip
        started = time.perf_counter()
        Trainer(model=model, args=arguments, train_dataset=data).train()
        seconds = time.perf_counter() - started
    said = [str(one) for one in model.predict([t for t, _ in body["test"]])]
    print("RESULT " + json.dumps({"seconds": seconds, "said": said}))


def ours(body: dict[str, Any], run: Path) -> dict[str, Any]:
    """Our classifier on the same rows."""
    import dspy
    from dstill.distill import Gold, TrainEncoder, Training
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
    epochs = max(3.0, min(40.0, 2400 / len(rows["train"])))
    how = Training(epochs=epochs, batch=16, lr=1e-4, new=10.0)
    started = time.perf_counter()
    made = dstill.distill(declared, task, body["encoder"], [Gold(), TrainEncoder(how, smoothing=0.1)],
                          seed=body["seed"], run=run / "run")  # fmt: skip
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
    parser.add_argument(
        "--max-steps", type=int, default=-1, help="of SetFit's contrastive training; its own by default"
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        theirs(given.here)
        return
    from common import data_folder, record, spread
    from dstill.eval.statistics import paired_interval

    if not given.encoder:
        sys.exit("give a sentence encoder: --encoder FOLDER")
    results = []
    for task in given.tasks:
        for shots in given.shots:
            scores: dict[str, list[float]] = {"ours": [], "setfit": []}
            seconds: dict[str, list[float]] = {"ours": [], "setfit": []}
            for seed in range(given.seeds):
                body = drawn(data_folder(given.data), task, shots, seed, given.test)
                body |= {"encoder": given.encoder, "max_steps": given.max_steps}
                with tempfile.TemporaryDirectory() as place:
                    said = {"ours": ours(body, Path(place))}
                    if given.setfit:
                        job = Path(place) / "job.json"
                        job.write_text(json.dumps(body))
                        done = subprocess.run(
                            [given.setfit, __file__, "--here", str(job)], capture_output=True, text=True,
                            env={**os.environ, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"},
                        )  # fmt: skip
                        lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
                        if not lines:
                            sys.exit(f"setfit failed: {done.stderr[-3000:]}")
                        said["setfit"] = json.loads(lines[0][7:])
                for side, one in said.items():
                    scores[side] += [float(a == y) for a, (_, y) in zip(one["said"], body["test"], strict=True)]
                    seconds[side].append(one["seconds"])
            result: dict[str, Any] = {
                "task": task, "shots": shots, "seconds": seconds,
                "accuracy": {side: sum(s) / len(s) for side, s in scores.items() if s},
            }  # fmt: skip
            if scores["setfit"]:
                result["difference"] = paired_interval(scores["ours"], scores["setfit"]).dump()
                result["time_ratio"] = spread([a / b for a, b in zip(seconds["ours"], seconds["setfit"], strict=True)])
            results.append(result)
            print(result, flush=True)
    line = "; ".join(
        f"{one['task']} {one['shots'] or 'all'}: "
        + ", ".join(f"{side} {100 * value:.1f}" for side, value in one["accuracy"].items())
        + (f", time {one['time_ratio']}" if "time_ratio" in one else "")
        for one in results
    )
    record("few_shot", {"results": results}, line)


if __name__ == "__main__":
    main()
