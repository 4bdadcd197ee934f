"""Real outcomes on one board: 42 LLMs on GSM8K, 48 on CRUXEval and 40 on MATH level 5, from ZeroEval.

Shows that published accuracies come out, how many pairs of systems have no established order, how long the three
boards take to build, how large the page is, and, where there is a Chromium, when it first paints.

    python benchmarks/eval/board.py [--data FOLDER] [--out FOLDER]

The published accuracies are those of ZeroEval's own tables (github.com/yuchenlin/ZeroEval, result_dirs/*.summary.md) on
the whole sets of 1,319 and 721 examples; the outcomes here are of the 819 and 577 of them that are public in the data.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import data_folder, record
from dstill.eval import Boards, Report, Row, boards

TASKS = {"gsm": ("GSM8K", "gsm8k"), "crux": ("CRUXEval", "cruxeval"), "math-l5": ("MATH level 5", "math_l5")}
"""By the outcomes' name: what the board calls the task, and its folder of examples."""
PUBLISHED = {
    "GSM8K": {
        "gpt-4o-2024-08-06": 96.21, "claude-3-5-sonnet-20240620": 95.6, "claude-3-opus-20240229": 95.6,
        "Mistral-Large-2": 95.53, "gpt-4o-mini-2024-07-18": 94.24, "gemini-1.5-pro": 93.4, "Qwen2-72B-Instruct": 92.65,
        "claude-3-haiku-20240307": 88.78, "gemma-2-9b-it": 87.41, "Yi-1.5-34B-Chat": 84.08,
        "Meta-Llama-3.1-8B-Instruct": 84.0, "gpt-3.5-turbo-0125": 80.36, "Qwen2-7B-Instruct": 80.06,
        "Meta-Llama-3-8B-Instruct": 78.47, "Mixtral-8x7B-Instruct-v0.1": 70.13, "command-r": 52.99,
        "gemma-2-2b-it": 51.63,
    },
    "MATH level 5": {
        "gemini-1.5-pro-exp-0827": 68.1, "gpt-4o-2024-08-06": 55.34, "gpt-4o-2024-05-13": 54.79,
        "gpt-4o-mini-2024-07-18": 52.15, "claude-3-5-sonnet-20240620": 51.87, "Mistral-Large-2": 48.54,
        "gpt-4-turbo-2024-04-09": 46.46, "deepseek-v2.5-0908": 44.66, "gemini-1.5-pro": 39.81,
        "Qwen2-72B-Instruct": 38.28, "claude-3-opus-20240229": 36.89, "gemini-1.5-flash": 34.81,
        "gemma-2-27b-it": 26.63, "gpt-4-0314": 26.07, "gemma-2-9b-it": 19.42, "claude-3-haiku-20240307": 15.12,
        "gpt-3.5-turbo-0125": 13.73, "Meta-Llama-3-8B-Instruct": 7.91, "gemma-2-2b-it": 4.3,
    },
}  # fmt: skip
"""Accuracy in points on the whole set, of systems with an answer to all of it."""


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSONL file; none where it is missing."""
    if not path.is_file():
        return []
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return [json.loads(line) for line in file]


def load(data: Path) -> tuple[list[Report], dict[str, list[dict[str, Any]]]]:
    """A report for each system and task, and the examples by the task's name."""
    path = data / "leaderboard" / "zeroeval_outcomes.jsonl.gz"
    outcomes = lines(path)
    if not outcomes:
        sys.exit(f"there are no outcomes in {path}: give the folder of task data with --data")
    reports, examples = [], {}
    for key, (task, folder) in TASKS.items():
        found = [outcome for outcome in outcomes if outcome["task"] == key]
        asked = {
            row["id"]: row
            for name in ("train.jsonl.gz", "train.jsonl", "dev.jsonl", "test.jsonl", "test.jsonl.gz")
            for row in lines(data / folder / name)
        }
        examples[task] = [example(outcome["id"], asked.get(outcome["id"], {})) for outcome in found]
        systems = sorted({system for outcome in found for system in outcome["correct"]})
        for system in systems:
            rows = tuple(row(index, outcome, system) for index, outcome in enumerate(found))
            reports.append(Report(system, task, "test", "exact", rows, weights(system)))
    return reports, examples


def example(mark: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What the explorer shows: the question and the answer, and a slice by the length of the question."""
    question = str(asked.get("question", ""))
    length = "short" if len(question) < 150 else "middle" if len(question) < 300 else "long"
    return {"id": mark, "question": question, "answer": str(asked.get("answer", "")), "question length": length}


def row(index: int, outcome: dict[str, Any], system: str) -> Row:
    """One system's outcome; an example without an answer is unscored."""
    there = system in outcome["correct"]
    return Row(
        index, outcome["id"], "scored" if there else "unscored", float(outcome["correct"][system]) if there else None,
        "", {"answer": str(outcome["answers"][system])} if there else {}, None, 0, 0, 0, 0.0, 0.0,
    )  # fmt: skip


def weights(system: str) -> int | None:
    """The number of weights, where the system's name states it plainly."""
    found = re.search(r"(?<![\dx.])(\d+(?:\.\d+)?)[bB](?![a-z])", system) if "x" not in system.split("-v")[0] else None
    return round(float(found.group(1)) * 1e9) if found else None


def deviations(board: Boards) -> dict[str, dict[str, Any]]:
    """Our accuracies against the published ones: the largest difference, and how many lie in our interval."""
    found = {}
    for one in board.boards:
        theirs = PUBLISHED.get(one.task, {})
        pairs = [(e.report.score, theirs[e.report.system] / 100) for e in one.entries if e.report.system in theirs]
        if pairs:
            found[one.task] = {
                "systems": len(pairs),
                "largest_difference": max(abs(score.value - given) for score, given in pairs if score),
                "inside_our_interval": sum(score.low <= given <= score.high for score, given in pairs if score),
            }
    return found


def paint(page: Path) -> float | None:
    """Milliseconds to the first paint in a headless Chromium; ``None`` without one."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support"))
    import browser

    if browser.chromium() is None:
        return None
    with browser.Browser() as chrome:
        chrome.open(page)
        return float(chrome.run("return performance.getEntriesByName('first-contentful-paint')[0].startTime"))


def main() -> None:
    """Build, save, compare, record."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--data", type=Path, help="the folder of task data; ../shared/data by default")
    words.add_argument("--out", type=Path, help="where the board is kept; it is thrown away by default")
    given = words.parse_args()
    reports, examples = load(data_folder(given.data))
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.out or Path(scratch)
        start = time.perf_counter()
        board = boards(reports, title="ZeroEval: three tasks", baseline="gpt-4o-mini-2024-07-18", examples=examples)
        paths = board.save(folder)
        seconds = time.perf_counter() - start
        size = paths["html"].stat().st_size
        first = paint(paths["html"])
    tasks = {
        one.task: {
            "systems": len(one.entries), "examples": len(one.entries[0].report.rows), "pairs": one.standing.pairs,
            "undecided": one.standing.undecided, "tie_groups": max(group or 0 for group in one.standing.groups),
            "first_group": sum(group == 1 for group in one.standing.groups),
            "best": one.entries[0].report.system,
            "widest_rank_interval": max(rank.high - rank.low for rank in one.standing.ranks if rank),
        }
        for one in board.boards
    }  # fmt: skip
    published = deviations(board)
    figures = {
        "command": " ".join(["python benchmarks/eval/board.py", *(["--data", "FOLDER"] if given.data else [])]),
        "seconds": seconds, "html_bytes": size, "first_paint_ms": first, "tasks": tasks, "published": published,
        "overall": board.overall.headline,
    }  # fmt: skip
    pairs, undecided = (sum(task[name] for task in tasks.values()) for name in ("pairs", "undecided"))
    worst = max(found["largest_difference"] for found in published.values())
    painted = "" if first is None else f", first paint after {first:.0f} ms"
    record(
        "board", figures,
        f"three tasks built and saved in {seconds:.1f} s, a page of {size / 1e6:.1f} MB{painted}; the order of "
        f"{undecided:,} of {pairs:,} pairs is not established; published accuracies within {100 * worst:.1f} points",
    )  # fmt: skip


if __name__ == "__main__":
    main()
