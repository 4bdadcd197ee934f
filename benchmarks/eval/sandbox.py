"""Code in the sandbox: hand-written solutions of MBPP and HumanEval pass, stubs do not, and what one run costs.

Shows how many of the solutions that come with the data pass their tests in the sandbox, how many of the same programs
pass whose functions were replaced by one that returns nothing, and the seconds of a run, one at a time.

    python benchmarks/eval/sandbox.py [--data FOLDER] [--limit N]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import dspy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import data_folder, record, spread
from dstill.programs import metrics


def programs(folder: Path, limit: int) -> dict[str, list[tuple[str, str, dspy.Example]]]:
    """By set: (id, solution, example with ``tests``) of every program."""
    found: dict[str, list[tuple[str, str, dspy.Example]]] = {}
    for name, files in (("MBPP", "mbpp/*.jsonl"), ("HumanEval", "humaneval/*.jsonl")):
        rows: list[dict[str, Any]] = [
            json.loads(line) for path in sorted(folder.glob(files)) for line in path.read_text().splitlines()
        ]
        if not rows:
            sys.exit(f"there is no {files} in {folder}")
        found[name] = []
        for row in rows[:limit]:
            whole = "entry_point" in row
            tests = f"{row['tests']}\ncheck({row['entry_point']})" if whole else row["tests"]
            solution = row["prompt"] + row["answer"] if whole else row["answer"]
            found[name].append((row["id"], solution, dspy.Example(tests=tests)))
    return found


def stub(solution: str) -> str:
    """The solution, its functions replaced by one that takes anything and returns nothing."""
    names = [line.split("(")[0].removeprefix("def ").strip() for line in solution.splitlines() if line[:4] == "def "]
    return solution + "".join(f"\ndef {name}(*a, **k): return None\n" for name in names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--limit", type=int, default=10**6, help="programs of each set")
    a = parser.parse_args()
    metric = metrics.passes_tests("code", limits=metrics.Limits(seconds=30, cpu=20))
    words = " ".join(Path(word).name if word.startswith("/") else word for word in sys.argv[1:])
    figures: dict[str, Any] = {"command": f"python benchmarks/eval/sandbox.py {words}".strip()}
    figures |= {"protections": metrics.protections(), "sets": {}}
    seconds: list[float] = []
    for name, rows in programs(data_folder(a.data), a.limit).items():
        failed, passed_stubs = [], []
        for key, solution, example in rows:
            began = time.perf_counter()
            score = metric(example, dspy.Prediction(code=solution))
            seconds.append(round(time.perf_counter() - began, 4))
            if score.value != 1:
                failed.append({"id": key, "feedback": score.feedback})
            if metric(example, dspy.Prediction(code=stub(solution))).value != 0:
                passed_stubs.append(key)
        figures["sets"][name] = {"n": len(rows), "failed": failed, "stubs that pass": passed_stubs}
    figures["seconds"] = spread(seconds)
    said = "; ".join(
        f"{name}: {s['n'] - len(s['failed'])} of {s['n']} solutions pass, {len(s['stubs that pass'])} stubs"
        for name, s in figures["sets"].items()
    )
    record("sandbox", figures, f"{said}; {figures['seconds']} s a run")


if __name__ == "__main__":
    main()
