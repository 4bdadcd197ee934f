"""A board: ranks, ties, gains, slices, and how it reads as text, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dstill.eval import Board, Report, boards, compare, leaderboard
from dstill.eval.board.text import tenths
from dstill.eval.statistics import all_pairs, mean_interval, rank_intervals
from dstill.runtime import BadInput
from outcomes import report

CHANCE = np.random.default_rng(7)


def draws(*rates: float, n: int = 200) -> list[Report]:
    """Right-or-wrong systems s0, s1, ... of these accuracies."""
    return [report(f"s{i}", (CHANCE.random(n) < rate).astype(float).tolist()) for i, rate in enumerate(rates)]


def test_a_board_ranks_compares_and_writes_itself(tmp_path: Path) -> None:
    weak, strong = report("weak", [0.0, 1.0] * 20), report("strong", [1.0] * 40)
    board = leaderboard([weak, strong])
    assert [entry.report.system for entry in board.entries] == ["strong", "weak"]
    assert board.entries[0].gain == compare(strong, weak)
    assert board.entries[1].gain is None
    assert [str(entry.rank) for entry in board.entries] == ["1", "2"]
    assert [entry.group for entry in board.entries] == [1, 2]
    text = str(board)
    assert "strong" in text.splitlines()[2]
    assert text == repr(board)
    paths = board.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"leaderboard.{k}" for k in ("csv", "html", "json", "md")
    ]
    assert "http" not in paths["html"].read_text().replace("http-equiv", "")
    body = json.loads(paths["json"].read_text())
    assert body["systems"][0]["gain"]["verdict"] == "better"
    assert body["pairs"] == {"compared": 1, "undecided": 0}
    assert paths["md"].read_text().count("\n|") == 4
    assert "iframe" in board._repr_html_()
    assert leaderboard([weak, strong], baseline="strong").baseline == "strong"


def test_the_same_reports_give_the_same_bytes(tmp_path: Path) -> None:
    reports = draws(0.5, 0.6, 0.7)
    first, second = (leaderboard(reports).save(tmp_path / name) for name in "ab")
    assert all(first[kind].read_bytes() == second[kind].read_bytes() for kind in first)


def test_ranks_and_pairs_are_those_of_the_statistics() -> None:
    reports = draws(0.9, 0.5, 0.88, 0.3, 0.52)
    board = leaderboard(reports)
    order = [entry.report for entry in board.entries]
    pairs = all_pairs(np.array([one.scores for one in order]))
    ranks = rank_intervals(pairs)
    assert [(e.rank.low, e.rank.high) for e in board.entries if e.rank] == list(zip(ranks.low, ranks.high, strict=True))
    assert board.standing.undecided == ranks.open_pairs
    assert tuple(entry.letters for entry in board.entries) == ranks.letters
    for i, one in enumerate(order):
        for j, other in enumerate(order):
            if i != j:
                expected = compare(one, other)
                got = [float(getattr(board.standing.alone, name)[i, j]) for name in ("value", "low", "high", "p")]
                gain = expected.difference
                assert got == pytest.approx([gain.value, gain.low, gain.high, expected.p], abs=1e-12)


def test_every_pair_of_graded_scores_is_what_compare_says_whatever_the_baseline() -> None:
    reports = [report(f"g{i}", (CHANCE.random(60) * (0.4 + 0.2 * i)).tolist()) for i in range(4)]
    board = leaderboard(reports, baseline="g1")
    names = [entry.report.system for entry in board.entries]
    alone = board.standing.alone
    for i, one in enumerate(board.entries):
        expected = None if names[i] == "g1" else compare(one.report, reports[1])
        assert one.gain == expected or (one.gain and expected and one.gain.p == pytest.approx(expected.p))
        for j, other in enumerate(board.entries):
            if i != j:
                alike = compare(one.report, other.report)
                found = [float(matrix[i, j]) for matrix in (alone.value, alone.low, alone.high, alone.p)]
                gain = alike.difference
                assert found == pytest.approx([gain.value, gain.low, gain.high, alike.p], abs=1e-12)


def test_groups_begin_where_somebody_is_worse_than_the_groups_first() -> None:
    board = leaderboard(draws(0.95, 0.94, 0.6, 0.58, 0.1, n=300))
    assert [entry.group for entry in board.entries] == [1, 1, 2, 2, 3]
    assert [str(entry.rank) for entry in board.entries] == ["1–2", "1–2", "3–4", "3–4", "5"]


def test_unscored_examples_leave_their_pairs_and_nothing_else() -> None:
    a, b = [1.0] * 30 + [0.0] * 10, [None] * 10 + [1.0] * 10 + [0.0] * 20
    board = leaderboard([report("a", a), report("b", b), report("none", [None] * 40)])
    last = board.entries[-1]
    assert last.report.system == "none"
    assert (last.rank, last.group, last.gain, last.report.score) == (None, None, None, None)
    assert board.standing.pairs == 1
    assert board.standing.alone.value[0, 1] == pytest.approx(10 / 30)
    assert [str(entry.rank) for entry in board.entries[:2]] == ["1", "2"]
    assert "none: 0 failed (count as 0), 40 unscored." in str(board)
    assert "–" in str(board)
    assert board.html()


@pytest.mark.parametrize(
    "reports",
    [
        [report("one", [1.0, 0.0])],
        [report("one", [1.0])],
        [report("a", [1.0, 0.0, 1.0]), report("b", [1.0, 0.0, 1.0])],
        [report("a", [0.0] * 5), report("b", [0.0] * 5), report("c", [0.0] * 5)],
        [report("a", [None, None]), report("b", [None, None])],
        [report("a", [1.0]), report("b", [0.0])],
        [report("a", [0.5] * 6), report("b", [0.5] * 6)],
        [report("a", [0.25]), report("b", [0.75])],
    ],
    ids=["one system", "one row", "equal", "all zero", "all unscored", "one example", "graded equals", "one graded"],
)
def test_a_board_of_little_still_draws(reports: list[Report], tmp_path: Path) -> None:
    board = leaderboard(reports)
    assert board.save(tmp_path)["html"].stat().st_size > 1000
    assert all(entry.rank is None or entry.rank.high - entry.rank.low == len(reports) - 1 for entry in board.entries)
    assert str(board)
    assert board.markdown()


def test_a_board_that_makes_no_sense_is_refused() -> None:
    weak, strong = draws(0.4, 0.9)
    with pytest.raises(BadInput, match="empty board"):
        leaderboard([])
    with pytest.raises(BadInput, match="two systems are called 's0'"):
        leaderboard([weak, weak])
    with pytest.raises(BadInput, match="'other'.*s0, s1"):
        leaderboard([weak, strong], baseline="other")
    with pytest.raises(BadInput, match="different examples: 150 and 200, of which they share 150"):
        leaderboard([weak, report("short", [1.0] * 150)])
    with pytest.raises(BadInput, match="two rows with the id 'e1'"):
        leaderboard([report("a", [1.0] * 3, ids=["e1", "e2", "e1"])])
    with pytest.raises(BadInput, match="on the task 'other' and s0 on 'sums'"):
        leaderboard([weak, report("b", weak.scores, task="other")])
    with pytest.raises(BadInput, match="has no rows"):
        leaderboard([report("a", [])])
    for score in (1.7, -0.1, float("nan"), float("inf")):
        with pytest.raises(BadInput, match=f"a scores {score} on the example 'e1': expected a number from 0 to 1"):
            leaderboard([weak, report("a", [1.0, score, 0.5])])
    mixed = replace(weak, rows=(replace(weak.rows[0], status="unscored", score=1.0), *weak.rows[1:]))
    with pytest.raises(BadInput, match="has the score 1.0 on the example 'e0', which is called unscored"):
        leaderboard([mixed])


@pytest.mark.parametrize("scores", [[1.0, 2.0, 0.5], [1.0, float("nan"), 0.5]])
def test_two_reports_are_not_compared_with_scores_outside_the_range(scores: list[float]) -> None:
    with pytest.raises(BadInput, match="a scores (2.0|nan) on the example 'e1'"):
        compare(report("a", scores), report("b", [0.0, 1.0, 0.5]))
    with pytest.raises(BadInput, match="two rows with the id 'x'"):
        compare(report("a", [1.0, 0.0], ids=["x", "x"]), report("b", [1.0, 0.0], ids=["x", "x"]))


def test_of_different_examples_the_shared_ones_can_be_taken() -> None:
    a = report("a", [1.0, 0.0, 1.0, 1.0], ids=["w", "x", "y", "z"])
    b = report("b", [0.0, 1.0, 0.0], ids=["z", "y", "v"])
    board = leaderboard([a, b], examples=[{"id": id, "q": id} for id in "wxyz"], shared=True)
    assert [[(row.index, row.id, row.score) for row in e.report.rows] for e in board.entries] == [
        [(0, "y", 1.0), (1, "z", 1.0)],
        [(0, "y", 1.0), (1, "z", 0.0)],
    ]
    assert board.examples == ({"q": "y"}, {"q": "z"})
    assert board.left_out == 3
    assert "3 examples are left out: not all systems were run on them." in str(board)
    assert leaderboard([a, replace(a, system="again")], shared=True).left_out == 0
    with pytest.raises(BadInput, match="the 2 reports share no example"):
        leaderboard([a, report("c", [1.0], ids=["other"])], shared=True)


def test_examples_are_held_against_the_rows() -> None:
    (one,) = draws(0.5, n=4)
    with pytest.raises(BadInput, match="3 examples for 4 rows"):
        leaderboard([one], examples=[{"q": "x"}] * 3)
    with pytest.raises(BadInput, match="'e1' stands where the rows have 'e0'"):
        leaderboard([one], examples=[{"id": f"e{i + 1}"} for i in range(4)])
    with pytest.raises(BadInput, match="no example has a field 'colour' to slice by; expected one of: q"):
        leaderboard([one], examples=[{"q": "x"}] * 4, slices=["colour"])


def test_slices_are_means_of_their_examples() -> None:
    (one,) = draws(0.5, n=60)
    kinds = ["easy" if i % 3 else "hard" for i in range(60)]
    asked = [{"id": f"e{i}", "q": f"question {i}", "kind": kind} for i, kind in enumerate(kinds)]
    (cut,) = leaderboard([one], examples=asked).slicings  # by kind alone: every question is another
    assert cut.field == "kind"
    assert [(part.value, part.n) for part in cut.slices] == [("easy", 40), ("hard", 20)]
    hard = [score for score, kind in zip(one.scores, kinds, strict=True) if kind == "hard"]
    assert cut.slices[1].scores == (mean_interval(hard),)
    with pytest.raises(BadInput, match="'q' has 60 different values; expected at most 20"):
        leaderboard([one], examples=asked, slices=["q"])


def test_gains_on_slices_are_those_of_a_board_of_the_slice() -> None:
    reports = [report(f"s{i}", np.round(CHANCE.random(60), i).tolist()) for i in range(3)]
    kinds = ["easy" if i % 3 else "hard" for i in range(60)]
    board = leaderboard(reports, examples=[{"kind": kind} for kind in kinds], baseline="s1")
    hard = [
        replace(r, rows=tuple(row for row, kind in zip(r.rows, kinds, strict=True) if kind == "hard")) for r in reports
    ]
    (part,) = (part for part in board.slicings[0].slices if part.value == "hard")
    names = [entry.report.system for entry in board.entries]
    for i, name in enumerate(names):
        for j, other in enumerate(names):
            found = part.gain(i, j)
            assert (found is None) == (i == j)
            if found is not None:
                expected = compare(hard[int(name[1])], hard[int(other[1])]).difference
                assert (found.value, found.low, found.high) == pytest.approx(
                    (expected.value, expected.low, expected.high), abs=1e-12
                )
    dumped = board.dump()["slices"][0]["values"][1]
    assert dumped["value"] == "hard"
    gains = [part.gain(i, names.index("s1")) for i in range(3)]
    assert dumped["gains"] == [gain and gain.dump() for gain in gains]


def test_very_many_rows_are_counted_every_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are drawn or flipped one by one, with limits that are lower than the real ones."""
    for module, limit in (("resample", "GROUPS"), ("hypothesis", "MOST_SIGNS"), ("paired", "MOST_SIGNS")):
        monkeypatch.setattr(sys.modules[f"dstill.eval.statistics.{module}"], limit, 500)
    n = 3_001
    luck = CHANCE.random(n)
    right = [
        report(f"s{i}", (luck < rate).astype(float).tolist(), outputs=[{}] * n) for i, rate in enumerate((0.5, 0.53))
    ]
    graded = [
        replace(report(f"g{i}", (luck**k).tolist(), outputs=[{}] * n), task="g") for i, k in enumerate((1.0, 1.2))
    ]
    graded.append(replace(report("holes", [None] * 400 + luck[400:].tolist(), outputs=[{}] * n), task="g"))
    found = boards([*right, *graded], slices=[])
    for board in found.boards:
        assert len(board.entries[0].report.rows) == n
        for i, one in enumerate(board.entries):
            for j, other in enumerate(board.entries[:i]):
                gain = compare(one.report, other.report)
                assert float(board.standing.alone.value[i, j]) == pytest.approx(gain.difference.value, abs=1e-12)
                assert float(board.standing.alone.p[i, j]) == pytest.approx(gain.p, abs=1e-12)
    exact, words = found.boards
    assert [str(entry.rank) for entry in exact.entries] == ["1", "2"]
    assert {entry.report.system: str(entry.rank) for entry in words.entries} == {"g0": "1–2", "holes": "1–2", "g1": "3"}
    assert "3,001 examples" in found.markdown()
    assert found.save(tmp_path)["html"].is_file()


def test_csv_holds_the_figures_and_no_formulas() -> None:
    board = leaderboard(
        [report("=cmd()", [1.0, 0.0, 1.0], usd=2.5), report('b,\n"', [0.0, 0.0, 1.0])], baseline='b,\n"'
    )
    lines = list(csv.DictReader(io.StringIO(board.csv())))
    assert [line["system"] for line in lines] == ["'=cmd()", 'b,\n"']
    assert float(lines[0]["score"]) == pytest.approx(2 / 3)
    assert float(lines[0]["gain"]) == pytest.approx(1 / 3)
    assert lines[1]["gain"] == ""
    assert float(lines[0]["usd_per_1000"]) == 2.5


def test_markdown_and_terminal_are_not_broken_by_names() -> None:
    name = "a|b\n<b>\x1b[31m"
    board = leaderboard([report(name, [1.0, 0.0])])
    row = board.markdown().splitlines()[4]
    assert "a\\|b &lt;b&gt;?[31m" in row
    assert "\x1b" not in str(board) + board.markdown()


def test_columns_in_which_nothing_was_recorded_are_left_out() -> None:
    paid = leaderboard([report("a", [1.0], usd=1.0)])
    assert {"$/1000", "p50 ms", "tokens in"} <= set(paid.lines[0])
    assert not {"weights", "failed", "unscored"} & set(paid.lines[0])
    local = leaderboard([report("a", [0.0], parameters=7_620_000_000, failed=[0])])
    assert local.lines[0]["weights"] == "7.62B"
    assert local.lines[0]["failed"] == "1"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0615, "6.2"), (0.0605, "6.0"), (-0.0004, "0.0"), (-0.00051, "-0.1"), (1.0, "100.0"), (0.12345, "12.3")],
)
def test_points_are_rounded_half_to_even(value: float, text: str) -> None:
    assert tenths(value) == text


def test_one_system_is_compared_with_nobody() -> None:
    board = leaderboard([report("alone", [1.0])])
    assert "1 example," in board.title
    assert not any("Gain over" in note for note in board.notes)


def test_a_board_is_a_value() -> None:
    board = leaderboard(draws(0.5))
    assert isinstance(board, Board)
    with pytest.raises(AttributeError):
        board.task = "other"  # type: ignore[misc]
