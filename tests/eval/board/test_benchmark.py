"""The benchmarks of real outcomes, on a handful of made-up ones in the same form."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "benchmarks" / "eval"


def outcomes(data: Path, systems: list[str]) -> None:
    """Twelve examples of each task; the third system lacks one."""
    (data / "leaderboard").mkdir(parents=True)
    (data / "gsm8k").mkdir()
    (data / "gsm8k" / "dev.jsonl").write_text(json.dumps({"id": "gsm-0", "question": "1 + 1?", "answer": "2"}) + "\n")
    with gzip.open(data / "leaderboard" / "zeroeval_outcomes.jsonl.gz", "wt") as file:
        for task in ("gsm", "crux", "math-l5"):
            for i in range(12):
                there = systems[: 3 if i else 2]
                correct = {system: int((i + place) % 3 > place % 2) for place, system in enumerate(there)}
                body = {"id": f"{task}-{i}", "task": task, "correct": correct}
                file.write(json.dumps({**body, "answers": {system: str(i) for system in there}}) + "\n")


def run(script: str, folder: Path, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / script), "--data", str(folder / "data"), *words],
        cwd=folder, check=False, capture_output=True, text=True,
        env={**os.environ, "BENCHMARK_RESULTS": str(folder / "results"), "PATH": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def test_changes_of_a_boards_folder_are_made_and_found(tmp_path: Path) -> None:
    outcomes(tmp_path / "data", ["gpt-4-0314", "gpt-4o-2024-05-13", "gemini-1.5-pro"])
    run("folder.py", tmp_path, "--changes", "7")
    figures = json.loads((tmp_path / "results" / "folder.json").read_text())
    assert (figures["entries"], figures["problems"], figures["missed"]) == (3, [], [])
    assert set(figures["found"].values()) == {1} and len(figures["found"]) == 7
    assert figures["last_entry_removed_and_made_to_fit"]["first"].startswith("no entry has the digest")
    assert [version["version"] for version in figures["versions"]["OpenAI"]] == ["gpt-4-0314", "gpt-4o-2024-05-13"]


def test_it_builds_the_board_and_compares_with_what_was_published(tmp_path: Path) -> None:
    outcomes(tmp_path / "data", ["gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "gemma-2-2b-it"])
    run("board.py", tmp_path, "--out", str(tmp_path / "board"))
    figures = json.loads((tmp_path / "results" / "board.json").read_text())
    assert figures["command"] == "python benchmarks/eval/board.py --data FOLDER"
    assert figures["difference_to_plain_counts"] == 0
    assert figures["tasks"]["GSM8K"]["systems"] == 3
    assert figures["tasks"]["GSM8K"]["pairs"] == 3
    assert figures["published"]["CRUXEval"]["systems"] == 3
    assert figures["first_paint_ms"] is None  # no browser on this PATH
    page = (tmp_path / "board" / "leaderboard.html").read_text()
    assert "1 + 1?" in page
    assert "1 unscored" in page
