"""What benchmarks share: where results go, where data lies, and quantiles of repeated measurements."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(os.environ.get("BENCHMARK_RESULTS") or ROOT / "benchmarks" / "results")
DATA = ROOT / ".." / "shared" / "data"


def record(name: str, figures: dict[str, Any], line: str) -> None:
    """Write ``results/<name>.json`` and the Markdown line ``results/<name>.md``, and show the line."""
    RESULTS.mkdir(exist_ok=True)
    machine = {
        "cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system(),
        **{package: version(package) for package in ("dstill", "dspy", "torch", "transformers")},
    }  # fmt: skip
    here = [word for word in sys.argv[1:] if word.startswith(("/", ".")) or ("/" in word and Path(word).exists())]
    words = [Path(word).name if word in here else word for word in sys.argv[1:]]  # no folders of this machine
    script = Path(sys.argv[0]).resolve()
    named = script.relative_to(ROOT).as_posix() if script.is_relative_to(ROOT) else script.name
    body = {"command": " ".join(["python", named, *words]), **figures}
    (RESULTS / f"{name}.json").write_text(json.dumps({**body, "machine": machine}, indent=2) + "\n")
    (RESULTS / f"{name}.md").write_text(f"| {name} | {line} |\n")
    print(f"{name}: {line}", flush=True)


def data_folder(given: Path | None) -> Path:
    """The folder of task data, or a clear end."""
    folder = given or DATA
    if not folder.is_dir():
        sys.exit(f"there is no data in {folder}: give the folder with --data")
    return folder


def scores_of(report: Any) -> list[float]:
    """A score for every row of a report, or the end: what an engine failed at is no 0."""
    lost = [row for row in report.rows if row.score is None]
    if lost:
        sys.exit(
            f"{report.system} on {report.task}: {len(lost)} of {len(report.rows)} rows have no score; {lost[0].id}: "
            f"{lost[0].failure}"
        )
    return [row.score for row in report.rows]


def points(interval: Mapping[str, float]) -> str:
    """A difference of scores and its interval in points: ``+3.7 [+1.9, +5.5]``."""
    return "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * interval[key] for key in ("value", "low", "high")))


def spread(values: Sequence[float]) -> str:
    """Median and range: ``0.62 (0.58 to 0.66, n=5)``."""
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g}, n={len(values)})"


def alternate(ours: Callable[[], float], theirs: Callable[[], float], repeats: int) -> tuple[list[float], list[float]]:
    """Both measurements in turn, so that a machine's moods fall on both alike; the first pair warms up."""
    pairs = [(ours(), theirs()) for _ in range(repeats + 1)][1:]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
