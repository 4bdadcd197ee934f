"""A board folder: what is added stays, in order, whoever adds and whatever is interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dstill.eval import Board, BoardFolder, Boards, Report, check_board, compare, leaderboard
from dstill.eval.publish import Label
from dstill.runtime import BadInput, Damaged
from dstill.runtime.errors import RunBusy
from filelock import FileLock
from outcomes import report

CHANCE = np.random.default_rng(11)
ASKED = tuple({"question": f"q{i}", "kind": "even" if i % 2 else "odd"} for i in range(40))


def one(name: str, rate: float, n: int = 40, **more: object) -> Report:
    found = report(name, (CHANCE.random(n) < rate).astype(float).tolist(), **more)  # type: ignore[arg-type]
    return replace(found, examples=ASKED) if n == 40 else found


def test_the_board_is_that_of_the_newest_versions_and_knows_the_older_ones(tmp_path: Path) -> None:
    folder, (a1, a2, b) = BoardFolder(tmp_path / "boards" / "sums"), (one("a", 0.3), one("a", 0.9), one("b", 0.5))
    folder.add([a1, b], Label("v1"))
    (last,) = folder.add([a2], Label("v2", note="with demonstrations"), git="abc")
    assert (last.number, last.version, last.git, last.n) == (3, "v2", "abc", 40)
    board = folder.board()
    assert isinstance(board, Board)
    plain = leaderboard([a2, b])
    assert [(e.report, e.gain) for e in board.entries] == [(e.report, e.gain) for e in plain.entries]
    assert board.examples == ASKED
    (track,) = board.history
    assert track.system == "a"
    assert [(version.name, version.score) for version in track.versions] == [("v1", a1.score), ("v2", a2.score)]
    assert (track.versions[0].gain, track.versions[1].gain) == (None, compare(a2, a1))
    for kind in ("html", "md", "json", "csv"):
        assert (folder.path / f"leaderboard.{kind}").is_file()
    text = (folder.path / "leaderboard.md").read_text()
    assert "| a | v2 | " in text and "| a | v1 | " in text
    body = json.loads((folder.path / "leaderboard.json").read_text())
    assert [version["version"] for version in body["history"][0]["versions"]] == ["v1", "v2"]
    assert check_board(folder.path).problems == ()


def test_pages_are_those_of_the_files_whatever_the_order_of_fields_was(tmp_path: Path) -> None:
    outputs = [{"output": f"o{i}", "confidence": "0.5"} for i in range(40)]  # files have names in their own order
    found = replace(report("a", [1.0, 0.0] * 20, outputs=outputs), examples=ASKED)
    folder = BoardFolder(tmp_path)
    folder.add([found])
    assert check_board(folder.path).problems == ()
    other = tuple({name: body[name] for name in reversed(body)} for body in ASKED)
    folder.add([replace(one("b", 0.5), examples=other)])
    assert check_board(folder.path).problems == ()


def test_several_tasks_are_tabs_and_the_newest_named_baseline_counts(tmp_path: Path) -> None:
    folder = BoardFolder(tmp_path)
    folder.add([one("a", 0.5), one("b", 0.6), one("a", 0.4, task="words"), one("b", 0.4, task="words")])
    found = folder.board()
    assert isinstance(found, Boards)
    assert [board.baseline for board in found.boards] == ["a", "a"]
    assert found.title == tmp_path.name
    folder.add([one("c", 0.9)], Label(baseline="b"))
    again = folder.board()
    assert isinstance(again, Boards)
    assert [board.baseline for board in again.boards] == ["b", "b"]
    moved = tmp_path.parent / "elsewhere"
    tmp_path.rename(moved)
    assert check_board(moved).problems == ()
    with pytest.raises(BadInput, match="baseline 'nobody' is not on the board; expected one of: a, b, c"):
        BoardFolder(moved).add([one("d", 0.1)], Label(baseline="nobody"))


def test_what_is_there_already_is_not_added_twice(tmp_path: Path) -> None:
    folder, a = BoardFolder(tmp_path), one("a", 0.5)
    first = folder.add([a], Label("v1"))
    before = (tmp_path / "board.json").read_bytes()
    assert folder.add([a], Label("v1")) == first
    assert (tmp_path / "board.json").read_bytes() == before
    assert [entry.number for entry in folder.add([a], Label("v2"))] == [2]
    assert sorted(place.name for place in (tmp_path / "entries").iterdir()) == ["0001-a", "0002-a"]


def test_other_examples_are_refused_unless_the_shared_ones_are_asked_for(tmp_path: Path) -> None:
    folder = BoardFolder(tmp_path)
    folder.add([one("a", 0.5)])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    fewer = one("b", 0.5, n=30)
    with pytest.raises(BadInput, match="30 and 40, of which they share 30; .*--shared"):
        folder.add([one("c", 0.5), fewer])  # all or none
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    folder.add([fewer], Label(shared=True))
    board = folder.board()
    assert isinstance(board, Board)
    assert (board.left_out, len(board.entries[0].report.rows)) == (10, 30)


def test_a_version_is_compared_on_the_examples_that_it_shares_with_the_one_before(tmp_path: Path) -> None:
    folder = BoardFolder(tmp_path)
    old = report("a", [1.0, 0.0, None, 0.0], ids=["w", "x", "y", "z"])
    new = report("a", [1.0, 1.0, 0.0], ids=["x", "z", "v"])
    folder.add([old])
    folder.add([new])
    other = report("a", [1.0, 0.0], ids=["p", "q"])
    folder.add([other])
    board = folder.board()
    assert isinstance(board, Board)
    first, second, third = board.history[0].versions
    assert first.gain is None and third.gain is None  # nothing before it, and nothing shared
    assert second.gain is not None
    assert (second.gain.n, second.gain.wins, second.gain.difference.value) == (2, 2, 1.0)
    asked = [replace(r, examples=tuple({"q": f"{r is other}{row.id}"} for row in r.rows)) for r in (old, new)]
    changed = replace(asked[1], examples=({"q": "another"}, *asked[1].examples[1:]))  # type: ignore[index]
    from dstill.eval.board.history import Past, tracks

    (track,) = tracks([Past(asked[0], "v1", 1, ""), Past(changed, "v2", 2, "")])
    assert track.versions[1].gain is not None
    assert track.versions[1].gain.n == 1  # one id asks something else by now


def test_two_who_add_at_once_lose_nothing(tmp_path: Path) -> None:
    reports = [one(f"s{i}", 0.5) for i in range(6)]
    gate = threading.Barrier(6)

    def add(place: int) -> None:
        gate.wait()
        BoardFolder(tmp_path).add([reports[place]])

    crew = [threading.Thread(target=add, args=(i,)) for i in range(6)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    entries = BoardFolder(tmp_path).entries()
    assert sorted(entry.system for entry in entries) == [f"s{i}" for i in range(6)]
    assert check_board(tmp_path).problems == ()


def test_who_finds_somebody_adding_waits_and_then_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    BoardFolder(tmp_path).add([one("a", 0.5)])
    monkeypatch.setattr("dstill.eval.publish.folder.PATIENCE", 0.05)
    with FileLock(tmp_path / ".lock"), pytest.raises(RunBusy, match="somebody else has been adding"):
        BoardFolder(tmp_path).add([one("b", 0.5)])


@pytest.mark.parametrize("moment", ["rename", "pages", "manifest"])
def test_a_killed_adding_changes_nothing_that_was_there_and_is_done_again(tmp_path: Path, moment: str) -> None:
    """SIGKILL before the entry has its name, before the pages, and before the manifest."""
    folder = BoardFolder(tmp_path / "board")
    folder.add([one("a", 0.5)])
    entries = folder.entries()
    kill = {
        "rename": "import dstill.eval.publish.folder as f; f.boards_of = lambda *_: die()",
        "pages": "from dstill.eval.board import Board; Board.save = lambda *_, **__: die()",
        "manifest": "import dstill.eval.publish.folder as f; f.write_json = lambda *_: die()",
    }[moment]
    code = (
        f"import os, signal\ndef die(): os.kill(os.getpid(), signal.SIGKILL)\n{kill}\n"
        "from outcomes import report\nfrom dstill.eval import BoardFolder\nfrom pathlib import Path\n"
        "BoardFolder(Path('board')).add([report('b', [1.0, 0.0] * 20)])"
    )
    support = str(Path(__file__).parents[2] / "support")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": support}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert folder.entries() == entries
    assert isinstance(folder.board(), Board)
    folder.add([report("b", [1.0, 0.0] * 20)])
    assert [entry.system for entry in folder.entries()] == ["a", "b"]
    assert sorted(place.name for place in (tmp_path / "board" / "entries").iterdir()) == ["0001-a", "0002-b"]
    assert check_board(tmp_path / "board").problems == ()


def test_nothing_is_added_to_a_board_that_is_not_what_was_added_to_it(tmp_path: Path) -> None:
    folder = BoardFolder(tmp_path)
    folder.add([one("a", 0.5)])
    rows = tmp_path / "entries" / "0001-a" / "rows.jsonl"
    rows.write_bytes(rows.read_bytes().replace(b'"score":0.0', b'"score":1.0'))
    with pytest.raises(Damaged, match=r"0001-a/rows\.jsonl has changed since it was added as entry 1 \(a\)"):
        folder.add([one("b", 0.5)])


def test_what_cannot_be_added(tmp_path: Path) -> None:
    folder = BoardFolder(tmp_path / "x")
    with pytest.raises(BadInput, match="nothing to add"):
        folder.add([])
    with pytest.raises(BadInput, match="two rows with the id 'e'"):
        folder.add([report("a", [1.0, 0.0], ids=["e", "e"])])
    with pytest.raises(BadInput, match="version='two"):
        folder.add([one("a", 0.5)], Label("two\nlines"))
    with pytest.raises(BadInput, match="there is no board in"):
        BoardFolder.at(tmp_path)
    assert not (tmp_path / "x").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot make the board's folder"):
        BoardFolder(tmp_path / "file").add([one("a", 0.5)])


def test_names_that_would_leave_the_folder_stay_in_it(tmp_path: Path) -> None:
    folder = BoardFolder(tmp_path / "board")
    names = ["../../evil\x1b[31m/<b>", "", "é" * 300, "x.part"]
    folder.add([one(name, 0.5) for name in names])
    folder.add([one("last", 0.5)])
    assert len(list((tmp_path / "board" / "entries").iterdir())) == 5
    assert list(tmp_path.iterdir()) == [tmp_path / "board"]
    assert [entry.system for entry in folder.entries()] == [*names, "last"]
    assert check_board(folder.path).problems == ()
