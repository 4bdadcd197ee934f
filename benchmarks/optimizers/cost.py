"""What the search itself costs: CPU time beside that of evaluating, with a model that answers at once.

    python benchmarks/optimizers/cost.py [--repeats 5] [--rows 400] [--candidates 1000]

loop     a whole compilation of a task by chance (``honesty.py``), in CPU time for each evaluation, beside the CPU time
         of the same evaluations without a search: the same candidates on the same rows, in one round and with no
         journal on disk. The difference is what searching costs, storing included.
choose   who leads and who drops out among 1,000 candidates that have met as many examples.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
from common import record, spread
from dstill.eval.runner import Job, Runner
from dstill.optimizers import Candidate, Race
from dstill.optimizers.selection import Selection
from dstill.optimizers.standing import standing
from dstill.programs import Task
from dstill.runtime import Session, lm_for
from honesty import engine, run, task


def chance(demos: int, prompt: str) -> float:
    """Every prompt is right with the same chance, which keeps many candidates in the race."""
    return 0.6


def cpu(action: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of this process, and what came of it."""
    began = time.process_time()
    found = action()
    return time.process_time() - began, found


def loop(seed: int, rows: int) -> dict[str, float]:
    """Milliseconds for an evaluation: of a compilation, and of the same evaluations alone."""
    whole, (made, folder) = cpu(lambda: run(chance, seed, rows, "cost", 4000))
    trials = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    jobs = evaluated(task(rows), trials, seed, confirmed=made.evidence.gain is not None)
    lm = lm_for(engine(chance, seed, "alone"), Session())
    alone, _ = cpu(lambda: Runner(lm, task(rows).metric).run(jobs, trace=True))
    return {"whole_ms": 1000 * whole / len(jobs), "alone_ms": 1000 * alone / len(jobs), "evaluations": len(jobs)}


def evaluated(asked: Task, trials: list[dict[str, Any]], seed: int, *, confirmed: bool) -> list[Job]:
    """What a race evaluated: every trial on the rows that it met, the winner and the declared program on the rest."""
    rows = Selection.of(asked.dev, Race().confirm, seed)
    met = {trial["number"]: rows.choose[: trial["met"]] for trial in trials}
    winner = next(trial["number"] for trial in trials if trial["decision"] == "winner")
    for number in {0, winner} if confirmed else ():
        met[number] = (*met[number], *rows.confirm)
    programs = {trial["number"]: Candidate.load(trial["candidate"]).apply(asked.program) for trial in trials}
    return [Job(programs[number], asked.dev[row], row, "dev") for number, own in met.items() for row in own]


def choose(seed: int, candidates: int) -> dict[str, float]:
    """Seconds for one decision over a full table of as many examples."""
    luck = np.random.default_rng(seed)
    table = (luck.random((candidates, candidates)) < luck.uniform(0.5, 0.7, (candidates, 1))).astype(float)
    began = time.perf_counter()
    took, _ = cpu(lambda: standing(table, 2 * candidates, worth=Race().worth, seed=seed))
    return {"cpu_s": took, "wall_s": time.perf_counter() - began}


def main() -> None:
    """Both, repeated; the first compilation warms up and is not counted."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--repeats", type=int, default=5)
    cli.add_argument("--rows", type=int, default=400, help="dev rows of the compilation (default: 400)")
    cli.add_argument("--candidates", type=int, default=1000, help="to choose among (default: 1,000)")
    a = cli.parse_args()
    loop(10**6, a.rows)
    loops = [loop(seed, a.rows) for seed in range(a.repeats)]
    chosen = [choose(seed, a.candidates) for seed in range(a.repeats)]
    own = [each["whole_ms"] - each["alone_ms"] for each in loops]
    line = (
        f"the loop's own CPU time is {spread(own)} ms for each evaluation, besides "
        f"{statistics.median(each['alone_ms'] for each in loops):.2f} ms of evaluating; choosing among "
        f"{a.candidates:,} candidates on as many examples takes "
        f"{spread([each['cpu_s'] for each in chosen])} s of CPU time"
    )
    record("race_cost", {"loop": loops, "choose": chosen}, line)


if __name__ == "__main__":
    main()
