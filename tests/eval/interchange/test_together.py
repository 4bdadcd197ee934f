"""Results of several tools on one board."""

from __future__ import annotations

from pathlib import Path

import pytest
from dstill.eval import Board, Boards, Report, Results, read_results, together
from dstill.runtime import BadInput
from outcomes import report

DATA = Path(__file__).parent / "data"


def table(folder: Path, name: str, scores: dict[str, float], more: str = "") -> Results:
    (folder / f"{name}.csv").write_text(
        "id,score\n" + "".join(f"{id},{score}\n" for id, score in scores.items()) + more
    )
    return read_results(folder / f"{name}.csv")


def own(made: Report) -> Results:
    return Results(Path("runs/ours"), "dstill", (made,))


def test_ours_and_a_table_that_says_no_task(tmp_path: Path) -> None:
    ours = report("ours", [1.0, 0.0, 1.0])
    theirs = read_results(table(tmp_path, "theirs", {"e2": 1, "e0": 0, "e1": 0}).path, rename={"score": "exact"})
    board = together([own(ours), theirs])
    assert isinstance(board, Board)
    assert (board.task, board.split, board.baseline) == ("sums", "test", "ours")
    found = {entry.report.system: [row.score for row in entry.report.rows] for entry in board.entries}
    assert found == {"ours": [1.0, 0.0, 1.0], "theirs": [0.0, 0.0, 1.0]}
    assert [row.index for row in board.entries[1].report.rows] == [0, 1, 2]


def test_other_metrics_cannot_be_compared_until_they_have_one_name(tmp_path: Path) -> None:
    ours = own(report("ours", [1.0, 0.0, 1.0]))
    theirs = table(tmp_path, "theirs", {"e0": 1, "e1": 1, "e2": 1})
    with pytest.raises(
        BadInput, match=r"none can be compared \(ours: sums / test / exact; theirs: sums / test / score"
    ):
        together([ours, theirs])


def test_different_examples_say_how_many_are_shared(tmp_path: Path) -> None:
    one = table(tmp_path, "one", {"a": 1, "b": 0, "c": 1})
    two = table(tmp_path, "two", {"b": 1, "c": 1, "d": 0, "e": 1})
    with pytest.raises(BadInput, match=r"3, of which they share 2; .*shared=True.*--shared"):
        together([one, two])
    board = together([one, two], shared=True)
    assert isinstance(board, Board)
    assert board.left_out == 3
    assert [row.id for row in board.entries[0].report.rows] == ["b", "c"]


def test_several_tasks_and_metrics_make_tabs() -> None:
    found = read_results(DATA / "lm_eval")
    board = together([found])
    assert isinstance(board, Boards)
    assert [(b.task, b.metric) for b in board.boards] == [(r.task, r.metric) for r in found]
    assert "capitals" in board.html()


def test_three_tools_on_one_board(tmp_path: Path) -> None:
    """The harness, inspect and a table, brought to one task, metric and ids."""
    names = {"capitals": "quiz", "acc": "right", "graded": "right", "score": "right"}
    harness = read_results(DATA / "lm_eval", metric="right", rename=names)
    log = read_results(DATA / "inspect" / "one.eval", metric="right", rename=names)
    rows = "".join(f"{row.id},1\n" for row in log[0].rows)
    (tmp_path / "people.csv").write_text(f"id,score\n{rows}")
    people = read_results(tmp_path / "people.csv", rename=names)
    board = together([log, people], baseline="people")
    assert isinstance(board, Board)
    assert [entry.report.system for entry in board.entries] == ["people", "mockllm/model"]
    assert board.examples is not None and board.examples[0]["input"] == "What is the capital of France?"
    with pytest.raises(BadInput, match="share 0"):
        together([log, harness])


def test_a_baseline_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="baseline 'x' is not on the board; expected one of: one"):
        together([table(tmp_path, "one", {"a": 1})], baseline="x")


def test_one_system_twice(tmp_path: Path) -> None:
    one = table(tmp_path, "one", {"a": 1})
    with pytest.raises(BadInput, match="two systems are called 'one'"):
        together([one, one])


def test_costs_that_nobody_recorded_are_not_shown_as_none_spent(tmp_path: Path) -> None:
    theirs = read_results(table(tmp_path, "theirs", {"e0": 1, "e1": 0, "e2": 1}).path, rename={"score": "exact"})
    board = together([own(report("ours", [1.0, 0.0, 1.0])), theirs])
    assert isinstance(board, Board)
    cells = {line["system"]: line for line in board.lines}
    assert [cells["theirs"][head] for head in ("$/1000", "p50 ms", "p95 ms", "tokens in")] == ["–"] * 4
    assert cells["ours"]["tokens in"] == "100"
    assert '"tokens":null' in board.html()
