"""Time and memory of the paired bootstrap of all pairs of systems.

    python benchmarks/eval/pairs.py --systems 50 --examples 1300 --resamples 10000

Right-or-wrong and graded scores, each whole and with 2 % of them missing at random, which is the slow case: every pair
then has its own set of shared examples. Each case runs in a process of its own, so that its peak of memory is its own;
``imports_mb`` is that of a process that imports the package and does nothing.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import record
from dstill.eval.statistics import all_pairs, holm, rank_intervals

CASES = ("imports", "right_or_wrong", "right_or_wrong_missing", "graded", "graded_missing")


def one(case: str, systems: int, examples: int, resamples: int) -> dict[str, Any]:
    """One case in this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    if case == "imports":
        return {"imports_mb": round(peak)}
    chance = np.random.default_rng(0)
    table = chance.random((systems, examples)) ** np.linspace(0.3, 1.5, systems)[:, None]
    if case.startswith("right_or_wrong"):
        table = (table > 0.5).astype(float)
    if case.endswith("missing"):
        table[chance.random(table.shape) < 0.02] = np.nan
    started, worked = time.perf_counter(), time.process_time()
    found = all_pairs(table, resamples=resamples)
    seconds, cpu = time.perf_counter() - started, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    ranks = rank_intervals(found)
    return {
        "seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "peak_mb": round(peak), "pairs": found.p.size,
        "open_pairs": ranks.open_pairs, "alone_at_0.05": int((found.p <= 0.05).sum()),
        "holm_at_0.05": int((holm(found.p) <= 0.05).sum()),
    }  # fmt: skip


def main() -> None:
    """Every case, each in a process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", type=int, default=50)
    parser.add_argument("--examples", type=int, default=1300)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--cases", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--here", action="store_true", help="the first case in this process, and nothing recorded")
    given = parser.parse_args()
    size = (given.systems, given.examples, given.resamples)
    if given.here:
        print(json.dumps(one(given.cases[0], *size)))
        return
    words = [
        word
        for name, n in zip(("systems", "examples", "resamples"), size, strict=True)
        for word in (f"--{name}", str(n))
    ]
    found: dict[str, Any] = {}
    for case in given.cases:
        done = subprocess.run(
            [sys.executable, __file__, *words, "--cases", case, "--here"], capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"{case} failed: {done.stderr}")
        found[case] = json.loads(done.stdout)
    timed = {case: row for case, row in found.items() if case != "imports"}
    worst, memory = (max((row[key] for row in timed.values()), default=0) for key in ("seconds", "peak_mb"))
    line = (
        f"{given.systems} systems x {given.examples} examples x {given.resamples} resamples: "
        + ", ".join(f"{case.replace('_', ' ')} {row['seconds']} s" for case, row in timed.items())
        + f"; {worst} s and {memory} MB at the most"
    )
    command = " ".join(["python", "benchmarks/eval/pairs.py", *sys.argv[1:]])
    record("pairs", {"command": command, "cases": found}, line)


if __name__ == "__main__":
    main()
