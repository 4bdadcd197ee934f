"""Real outcomes on one board: 42 LLMs on GSM8K, 48 on CRUXEval and 40 on MATH level 5, from ZeroEval.

Shows that published accuracies come out, how many pairs of systems have no established order, how long the three
boards take to build, how large the page is, and, where there is a Chromium, when it first paints.

    python benchmarks/eval/board.py [--data FOLDER] [--out FOLDER]

The published accuracies are those of ZeroEval's own tables (github.com/yuchenlin/ZeroEval, result_dirs/*.summary.md) on
the whole sets of 1,319, 800 and 721 examples; the outcomes here are of 819, 640 and 577 of them.
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
    "CRUXEval": {
        "o1-preview-2024-09-12": 93.5, "o1-mini-2024-09-12": 91.38, "gpt-4o-2024-08-06": 85.0,
        "chatgpt-4o-latest-24-09-07": 84.25, "gpt-4o-2024-05-13": 83.62, "claude-3-5-sonnet-20240620": 78.75,
        "gemini-1.5-pro-exp-0827": 77.62, "gpt-4-turbo-2024-04-09": 76.75, "gpt-4o-mini-2024-07-18": 73.5,
        "gemini-1.5-pro-exp-0801": 73.0, "Mistral-Large-2": 72.88, "gemini-1.5-flash-exp-0827": 72.5,
        "gpt-4-0314": 72.38, "Qwen2.5-72B-Instruct": 71.88, "Llama-3.1-405B-Inst@sambanova": 71.25,
        "claude-3-opus-20240229": 68.62, "deepseek-v2-chat-0628": 68.5, "deepseek-v2.5-0908": 68.12,
        "Qwen2.5-32B-Instruct": 68.12, "deepseek-v2-coder-0724": 67.75, "gemini-1.5-pro": 66.25,
        "claude-3-sonnet-20240229": 64.75, "Meta-Llama-3.1-70B-Instruct": 62.62, "gemini-1.5-flash": 61.88,
        "yi-large-preview": 58.63, "yi-large": 58.38, "Qwen2-72B-Instruct": 57.38, "Meta-Llama-3-70B-Instruct": 57.12,
        "gemma-2-27b-it": 55.88, "claude-3-haiku-20240307": 53.62, "gpt-3.5-turbo-0125": 53.25,
        "Qwen2.5-7B-Instruct": 51.25, "Athene-70B": 49.75, "reka-core-20240501": 45.0, "gemma-2-9b-it": 44.88,
        "Yi-1.5-9B-Chat": 43.75, "Phi-3-mini-4k-instruct": 43.5, "Mixtral-8x7B-Instruct-v0.1": 43.5,
        "Yi-1.5-34B-Chat": 42.88, "Phi-3.5-mini-instruct": 40.88, "Meta-Llama-3.1-8B-Instruct": 38.75,
        "Qwen2-7B-Instruct": 36.75, "Meta-Llama-3-8B-Instruct": 36.62, "reka-flash-20240226": 33.25,
        "Qwen2.5-3B-Instruct": 32.12, "gemma-2-2b-it": 20.75,
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


def counted(board: Boards, data: Path) -> float:
    """The largest difference between the board's scores and plain counts in the file."""
    outcomes = lines(data / "leaderboard" / "zeroeval_outcomes.jsonl.gz")
    worst = 0.0
    for key, one in zip(TASKS, board.boards, strict=True):
        for entry in one.entries:
            right = [o["correct"].get(entry.report.system) for o in outcomes if o["task"] == key]
            known = [value for value in right if value is not None]
            assert entry.report.score is not None
            worst = max(worst, abs(entry.report.score.value - sum(known) / len(known)))
    return worst


def paint(page: Path) -> float | None:
    """Milliseconds to the first paint in a headless Chromium; ``None`` without one."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support"))
    import browser

    if browser.chromium() is None:
        return None
    with browser.Browser() as chrome:
        chrome.open(page)
        return chrome.first_paint()


def main() -> None:
    """Build, save, compare, record."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--data", type=Path, help="the folder of task data; ../shared/data by default")
    words.add_argument("--out", type=Path, help="where the board is kept; it is thrown away by default")
    given = words.parse_args()
    data = data_folder(given.data)
    reports, examples = load(data)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.out or Path(scratch)
        start, work = time.perf_counter(), time.process_time()
        board = boards(reports, title="ZeroEval: three tasks", baseline="gpt-4o-mini-2024-07-18", examples=examples)
        paths = board.save(folder)
        seconds, work = time.perf_counter() - start, time.process_time() - work
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
        "seconds": seconds, "cpu_seconds": work, "html_bytes": size, "first_paint_ms": first, "tasks": tasks,
        "difference_to_plain_counts": counted(board, data), "published": published, "overall": board.overall.headline,
    }  # fmt: skip
    pairs, undecided = (sum(task[name] for task in tasks.values()) for name in ("pairs", "undecided"))
    worst = max(found["largest_difference"] for found in published.values())
    painted = "" if first is None else f", first paint after {first:.0f} ms"
    took = f"{seconds:.1f} s ({work:.1f} s of CPU)"
    inside, given_ = (sum(found[name] for found in published.values()) for name in ("inside_our_interval", "systems"))
    record(
        "board", figures,
        f"three tasks built and saved in {took}, a page of {size / 1e6:.1f} MB{painted}; the order of {undecided:,} of "
        f"{pairs:,} pairs is not established; {inside} of {given_} published accuracies lie in the board's intervals, "
        f"all within {100 * worst:.1f} points",
    )  # fmt: skip


if __name__ == "__main__":
    main()
