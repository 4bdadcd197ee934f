"""The benchmarks of distillation run, in small, on made-up data."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import tiny_models

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "distill"


def data(folder: Path) -> Path:
    """A few rows of each task that the scripts read."""
    (folder / "esnli").mkdir(parents=True)
    (folder / "trec").mkdir()
    labels = ("entailment", "neutral", "contradiction")
    for split, count in (("train", 40), ("dev", 12), ("test", 12)):
        esnli = [
            {"id": f"{split}-{n}", "premise": f"{split} a man {n}", "hypothesis": f"he sits {n}",
             "label": labels[n % 3], "rationale": f"because of {n}", "teacher_label": labels[(n + n % 5 // 4) % 3]}
            for n in range(count)
        ]  # fmt: skip
        trec = [
            {"id": f"{split}-{n}", "text": f"{split} what is {n}", "label": "NUM" if n % 2 else "LOC"}
            for n in range(count)
        ]
        for name, rows in (("esnli", esnli), ("trec", trec)):
            with gzip.open(folder / name / f"{split}.jsonl.gz", "wt") as out:
                out.writelines(json.dumps(row) + "\n" for row in rows)
    return folder


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            "alternate",
            "--lm embedded:small --student embedded:small --seeds 1 --train 18 --dev 12 --test 6 --candidates 2 "
            "--epochs 1 --margin 0.9",
        ),
        ("decisions", "--students 4 --resplits 3 --seeds 1"),
        ("program", "--student BASE --seeds 1 --train 60 --dev 30 --test 10 --epochs 1"),
        (
            "step_by_step",
            "--student embedded:small --encoder BASE --tasks esnli --shares 0.5 1 --seeds 1 --epochs 1 --data DATA",
        ),
        ("over_teacher", "--encoder BASE --seeds 1 --ways corrected --epochs 1 --opinion 1 --data DATA"),
        ("few_shot", "--encoder BASE --tasks trec --shots 2 --seeds 1 --data DATA"),
    ],
)
def test_a_benchmark_in_small(tmp_path: Path, script: str, words: str) -> None:
    base = tmp_path / "base"
    if "BASE" in words:
        tiny_models.encoder(base)
    places = {"BASE": str(base), "DATA": str(data(tmp_path / "data"))}
    given = [places.get(word, word) for word in words.split()]
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{script}.py"), *given], cwd=tmp_path, check=False, capture_output=True,
        text=True, env={**os.environ, "BENCHMARK_RESULTS": str(tmp_path / "results")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    body = json.loads((tmp_path / "results" / f"{script}.json").read_text())
    assert body["command"].startswith(f"python benchmarks/distill/{script}.py")
    assert str(tmp_path) not in body["command"]
    pictures = list((tmp_path / "results").glob(f"{script}*.svg"))
    assert bool(pictures) == (script in ("decisions", "program", "step_by_step", "over_teacher"))
    for picture in pictures:
        assert any(line.tag.endswith("circle") for line in ElementTree.parse(picture).iter())


def test_a_training_as_fast_as_it_is(tmp_path: Path) -> None:
    """One side of the comparison with TRL, which is no dependency."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import speed
    finally:
        sys.path.remove(str(BENCHMARKS))
    folder = tmp_path / "model"
    speed.prepare(folder, data(tmp_path / "data"), 16, "{premise} {hypothesis}")
    found = speed.ours(folder, 8, 1e-3)
    assert found["seconds"] > 0
    assert 0 < found["loss"] < 10
