"""Ten million rows: two systems on five million examples each, read, compared, drawn and saved.

    python benchmarks/eval/large.py --rows 10000000

The rows are written first, as an evaluation would, then read in a process of its own, whose time and peak of memory are
what is measured. Scores are right-or-wrong, or graded with ``--graded``.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import record
from dstill.eval import Report, Row, leaderboard
from dstill.runtime.canonical import canonical, pretty

SYSTEMS = (("one", 0.700), ("other", 0.702))


def write(folder: Path, name: str, rate: float, rows: int, graded: bool) -> None:
    """An evaluation with its rows; both systems share their luck on half of the examples."""
    folder.mkdir(parents=True)
    shared, own = np.random.default_rng(0), np.random.default_rng(len(name))
    with (folder / "rows.jsonl").open("wb") as file:
        for start in range(0, rows, 100_000):
            size = min(100_000, rows - start)
            luck = np.where(shared.random(size) < 0.5, shared.random(size), own.random(size))
            scores = np.round(luck ** (1 / rate - 1), 3) if graded else (luck < rate).astype(float)
            for index, score in enumerate(scores.tolist(), start=start):
                row = Row(index, f"e{index}", "scored", score, "", {"answer": "x"}, None, 1, 100, 10, 1e-5, 0.1)
                file.write(canonical(row.dump()) + b"\n")
    report = Report(name, "large", "test", "score" if graded else "exact", ())
    (folder / "report.json").write_bytes(pretty({**report.dump(), "n": rows}))


def measure(folder: Path) -> dict[str, Any]:
    """Seconds of every step in this process, and its peak of memory."""
    found: dict[str, Any] = {}

    def step(name: str, started: tuple[float, float]) -> tuple[float, float]:
        now = time.perf_counter(), time.process_time()
        found[name] = {"seconds": round(now[0] - started[0], 1), "cpu_seconds": round(now[1] - started[1], 1)}
        return now

    now = time.perf_counter(), time.process_time()
    reports = [Report.load(folder / name) for name, _ in SYSTEMS]
    now = step("read", now)
    board = leaderboard(reports)
    now = step("compare", now)
    pages = board.save(folder / "board")
    step("draw and save", now)
    gain = board.entries[0].gain or board.entries[1].gain
    assert gain is not None
    scale = 1024 if sys.platform == "linux" else 1024**2
    return {
        "rows": sum(len(entry.report.rows) for entry in board.entries), "steps": found,
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale),
        "page_bytes": pages["html"].stat().st_size, "gain": str(gain.difference), "p": gain.p,
    }  # fmt: skip


def main() -> None:
    """Write, measure, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--graded", action="store_true")
    parser.add_argument("--here", type=Path, help="measure what was written there, in this process")
    given = parser.parse_args()
    if given.here:
        print(json.dumps(measure(given.here)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        for name, rate in SYSTEMS:
            write(Path(scratch) / name, name, rate, given.rows // len(SYSTEMS), given.graded)
        done = subprocess.run([sys.executable, __file__, "--here", scratch], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"it failed: {done.stderr}")
    found = json.loads(done.stdout)
    steps = ", ".join(f"{name} {took['cpu_seconds']} s" for name, took in found["steps"].items())
    total = sum(took["seconds"] for took in found["steps"].values())
    line = (
        f"{found['rows']:,} rows of two systems: {steps} of CPU, {total:.0f} s in all, {found['peak_mb']:,} MB; gain "
        f"{found['gain']}; a page of {found['page_bytes'] / 1e6:.1f} MB"
    )
    command = " ".join(["python", "benchmarks/eval/large.py", *sys.argv[1:]])
    record("large", {"command": command, **found}, line)


if __name__ == "__main__":
    main()
