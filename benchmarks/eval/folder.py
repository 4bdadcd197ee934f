"""A board's folder over time, on real outcomes: families of language models on CRUXEval, a model's release a version.

Measures how long adding and checking take, and how many of ``--changes`` random changes the check finds and names: a
row's score, a figure of an entry or of the board, a page, an entry removed, moved or renamed. Every digest is made to
fit again after each change, as somebody would who can compute them; what that cannot hide, the check must find. Then
the last entry is removed and the rest made to fit: only who has kept the head can know, and the check is given it.

    python benchmarks/eval/folder.py [--data FOLDER] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from board import load
from common import data_folder, record, spread
from dstill.eval import BoardFolder, check_board
from dstill.eval.publish import Entry, Label
from dstill.runtime.canonical import file_digest, pretty

RELEASES = (
    ("OpenAI", "gpt-4-0314"), ("Anthropic Sonnet", "claude-3-sonnet-20240229"),
    ("OpenAI", "gpt-4-turbo-2024-04-09"), ("Llama 70B", "Meta-Llama-3-70B-Instruct"), ("OpenAI", "gpt-4o-2024-05-13"),
    ("Gemini Pro", "gemini-1.5-pro"), ("Qwen 72B", "Qwen2-72B-Instruct"),
    ("Anthropic Sonnet", "claude-3-5-sonnet-20240620"), ("DeepSeek", "deepseek-v2-chat-0628"),
    ("Llama 70B", "Meta-Llama-3.1-70B-Instruct"), ("Gemini Pro", "gemini-1.5-pro-exp-0801"),
    ("OpenAI", "gpt-4o-2024-08-06"), ("Gemini Pro", "gemini-1.5-pro-exp-0827"), ("DeepSeek", "deepseek-v2.5-0908"),
    ("OpenAI", "chatgpt-4o-latest-24-09-07"), ("OpenAI", "o1-preview-2024-09-12"), ("Qwen 72B", "Qwen2.5-72B-Instruct"),
)  # fmt: skip
"""Family and model, in the order of their release."""
Change = Callable[[Path, random.Random], None]


def fit(board: Path) -> None:
    """Make every digest fit what is there now."""
    body = orjson.loads((board / "board.json").read_bytes())
    before = ""
    for number, entry in enumerate(body["entries"], start=1):
        place = board / "entries" / entry["folder"]
        entry |= {"number": number, "previous": before}
        entry["files"] = {name: file_digest(place / name) for name in entry["files"]}
        del entry["digest"]
        before = entry["digest"] = Entry(**{**entry, "label": Label(**entry["label"])}).digest
    files = body["pages"]["files"]
    body |= {"head": before, "pages": {**body["pages"], "files": {name: file_digest(board / name) for name in files}}}
    (board / "board.json").write_bytes(pretty(body))


def edit(file: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON file."""
    body = orjson.loads(file.read_bytes())
    change(body)
    file.write_bytes(pretty(body))


def score_of_a_row(board: Path, chance: random.Random) -> None:
    file = chance.choice(sorted(board.glob("entries/*/rows.jsonl")))
    lines = file.read_bytes().splitlines()
    place = chance.choice([i for i, line in enumerate(lines) if orjson.loads(line)["score"] is not None])
    row = orjson.loads(lines[place])
    row["score"] = 1.0 - row["score"]
    lines[place] = orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
    file.write_bytes(b"\n".join(lines) + b"\n")


def figure(file: Path, chance: random.Random) -> None:
    """Move one number of a file by a thousandth of itself or more."""
    body = orjson.loads(file.read_bytes())
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in value if isinstance(value, dict) else range(len(value)):
            if isinstance(value[key], int | float) and not isinstance(value[key], bool):
                places.append((value, key))
            elif isinstance(value[key], dict | list):
                walk(value[key])

    walk(body)
    owner, key = chance.choice(places)
    owner[key] += chance.choice([-1, 1]) * max(1e-3, abs(owner[key]) * chance.choice([1e-3, 0.1, 1.0]))
    file.write_bytes(pretty(body))


def figure_of_an_entry(board: Path, chance: random.Random) -> None:
    figure(chance.choice(sorted(board.glob("entries/*/report.json"))), chance)


def figure_of_the_board(board: Path, chance: random.Random) -> None:
    figure(board / "leaderboard.json", chance)


def letter_of_a_page(board: Path, chance: random.Random) -> None:
    file = board / f"leaderboard.{chance.choice(['html', 'md', 'csv'])}"
    data = bytearray(file.read_bytes())
    place = chance.choice([i for i in range(len(data)) if 48 <= data[i] <= 57])
    data[place] = 48 + (data[place] - 48 + chance.randint(1, 9)) % 10
    file.write_bytes(bytes(data))


def entry_removed(board: Path, chance: random.Random) -> None:
    def change(body: Any) -> None:
        gone = body["entries"].pop(chance.randrange(len(body["entries"]) - 1))
        shutil.rmtree(board / "entries" / gone["folder"])

    edit(board / "board.json", change)


def entries_swapped(board: Path, chance: random.Random) -> None:
    def change(body: Any) -> None:
        i, j = chance.sample(range(len(body["entries"])), 2)
        body["entries"][i], body["entries"][j] = body["entries"][j], body["entries"][i]

    edit(board / "board.json", change)


def system_renamed(board: Path, chance: random.Random) -> None:
    edit(board / "board.json", lambda body: chance.choice(body["entries"]).update(system="another"))


CHANGES: tuple[Change, ...] = (
    score_of_a_row, figure_of_an_entry, figure_of_the_board, letter_of_a_page, entry_removed, entries_swapped,
    system_renamed,
)  # fmt: skip


def shortened(board: Path, copy: Path) -> Path:
    """A copy of a board whose last entry is gone, and all digests made to fit."""
    shutil.copytree(board, copy)
    last = orjson.loads((copy / "board.json").read_bytes())["entries"][-1]
    shutil.rmtree(copy / "entries" / last["folder"])
    edit(copy / "board.json", lambda body: body["entries"].pop())
    fit(copy)
    return copy


def main() -> None:
    """Add, check, change, check again, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder of task data; ../shared/data by default")
    parser.add_argument("--out", type=Path, help="where the board is kept; it is thrown away by default")
    parser.add_argument("--changes", type=int, default=70)
    given = parser.parse_args()
    reports, examples = load(data_folder(given.data))
    from dataclasses import replace

    known = {report.system: report for report in reports if report.task == "CRUXEval"}
    asked = tuple(examples["CRUXEval"])
    chance, found, missed = random.Random(0), Counter[str](), []
    with tempfile.TemporaryDirectory() as scratch:
        folder = BoardFolder((given.out or Path(scratch)) / "cruxeval")
        adding, checking = [], []
        releases = [(family, model) for family, model in RELEASES if model in known]
        for family, model in releases:
            start = time.process_time()
            folder.add([replace(known[model], system=family, examples=asked)], Label(version=model))
            adding.append(time.process_time() - start)
        start = time.process_time()
        whole = check_board(folder.path)
        checking.append(time.process_time() - start)
        for number in range(given.changes):
            change = CHANGES[number % len(CHANGES)]
            copy = Path(scratch) / "copy"
            shutil.copytree(folder.path, copy)
            change(copy, chance)
            fit(copy)
            start = time.process_time()
            problems = check_board(copy, head=whole.head).problems
            checking.append(time.process_time() - start)
            # A changed chain has another head; what was changed must be named besides.
            named = [problem for problem in problems if "no entry has the digest" not in problem]
            found[change.__name__] += bool(named)
            missed += [] if named else [f"{change.__name__} {number}"]
            shutil.rmtree(copy)
        anew = check_board(shortened(folder.path, Path(scratch) / "copy"), head=whole.head).problems
        board = folder.board()
        tracks = board.history if hasattr(board, "history") else ()
    gains = [version.gain for track in tracks for version in track.versions if version.gain is not None]
    figures = {
        "command": " ".join(["python benchmarks/eval/folder.py", *(["--data", "FOLDER"] if given.data else [])]),
        "entries": len(releases), "figures": whole.figures, "problems": list(whole.problems),
        "adding_cpu_seconds": [round(x, 3) for x in adding], "checking_cpu_seconds": [round(x, 3) for x in checking],
        "changes": given.changes, "found": dict(found), "missed": missed,
        "last_entry_removed_and_made_to_fit": {"problems": len(anew), "first": anew[0] if anew else None},
        "versions": {
            track.system: [
                {"version": v.name, "score": v.score and v.score.dump(), "gain": v.gain and v.gain.difference.dump()}
                for v in track.versions
            ]
            for track in tracks
        },
    }  # fmt: skip
    sure = sum(gain.verdict != "no significant difference" for gain in gains)
    record(
        "folder", figures,
        f"{len(releases)} entries of {len(tracks)} families: adding took {spread(adding)} s of CPU, checking "
        f"{whole.figures:,} figures {spread(checking)} s; {sum(found.values())} of {given.changes} changes found with "
        f"all digests made to fit; {sure} of {len(gains)} new versions differ from the one before",
    )  # fmt: skip


if __name__ == "__main__":
    main()
