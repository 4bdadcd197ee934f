"""What the systems were asked comes onto the board with their reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import fakes
import pytest
from dstill.eval import Report, boards, evaluate, leaderboard
from dstill.runtime import LM, BadInput, Damaged, RunDir
from outcomes import report

ASKED = tuple({"id": f"e{i}", "question": f"How much is {i} and {i}?", "answer": str(2 * i)} for i in range(4))


def asked_report(name: str, scores: list[float | None], asked: tuple[dict[str, object], ...] = ASKED) -> Report:
    return replace(report(name, scores), examples=asked)


def test_a_board_takes_the_examples_that_its_reports_have_kept() -> None:
    one, other = asked_report("a", [1, 0, 1, 1]), report("b", [0, 0, 1, 1])
    for found in (leaderboard([one, other]), leaderboard([other, one]), boards([other, one], slices=[]).boards[0]):
        assert found.examples is not None
        assert [list(body.items()) for body in found.examples][3] == [
            ("question", "How much is 3 and 3?"), ("answer", "6"),
        ]  # fmt: skip
    assert "How much is 3 and 3?" in leaderboard([one, other]).html()
    assert leaderboard([other]).examples is None


def test_examples_follow_their_ids_where_only_some_are_shared() -> None:
    one = asked_report("a", [1, 0, 1, 1])
    other = report("b", [0, 1, 1], ids=["e3", "new", "e1"])
    found = leaderboard([other, one], shared=True)
    assert found.examples == ({"question": "How much is 3 and 3?", "answer": "6"}, {
        "question": "How much is 1 and 1?", "answer": "2",
    })  # fmt: skip
    assert [row.id for row in found.entries[0].report.rows] == ["e3", "e1"]


def test_one_id_with_two_questions_is_refused() -> None:
    other = tuple({**body, "answer": "7"} if body["id"] == "e2" else body for body in ASKED)
    reports = [asked_report("a", [1, 0, 1, 1]), asked_report("b", [1, 1, 1, 1], other)]
    with pytest.raises(BadInput, match="a and b were asked different things under the id 'e2' .answer: '4' and '7'"):
        leaderboard(reports)
    assert leaderboard(reports, examples=ASKED).examples  # who says what was asked decides it


def test_rows_in_another_order_are_put_into_the_baselines() -> None:
    one = asked_report("a", [1, 0, 1, 1])
    other = report("b", [0, 1, 1, 0], ids=["e3", "e0", "e2", "e1"])
    board = leaderboard([one, other])
    assert [(row.index, row.id, row.score) for row in board.entries[1].report.rows] == [
        (0, "e0", 1), (1, "e1", 0), (2, "e2", 1), (3, "e3", 0),
    ]  # fmt: skip
    assert board.standing.alone.wins[0, 1] == 1


def test_what_another_tool_calls_otherwise_is_no_other_question() -> None:
    words = tuple({"input": body["question"], "target": "?"} for body in ASKED)
    found = leaderboard([asked_report("a", [1, 0, 1, 1]), asked_report("b", [1, 1, 1, 1], words)])
    assert found.examples is not None
    assert all(list(body) == ["question", "answer"] for body in found.examples)


def test_reports_keep_what_was_asked_in_the_order_of_its_fields(tmp_path: Path) -> None:
    task = fakes.task(test=3)
    found = evaluate(task.program, task.test, task.metric, LM(fakes.painter()))
    assert found.examples == tuple(dict(example.items()) for example in task.test)
    with RunDir(tmp_path / "run", kind="eval", config={}) as out:
        found.save(out)
        out.finish()
    again = Report.load(tmp_path / "run")
    assert again == found
    assert again.examples is not None
    assert [list(body) for body in again.examples] == [["id", "text", "colour"]] * 3
    (tmp_path / "run" / "examples.jsonl").write_text('{"text":"other"}\n' * 3)
    with pytest.raises(Damaged, match=r"examples\.jsonl has changed"):
        Report.load(tmp_path / "run")
    (tmp_path / "run" / "config.json").unlink()  # nobody vouches for its files now
    (tmp_path / "run" / "examples.jsonl").write_text('{"text":"other"}\n')
    with pytest.raises(Damaged, match="holds 1 examples for 3 rows"):
        Report.load(tmp_path / "run")
