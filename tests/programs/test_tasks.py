"""The declared tasks under the contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contracts import TaskContract
from dstill.programs import Task, task_named


def write(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Two rows a split."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, split in enumerate(("train", "dev", "test")):
        lines = [json.dumps({"id": f"{split}{n}", **row}) for n, row in enumerate(rows[2 * number : 2 * number + 2])]
        (folder / f"{split}.jsonl").write_text("\n".join(lines))


class TestTriage(TaskContract):
    def make(self, folder: Path) -> Task:
        return task_named("triage")


class TestNli(TaskContract):
    def make(self, folder: Path) -> Task:
        labels = ("entailment", "neutral", "contradiction")
        rows = [{"premise": f"{n} dogs run.", "hypothesis": "They run.", "label": labels[n % 3]} for n in range(6)]
        write(folder / "esnli", rows)
        return task_named("nli", data=str(folder))


class TestMathWord(TaskContract):
    def make(self, folder: Path) -> Task:
        write(folder / "svamp", [{"question": f"What is {n} and {n}?", "answer": str(2 * n)} for n in range(6)])
        return task_named("math_word", data=str(folder))
