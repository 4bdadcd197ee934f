"""Who finds the better program with fewer calls? The race beside MIPROv2, GEPA and CAPO, on the embedded LM.

    python benchmarks/optimizers/contest.py [--kinds topics mail ...] [--seeds 10] [--part FILE]

Every task is one of the lab's (``dstill.programs.lab``), anew for every seed: 100 training, 150 dev and 200 test rows.
All contestants run on the embedded LM, have their instructions from one writer (``rule_writer.py``), and are given the
same caps on calls, those of the writer among them. dstill is ``compile`` as it comes: it keeps three tenths of the dev
rows, and some calls, to measure its winner's gain; the others choose by all dev rows. MIPROv2 (auto light and medium)
and GEPA (auto light) are DSPy's own, as they come, stopped at the cap with the best that they had scored; MIPROv2 light
also with up to 8 demonstrations instead of 4, as many as dstill shows. CAPO is promptolution's, on the tasks of one
predictor, with the best prompt of its last step. What is compared are scores on the test rows.

1. the calls that dstill needs to reach the score that each of the others ends with when it is not stopped, as a share
   of theirs (CAPO, which has no end of its own, at 3,000 calls);
2. the scores with 100, 300, 1,000 and 3,000 calls.

Needs promptolution for CAPO, in an environment of the benchmark's own. Results are kept one by one in ``--part``, and
what is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import threading
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import dspy
from contest_report import report
from dstill.eval import evaluate_on
from dstill.optimizers import Candidate, Dspy, compile
from dstill.optimizers.compile import RESERVE, Where
from dstill.programs import Task, task_named
from dstill.runtime import Budget, Session, lm_for
from dstill.runtime.atomic import write_bytes
from rule_writer import rule_writer

KINDS = ["topics", "mail", "claims", "values", "desk", "docket"]
CAPS = [100, 300, 1000, 3000]
"""Caps at which all are compared."""
BETWEEN = [50, 75, 125, 150, 175, 200, 250, 450, 700]
"""Further caps at which dstill is run, to see when it reaches a score: closest around a quarter of MIPROv2's."""
UNCAPPED = 50_000
PEERS = {
    "MIPROv2 light": ("MIPROv2", {"auto": "light"}), "MIPROv2 medium": ("MIPROv2", {"auto": "medium"}),
    "MIPROv2 light, 8 demos": ("MIPROv2", {"auto": "light", "max_bootstrapped_demos": 8, "max_labeled_demos": 8}),
    "GEPA light": ("GEPA", {"auto": "light"}),
}  # fmt: skip


class Remembering:
    """An engine that answers what it was asked before from memory, which saves time; calls are counted all the same."""

    def __init__(self, engine: Any) -> None:
        self._engine, self._known, self._lock = engine, {}, threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def complete(self, request: Any) -> Any:
        """The engine's answer."""
        key = repr(request)
        if key not in self._known:
            answer = self._engine.complete(request)
            with self._lock:
                self._known[key] = answer
        return self._known[key]


class Contest:
    """One task of one seed."""

    def __init__(self, kind: str, seed: int, engine: Any, sizes: dict[str, int], caps: list[int]) -> None:
        self.kind, self.seed, self.caps = kind, seed, caps
        self.task: Task = task_named("lab", kind=kind, **sizes, seed=seed)
        self.engine = Remembering(engine)
        self._scores: dict[str, float] = {}

    def score(self, program: dspy.Module) -> float:
        """On the test rows, in points."""
        key = Candidate.of(program).digest
        if key not in self._scores:
            made = evaluate_on(self.task, program, lm=lm_for(self.engine, Session()))
            self._scores[key] = round(100 * made.score.value, 3)
        return self._scores[key]

    def compiled(self, how: Any, cap: int) -> tuple[int, float]:
        """(calls, score) of a compilation."""
        session, writer = Session(), rule_writer(self.kind, self.task, self.seed)
        with tempfile.TemporaryDirectory() as folder:
            where = Where(Path(folder) / "run", session=session)
            made = compile(
                self.task, self.engine, how, Budget(calls=cap), self.seed, prompt_lm=writer, concurrency=64, run=where
            )
            return session.ledger.spent.calls, self.score(made.program)

    def rival(self, name: str) -> list[list[float]]:
        """[cap, calls, score] of one of DSPy's optimizers, last without a cap.

        Compiling keeps a share of the calls for confirming the winner, which is not done here: they may spend it too.
        """
        optimizer, options = PEERS[name]
        how = Dspy(optimizer, options, confirm=0.001)
        calls, score = self.compiled(how, UNCAPPED)
        found: list[list[float]] = []
        for cap in self.caps:
            ended = (calls, score) if calls <= cap else self.compiled(how, round(cap / (1 - RESERVE)))
            found.append([cap, *ended])
        return [*found, [UNCAPPED, calls, score]]

    def capo(self) -> list[list[float]]:
        """[cap, calls, score] of CAPO: with the best prompt of the last step that a cap had room for."""
        from capo import capo

        writer = rule_writer(self.kind, self.task, self.seed)
        steps = capo(self.task, self.engine, writer, self.caps[-1], self.seed)
        best = [max((step for step in steps if step[0] <= cap), key=lambda step: step[0]) for cap in self.caps]
        return [
            [cap, calls, self.score(candidate.apply(self.task.program))]
            for cap, (calls, candidate) in zip(self.caps, best, strict=True)
        ]

    def ours(self) -> list[list[float]]:
        """[cap, calls, score] of dstill."""
        grid = sorted({*self.caps, *(cap for cap in BETWEEN if cap < self.caps[-1])})
        return [[cap, *self.compiled("race", cap)] for cap in grid]

    def run(self, rivals: list[str]) -> dict[str, Any]:
        """dstill and its rivals."""
        began = time.time()
        found: dict[str, Any] = {"kind": self.kind, "seed": self.seed, "declared": self.score(self.task.program)}
        found["dstill"] = self.ours()
        found |= {name: self.rival(name) for name in PEERS if name in rivals}
        if "CAPO" in rivals and len(self.task.program.predictors()) == 1:
            found["CAPO"] = self.capo()
        return {**found, "seconds": round(time.time() - began)}


def main() -> None:
    """All tasks, seed by seed."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--kinds", nargs="+", default=KINDS, help=f"lab tasks (default: {' '.join(KINDS)})")
    cli.add_argument("--seeds", type=int, default=10)
    cli.add_argument("--only", type=int, nargs="+", help="these seeds alone")
    cli.add_argument("--rivals", nargs="+", default=[*PEERS, "CAPO"], choices=[*PEERS, "CAPO"])
    cli.add_argument("--caps", type=int, nargs="+", default=CAPS, help="calls (default: 100 300 1000 3000)")
    for split, size in (("train", 100), ("dev", 150), ("test", 200)):
        cli.add_argument(f"--{split}", type=int, default=size, help=f"rows (default: {size})")
    cli.add_argument("--part", type=Path, default=Path("contest.jsonl"), help="what was run (default: contest.jsonl)")
    cli.add_argument("--again", action="store_true", help="run dstill again where it was run, and nobody else")
    cli.add_argument("--report", action="store_true", help="run nothing, tell what is there")
    a = cli.parse_args()
    if "CAPO" in a.rivals and not (a.report or a.again) and find_spec("promptolution") is None:
        others = " ".join(f'"{name}"' for name in PEERS)
        sys.exit(f"CAPO needs promptolution: install it beside dstill, or leave it out with --rivals {others}")
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    engine = None if a.report else lm_for("embedded", Session()).door.engine
    rows = [json.loads(line) for line in a.part.read_text().splitlines()] if a.part.exists() else []
    sizes = {"train": a.train, "dev": a.dev, "test": a.test}
    for row in rows if a.again else ():
        row["dstill"] = Contest(row["kind"], row["seed"], engine, sizes, sorted(a.caps)).ours()
        write_bytes(a.part, "".join(json.dumps(each) + "\n" for each in rows).encode())
        print(row["kind"], row["seed"], row["dstill"], flush=True)
    for seed in a.only or range(a.seeds) if not (a.report or a.again) else ():
        for kind in a.kinds:
            if not any((row["kind"], row["seed"]) == (kind, seed) for row in rows):
                rows.append(Contest(kind, seed, engine, sizes, sorted(a.caps)).run(a.rivals))
                with a.part.open("a") as file:
                    print(json.dumps(rows[-1]), file=file)
                print(rows[-1], flush=True)
    report(rows, sorted(a.caps))


if __name__ == "__main__":
    main()
