"""Distilling step by step on recorded PaLM rationales: three ways to teach one generative student, four sizes of data.

    python benchmarks/distill/step_by_step.py --student embedded:small --tasks esnli cqa --seeds 5 [--part FILE]

The same student learns the same rows as ``label-only``, with the rationale in the answer (``sft``), and as two tasks
(``step-by-step``), from 12.5, 25, 50 and 100 % of the rows; accuracy against gold on the test file, with paired
differences between the ways. ``--encoder FOLDER`` adds classifiers: labels alone, and with rationales as an auxiliary
task. Nothing gold is seen in training; every way is also compared with the teacher itself, row by row.

Every seed answers the same test rows, so intervals are over rows with the answers of all seeds to a row as one cluster;
the differences of each seed stand beside them. Results are kept one by one in ``--part``, and what is there is not run
again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dspy
from common import RESULTS, data_folder, points, record, scores_of
from dstill.distill import Collect, Filter, Stage, TrainCausal, TrainEncoder, Training, TrainSeq2Seq
from dstill.distill.stages.common import base_folder, kind_of
from dstill.eval import System, evaluate_on
from dstill.eval.statistics import cluster_difference, cluster_mean
from dstill.programs.folders import find_file
from dstill.runtime import RecordedEngine, derive
from plot import chart

import dstill

FIELDS = {
    "esnli": ("premise", "hypothesis"), "anli1": ("premise", "hypothesis"), "cqa": ("question", "choices"),
    "svamp": ("question",),
}  # fmt: skip
"""Input fields of each task, as they are called in the data."""
WRITING = ("label-only", "rationale-in-answer", "step-by-step")
READING = ("encoder", "encoder-with-rationales")
Row = dict[str, Any]
"""What one student scored: ``task``, ``way``, ``share``, ``seed``, how it was trained (``how``), ``scores`` on test in
order; the teacher's have the way ``teacher``."""


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
        return [*first, TrainEncoder(how, rationale="align" if way == READING[1] else "none", smoothing=0.1)]
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
    return scores_of(evaluate_on(part, System("student", made.trained, made.lm, made.adapter), "test"))


def run(given: argparse.Namespace, rows: list[Row]) -> None:
    """Train and score what is not among the rows yet; every one is kept as soon as it is there."""
    caps = {"train": given.train, "test": given.test}
    jobs: list[tuple[str, str, tuple[str, ...], Training]] = []
    if given.student:
        kind = kind_of(base_folder(given.student))
        jobs.append((given.student, kind, WRITING, Training(epochs=given.epochs, batch=16, lr=given.lr)))
    if given.encoder:
        how = Training(epochs=given.encoder_epochs, batch=32, lr=given.encoder_lr, new=10.0)
        jobs.append((given.encoder, "encoder", READING, how))
    known = {_key(row) for row in rows}

    def keep(row: Row) -> None:
        rows.append(row)
        with given.part.open("a") as file:
            file.write(json.dumps(row) + "\n")

    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        for name in given.tasks:
            task, engine = task_of(name, data_folder(given.data), given.train, given.test, work)
            teacher = dstill.compile(task, engine, "zero-shot", run=work / f"{name}-teacher")
            taught: Row = {"task": name, "way": "teacher", "share": 1.0, "seed": 0, "how": caps}
            if _key(taught) not in known:
                keep(taught | {"scores": scores_of(evaluate_on(task, teacher, "test"))})
            for student, kind, ways, how in jobs:
                for seed, share, way in product(given.only or range(given.seeds), given.shares, ways):
                    settings = {**caps, "epochs": how.epochs, "lr": how.lr, "base": Path(student).name}
                    row: Row = {"task": name, "way": way, "share": share, "seed": seed, "how": settings}
                    if _key(row) in known:
                        continue
                    folder, stages = work / f"{name}-{way}-{share}-{seed}", stages_of(way, kind, how)
                    scores = scored(task, teacher, student, stages, share, seed, folder)
                    keep(row | {"scores": scores})
                    print(name, share, seed, way, f"{100 * sum(scores) / len(scores):.1f}", flush=True)


def check_one_setting(rows: Sequence[Row]) -> None:
    """End where what is compared was not trained alike."""
    for name, way in {(row["task"], row["way"]) for row in rows}:
        if len(found := {json.dumps(r["how"]) for r in rows if (r["task"], r["way"]) == (name, way)}) > 1:
            sys.exit(f"{name}, {way}: the part file has students of several settings: {'; '.join(sorted(found))}")


def _key(row: Row) -> str:
    return json.dumps({name: value for name, value in row.items() if name != "scores"}, sort_keys=True)


def report(rows: Sequence[Row]) -> None:
    """Figures, pictures and a line, of the rows that are there."""
    check_one_setting(rows)
    found, words = [], []
    for name in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == name]
        taught = next(row["scores"] for row in own if row["way"] == "teacher")
        lines: dict[str, list[tuple[float, float]]] = {}
        gains: dict[float, np.ndarray[Any, Any]] = {}
        for share in sorted({row["share"] for row in own if row["way"] != "teacher"}):
            for ways in (WRITING, READING):
                # Only seeds that went all ways are compared.
                of = {
                    way: {r["seed"]: r["scores"] for r in own if (r["way"], r["share"]) == (way, share)} for way in ways
                }
                seeds = sorted(set.intersection(*(set(each) for each in of.values())))
                if not seeds:
                    continue
                scores = {way: np.array([of[way][seed] for seed in seeds]) for way in ways}  # (seeds, test rows)
                one = _compared(scores, np.array(taught))
                how = next(row["how"] for row in own if row["way"] == ways[0])
                found.append({"task": name, "share": share, "seeds": seeds, "how": how, **one})
                for way in ways:
                    lines.setdefault(way, []).append((100 * share, 100 * scores[way].mean()))
                over, least = ("step-by-step", "label-only") if ways is WRITING else (ways[1], ways[0])
                words.append(
                    f"{name} {100 * share:g} %: {over} {points(one['gains'][f'{over} over {least}']['rows'])} over "
                    f"{least}, {points(one['accuracy'][over]['over_teacher'])} over its teacher (n={len(seeds)})"
                )
                if ways is WRITING:
                    gains[share] = (scores["step-by-step"] - scores["label-only"]).mean(axis=0)
        if len(gains) > 1:
            low, high = min(gains), max(gains)
            more = cluster_difference(gains[low], gains[high], list(range(len(taught)))).interval.dump()
            found.append({"task": name, "gain_with_least_over_most": more, "shares": [low, high]})
            words.append(f"{name}: this gain is {points(more)} more with {100 * low:g} % than with {100 * high:g} %")
        if lines:
            lines["teacher"] = [(x, 100 * sum(taught) / len(taught)) for x, _ in next(iter(lines.values()))]
            chart(RESULTS / f"step_by_step-{name}.svg", name, ("% of the rows", "% right on test"), lines)
    record("step_by_step", {"results": found}, "; ".join(words))


def _compared(scores: dict[str, np.ndarray[Any, Any]], taught: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Accuracies, and differences over the test rows and by seed; scores have the shape (seeds, test rows)."""
    seeds, count = next(iter(scores.values())).shape
    clusters = list(range(count)) * seeds

    def apart(a: Any, b: Any) -> dict[str, Any]:
        return cluster_difference(a.ravel(), b.ravel(), clusters).interval.dump()

    teacher = np.tile(taught, (seeds, 1))
    return {
        "accuracy": {
            way: {**cluster_mean(each.ravel(), clusters).interval.dump(), "over_teacher": apart(each, teacher)}
            for way, each in scores.items()
        },
        "gains": {
            f"{a} over {b}": {
                "rows": apart(scores[a], scores[b]),
                "seeds": [round(float(x), 5) for x in (scores[a] - scores[b]).mean(axis=1)],
            }
            for b, a in combinations(scores, 2)
        },
    }


def main() -> None:
    """All tasks, ways, shares and seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", help="a folder or name of a causal or encoder-decoder model")
    parser.add_argument("--encoder", help="a folder or name of an encoder")
    parser.add_argument("--tasks", nargs="+", choices=list(FIELDS), default=list(FIELDS))
    parser.add_argument("--shares", nargs="+", type=float, default=[0.125, 0.25, 0.5, 1.0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="+", type=int, help="these seeds alone")
    parser.add_argument("--train", type=int, help="at most so many training rows")
    parser.add_argument("--test", type=int, help="at most so many test rows")
    parser.add_argument("--epochs", type=float, default=5.0, help="of the generative student")
    parser.add_argument("--lr", type=float, default=1e-3, help="of the generative student")
    parser.add_argument("--encoder-epochs", type=float, default=3.0)
    parser.add_argument("--encoder-lr", type=float, default=2e-4)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--part", type=Path, default=Path("step_by_step.jsonl"), help="what was run, a line a student")
    given = parser.parse_args()
    rows = [json.loads(line) for line in given.part.read_text().splitlines()] if given.part.exists() else []
    if not given.student and not given.encoder and not rows:
        sys.exit("give a --student, an --encoder, or a --part with what they scored")
    if given.student or given.encoder:
        run(given, rows)
    report(rows)


if __name__ == "__main__":
    main()
