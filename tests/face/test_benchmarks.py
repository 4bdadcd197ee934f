"""The benchmarks run, in small: a figure that nobody can measure again is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import fakes
import pytest
import tests_support
from commands import SUPPORT, recipe

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RECIPE = """
name = "tiny"
task = { name = "triage", args = { train = 12, dev = 12, test = 12 } }
lm.model = "embedded:small"
[[compile]]
name = "zero"
optimizer = "zero-shot"
[[compile]]
name = "shots"
optimizer = "k-shot"
options = { k = 1 }
"""


def test_without_the_other_tools_the_interchange_says_what_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "eval" / "interchange.py")], cwd=tmp_path, check=False, capture_output=True,
        text=True, env={**os.environ, "BENCHMARK_RESULTS": str(tmp_path / "results")},
    )  # fmt: skip
    assert done.returncode == 1
    assert "inspect was not given: left out" in done.stdout
    assert "give the Python of at least one tool" in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("script", "words", "name"),
    [
        ("throughput", ["--examples", "30", "--concurrency", "8", "--calls", "5"], "throughput"),
        ("throughput", ["--examples", "30", "--concurrency", "--calls", "5"], "cpu"),
        ("budgets", ["--caps", "7", "--rough-caps", "--optimizers", "race", "--latency", "0"], "budgets"),
        ("startup", ["--repeats", "1"], "startup"),
        ("replay", ["--recipe", "tiny.toml"], "replay"),
        ("resume", ["--recipe", "small.toml", "--kills", "1"], "resume"),
    ],
)
def test_a_benchmark_in_small(
    server: tests_support.OpenAIServer, tmp_path: Path, script: str, words: list[str], name: str
) -> None:
    """Replayed is a run on a model in its process; killed is one on a server, which has nothing to load."""
    (tmp_path / "tiny.toml").write_text(RECIPE)
    server.script = [fakes.painting]
    recipe(tmp_path, server.url, args="{ train = 12, dev = 12, test = 12 }")
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{script}.py"), *words], cwd=tmp_path, check=False, capture_output=True,
        text=True, env={**os.environ, "BENCHMARK_RESULTS": str(tmp_path / "results"), "PYTHONPATH": SUPPORT},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    assert json.loads((tmp_path / "results" / f"{name}.json").read_text())["command"].startswith(
        f"python benchmarks/{script}"
    )
    assert len(server.requests) > 24 if script == "resume" else not server.requests
    assert (tmp_path / "results" / f"{name}.md").read_text().startswith(f"| {name} | ")
