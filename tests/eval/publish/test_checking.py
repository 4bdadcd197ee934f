"""A check finds whatever was altered, removed or moved, and says where; also when the digests were made to fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dstill.eval import BoardFolder, check_board
from dstill.eval.publish import Entry, Label
from dstill.runtime import BadInput
from dstill.runtime.canonical import pretty
from outcomes import report


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """Three systems of 60 examples, the first in two versions."""
    chance = np.random.default_rng(3)
    for name, rate, version in (("a", 0.5, "v1"), ("b", 0.7, ""), ("c", 0.4, ""), ("a", 0.8, "v2")):
        found = report(name, (chance.random(60) < rate).astype(float).tolist(), usd=1.0)
        BoardFolder(tmp_path).add([found], Label(version))
    return tmp_path


def edit(file: Path, change: Callable[[Any], None]) -> None:
    body = json.loads(file.read_bytes())
    change(body)
    file.write_bytes(pretty(body))


def forge(board: Path) -> None:
    """Make every digest fit again, as somebody would who can compute them."""

    def again(body: Any) -> None:
        before = ""
        for entry in body["entries"]:
            place = board / "entries" / entry["folder"]
            entry["files"] = {name: sha256((place / name).read_bytes()).hexdigest() for name in entry["files"]}
            entry["previous"] = before
            del entry["digest"]
            plain = Entry(**{**entry, "label": Label(**entry["label"])})
            before = entry["digest"] = plain.digest
        body["head"] = before
        files = body["pages"]["files"]
        body["pages"]["files"] = {name: sha256((board / name).read_bytes()).hexdigest() for name in files}

    edit(board / "board.json", again)


def test_a_board_as_it_was_added_has_no_problem_and_a_head(board: Path) -> None:
    found = check_board(board)
    assert (found.entries, found.systems, found.problems) == (4, 3, ())
    assert found.figures > 100
    assert found.head == BoardFolder(board).entries()[-1].digest
    first = BoardFolder(board).entries()[0].digest
    assert check_board(board, head=first[:12]).problems == ()
    assert check_board(board, head="0" * 12).problems == (
        "no entry has the digest 000000000000: this board has not grown from the one that had",
    )
    with pytest.raises(BadInput, match="head 'xyz': expected a digest"):
        check_board(board, head="xyz")


def test_a_board_whose_entries_were_all_removed_says_so(board: Path) -> None:
    edit(board / "board.json", lambda body: body.update(entries=[], head=""))
    first, *rest = check_board(board).problems
    assert first == f"{board / 'board.json'} has no entries: they were removed"
    assert rest and all("belongs to no entry" in problem for problem in rest)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("entries/0002-b/rows.jsonl", "0002-b/rows.jsonl has changed since it was added as entry 2 (b)"),
        ("entries/0003-c/report.json", "0003-c/report.json has changed since it was added as entry 3 (c)"),
        ("leaderboard.html", "leaderboard.html has changed since it was made"),
        ("leaderboard.csv", "leaderboard.csv has changed since it was made"),
        ("leaderboard.md", "leaderboard.md has changed since it was made"),
    ],
)
def test_a_changed_file_is_named(board: Path, name: str, said: str) -> None:
    file = board / name
    file.write_bytes(file.read_bytes().replace(b"0", b"9", 1))
    assert any(said in problem for problem in check_board(board).problems)
    file.unlink()
    gone = "is missing as entry" if name.startswith("entries") else "is missing"
    assert any(f"{file} {gone}" in problem for problem in check_board(board).problems)


def test_an_altered_figure_is_named_with_its_row_file_even_if_all_digests_fit(board: Path) -> None:
    def better(body: Any) -> None:
        body["score"]["value"] += 0.05

    edit(board / "entries" / "0002-b" / "report.json", better)
    forge(board)
    problem, page = check_board(board).problems
    assert page == f"{board / 'leaderboard.html'} is not what the rows give"  # which knows another last entry
    place = board / "entries" / "0002-b"
    assert problem.startswith(f"{place / 'report.json'} says score.value = 0.7")
    assert f"and its rows ({place / 'rows.jsonl'}) give 0.7" in problem


def test_an_altered_rank_or_gain_of_the_board_is_named_even_if_all_digests_fit(board: Path) -> None:
    def better(body: Any) -> None:
        body["systems"][1]["gain"]["p"] = 0.5
        body["systems"][2]["rank"]["low"] = 1
        body["history"][0]["versions"][1]["gain"]["value"] = 0.5

    edit(board / "leaderboard.json", better)
    forge(board)
    body = json.loads((board / "leaderboard.json").read_bytes())
    names = [system["system"] for system in body["systems"]]
    folders = {"a": "0004-a", "b": "0002-b", "c": "0003-c"}
    problems = check_board(board).problems
    for number, figure in ((1, "gain.p"), (2, "rank.low")):
        rows = board / "entries" / folders[names[number]] / "rows.jsonl"
        assert any(f"systems[{number}].{figure} = " in p and f"the rows ({rows}) give" in p for p in problems)
    assert any("history[0].versions[1].gain.value = 0.5, and the rows give" in p for p in problems)
    assert len(problems) == 3


def test_altered_rows_do_not_fit_the_figures_even_if_all_digests_fit(board: Path) -> None:
    rows = board / "entries" / "0003-c" / "rows.jsonl"
    rows.write_bytes(rows.read_bytes().replace(b'"score":0.0', b'"score":1.0', 3))
    forge(board)
    problems = check_board(board).problems
    assert any(f"{board / 'entries' / '0003-c' / 'report.json'} says score.value" in p for p in problems)
    assert any("leaderboard.json says systems[" in p for p in problems)


@pytest.mark.parametrize("kind", ["html", "md", "csv"])
def test_an_altered_page_is_not_what_the_rows_give_even_if_all_digests_fit(board: Path, kind: str) -> None:
    file = board / f"leaderboard.{kind}"
    data = file.read_bytes()
    file.write_bytes(data.replace(b"b", b"B", 1))
    forge(board)
    assert check_board(board).problems == (f"{file} is not what the rows give",)


def test_a_removed_moved_or_altered_entry_breaks_the_chain(board: Path) -> None:
    whole = (board / "board.json").read_bytes()

    def problems(change: Callable[[Any], None]) -> str:
        (board / "board.json").write_bytes(whole)
        edit(board / "board.json", change)
        (found,) = check_board(board).problems
        return found

    assert "does not follow the entry before it" in problems(lambda body: body["entries"].pop(1))
    assert "does not follow" in problems(lambda body: body["entries"].insert(0, body["entries"].pop(2)))
    assert "ends with the entry" in problems(lambda body: body["entries"].pop())
    assert "entry 2 was altered" in problems(lambda body: body["entries"][1].update(system="better"))
    assert "entry 2 was altered" in problems(lambda body: body["entries"][1]["label"].update(version="v9"))
    assert "is no entry of a board" in problems(lambda body: body["entries"][1].pop("files"))
    assert "is no entry of a board" in problems(lambda body: body["entries"][1].update(folder="../../elsewhere"))
    assert "holds no list of entries" in problems(lambda body: body.update(entries={}))
    assert "update dstill" in problems(lambda body: body.update(format=99))
    assert "no board's manifest" in problems(lambda body: body.pop("format"))
    (board / "board.json").write_text("{")
    assert "cannot be read" in check_board(board).problems[0]


def test_an_entry_that_says_another_name_or_number_of_its_files_is_named(board: Path) -> None:
    whole = (board / "board.json").read_bytes()
    for what, value in (("system", "better"), ("task", "other"), ("metric", "f1"), ("n", 61)):
        (board / "board.json").write_bytes(whole)
        edit(board / "board.json", lambda body, what=what, value=value: body["entries"][1].update({what: value}))
        forge(board)
        assert any(f"says of entry 2 {what} = {value!r}, and " in problem for problem in check_board(board).problems)


def test_entries_that_make_no_board_are_a_problem(board: Path) -> None:
    rows = board / "entries" / "0002-b" / "rows.jsonl"
    rows.write_bytes(rows.read_bytes().replace(b'"id":"e7"', b'"id":"e8"'))
    forge(board)
    assert any("the entries make no board: b has two rows with the id 'e8'" in p for p in check_board(board).problems)


def test_files_that_no_entry_vouches_for_are_named(board: Path) -> None:
    (board / "entries" / "0009-x").mkdir()
    (board / "entries" / "0009-x" / "rows.jsonl").write_text("")
    (board / "entries" / "0001-a" / "more.txt").write_text("")
    problems = check_board(board).problems
    assert [problem.partition(" belongs to no entry")[0] for problem in problems] == [
        str(board / "entries" / "0001-a" / "more.txt"), str(board / "entries" / "0009-x" / "rows.jsonl"),
    ]  # fmt: skip


def test_of_another_version_the_figures_are_compared_that_both_tell(board: Path) -> None:
    def older(body: Any) -> None:
        body["pages"]["made_by"] = "0.0.1"

    edit(board / "board.json", older)
    edit(board / "leaderboard.json", lambda body: body.pop("history"))
    file = board / "leaderboard.md"
    file.write_bytes(file.read_bytes() + b"\n")
    forge(board)
    assert check_board(board).problems == ()
    edit(board / "leaderboard.json", lambda body: body["systems"][0]["score"].update(low=0.1))
    forge(board)
    (problem,) = check_board(board).problems
    assert "systems[0].score.low = 0.1" in problem


def test_pages_of_another_version_are_named_as_not_compared(board: Path) -> None:
    page = board / "leaderboard.html"
    page.write_text(page.read_text().replace("examples", "samples"))
    edit(board / "board.json", lambda body: body["pages"].update(made_by="0.0.9"))
    forge(board)
    found = check_board(board)
    assert (found.problems, found.pages_by) == ((), "0.0.9")
    edit(board / "leaderboard.json", lambda body: body["systems"][0]["score"].update(value=0.99))
    forge(board)
    assert any("score.value = 0.99" in problem for problem in check_board(board).problems)
