"""The benchmarks of the statistics run, in small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "benchmarks" / "eval"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("coverage", ["--runs", "5", "--sizes", "20", "--accuracies", "0.9", "--most", "300"]),
        ("clustered", ["--runs", "3", "--documents", "5", "--accuracies", "0.5"]),
        ("graded", ["--runs", "8", "--sizes", "10"]),
        ("large", ["--rows", "400", "--graded"]),
        ("page", ["--systems", "3", "--examples", "40", "--repeats", "1"]),
        ("until", ["--runs", "5", "--examples", "100"]),
        ("pairs", ["--systems", "4", "--examples", "30", "--resamples", "50", "--cases", "graded_missing"]),
    ],
)
def test_a_benchmark_in_small(tmp_path: Path, script: str, words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{script}.py"), *words], cwd=tmp_path, check=False, capture_output=True,
        text=True, env={**os.environ, "BENCHMARK_RESULTS": str(tmp_path / "results")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    found = json.loads((tmp_path / "results" / f"{script}.json").read_text())
    assert found["command"] == " ".join(["python", f"benchmarks/eval/{script}.py", *words])
    assert (tmp_path / "results" / f"{script}.md").read_text().startswith(f"| {script} | ")
