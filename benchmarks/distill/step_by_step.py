"""Distilling step by step on recorded PaLM rationales: three ways to teach one generative student, four sizes of data.

    python benchmarks/distill/step_by_step.py --student FOLDER --tasks esnli cqa --seeds 5

The same student learns the same rows as ``label-only``, with the rationale in the answer (``sft``), and as two tasks
(``step-by-step``), from 12.5, 25, 50 and 100 % of the rows; accuracy against gold on the test file, with the paired
difference of step-by-step from label-only. ``--encoder FOLDER`` adds classifiers: labels alone, with rationales as an
auxiliary task, and that with a loss for wrong labels and early stopping on rows kept apart. Nothing gold is seen in
training; every way is also compared with the teacher itself, row by row.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dspy
from common import data_folder, record
from dstill.distill import Collect, Filter, Stage, TrainCausal, TrainEncoder, Training, TrainSeq2Seq
from dstill.distill.stages.common import base_folder, kind_of
from dstill.eval import System, evaluate_on
from dstill.eval.statistics import paired_interval
from dstill.programs.folders import find_file
from dstill.runtime import RecordedEngine, derive

import dstill

FIELDS = {
    "esnli": ("premise", "hypothesis"), "anli1": ("premise", "hypothesis"), "cqa": ("question", "choices"),
    "svamp": ("question",),
}  # fmt: skip
"""Input fields of each task, as they are called in the data."""


def rows_of(folder: Path, split: str) -> Iterator[dict[str, Any]]:
    """The rows of a split."""
    path = find_file(folder, split)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        yield from map(json.loads, lines)


def shown(value: Any) -> str:
    """A field's value as text."""
    if isinstance(value, dict):
        return "; ".join(f"({key}) {text}" for key, text in value.items())
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def plain(name: str, label: Any) -> str:
    """A label as it is compared: equations without spaces, outer brackets and trailing zeros."""
    text = str(label)
    return text.replace(" ", "").replace(".0", "").removeprefix("(").removesuffix(")") if name == "svamp" else text


def task_of(
    name: str, data: Path, train: int | None, test: int | None, work: Path
) -> tuple[dstill.Task, RecordedEngine]:
    """The task with its recorded teacher: labels and rationales that PaLM gave."""
    fields = FIELDS[name]
    parts: dict[str, list[dspy.Example]] = {}
    said = work / f"{name}.jsonl"
    with said.open("w") as out:
        for split in ("train", "dev", "test"):
            found, seen = [], set()
            for row in rows_of(data / name, split):
                inputs = {field: shown(row[field]) for field in fields}
                if row.get("teacher_label") is None or tuple(inputs.values()) in seen:
                    continue
                seen.add(tuple(inputs.values()))
                outputs = {"reasoning": row.get("rationale") or "", "answer": plain(name, row["teacher_label"])}
                out.write(json.dumps({"inputs": inputs, "outputs": outputs}) + "\n")
                gold = None if split == "train" else plain(name, row["label"])
                found.append(dspy.Example(id=f"{split}-{row['id']}", **inputs, answer=gold).with_inputs(*fields))
            parts[split] = found[: {"train": train, "test": test}.get(split)]
    known = {tuple(e.inputs().values()) for split in ("dev", "test") for e in parts[split]}
    parts["train"] = [e for e in parts["train"] if tuple(e.inputs().values()) not in known]
    signature = ", ".join(fields) + " -> answer"
    task = dstill.Task(name, dspy.ChainOfThought(signature), metric=dstill.metrics.exact("answer"), **parts)
    return task, RecordedEngine(said, name="palm-540b")


def stages_of(way: str, kind: str, how: Training) -> list[Stage]:
    """How a student learns."""
    first: list[Stage] = [Collect(keep="all"), Filter()]
    if way.startswith("encoder"):
        aux: Any = "align" if way != "encoder" else "none"
        if way == "encoder-robust":
            stopped = replace(how, heldout=0.1, patience=2)
            return [*first, TrainEncoder(stopped, rationale=aux, robust="generalised", smoothing=0.1)]
        return [*first, TrainEncoder(how, rationale=aux, smoothing=0.1)]
    objective: Any = {"label-only": "label", "rationale-in-answer": "answer"}.get(way, way)
    made = TrainSeq2Seq if kind == "seq2seq" else TrainCausal
    return [*first, made(objective=objective, training=how, style="bare")]


def scored(
    task: dstill.Task, teacher: Any, student: str, stages: Sequence[Stage], share: float, seed: int, run: Path
) -> list[float]:
    """Test scores of a student from a share of the rows."""
    rows = list(task.train)
    derive(seed, "share").shuffle(rows)
    some = rows[: max(8, round(share * len(rows)))]
    part = dstill.Task(task.name, task.program, some, task.dev, task.test, task.metric)
    made = dstill.distill(teacher, part, student, list(stages), seed=seed, run=run)
    assert made.trained is not None
    report = evaluate_on(part, System("student", made.trained, made.lm, made.adapter), "test")
    return [row.score or 0.0 for row in report.rows]


def _points(interval: dict[str, float]) -> str:
    return "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * interval[key] for key in ("value", "low", "high")))


def main() -> None:
    """All tasks, ways, shares and seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", help="a folder or hub name of a causal or encoder-decoder model")
    parser.add_argument("--encoder", help="a folder or hub name of an encoder")
    parser.add_argument("--tasks", nargs="+", choices=list(FIELDS), default=list(FIELDS))
    parser.add_argument("--shares", nargs="+", type=float, default=[0.125, 0.25, 0.5, 1.0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--train", type=int, help="at most so many training rows")
    parser.add_argument("--test", type=int, help="at most so many test rows")
    parser.add_argument("--epochs", type=float, default=5.0)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    pairs = []
    if given.student:
        kind = kind_of(base_folder(given.student))
        ways = ("label-only", "rationale-in-answer", "step-by-step")
        pairs.append((given.student, kind, ways, Training(epochs=given.epochs, batch=16, lr=given.lr)))
    if given.encoder:
        how = Training(epochs=3, batch=32, lr=2e-4, new=10.0)
        pairs.append((given.encoder, "encoder", ("encoder", "encoder-with-rationales", "encoder-robust"), how))
    if not pairs:
        sys.exit("give a --student, an --encoder, or both")
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        for name in given.tasks:
            task, engine = task_of(name, data_folder(given.data), given.train, given.test, work)
            teacher = dstill.compile(task, engine, "zero-shot", run=work / f"{name}-teacher")
            taught = [row.score or 0.0 for row in evaluate_on(task, teacher, "test").rows]
            for student, kind, ways, how in pairs:
                for share in given.shares:
                    found = {
                        way: [
                            scored(task, teacher, student, stages_of(way, kind, how), share, seed,
                                   work / f"{name}-{way}-{share}-{seed}")
                            for seed in range(given.seeds)
                        ]
                        for way in ways
                    }  # fmt: skip
                    means = {way: [sum(s) / len(s) for s in runs] for way, runs in found.items()}
                    flat = {way: [x for run in runs for x in run] for way, runs in found.items()}
                    gain = paired_interval(flat[ways[-1]], flat[ways[0]])
                    over = {way: paired_interval(runs, taught * given.seeds).dump() for way, runs in flat.items()}
                    results.append({
                        "task": name, "share": share, "accuracy": means, "gain": gain.dump(), "of": ways[-1],
                        "over": ways[0], "n": len(flat[ways[0]]), "teacher": sum(taught) / len(taught),
                        "over_teacher": over,
                    })  # fmt: skip
                    print(name, share, {w: round(sum(m) / len(m), 4) for w, m in means.items()}, gain, flush=True)
    line = "; ".join(
        f"{one['task']} {100 * one['share']:g} %: {one['of']} {_points(one['gain'])} over {one['over']}, "
        f"{_points(one['over_teacher'][one['of']])} over its teacher"
        for one in results
    )
    record("step_by_step", {"results": results}, line)


if __name__ == "__main__":
    main()
