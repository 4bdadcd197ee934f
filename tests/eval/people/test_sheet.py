"""The sheet that people label: drawn at random, blind, and fit for a spreadsheet."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dstill.eval import Report, read_labels, write_sheet
from dstill.runtime import BadInput
from outcomes import report


def sheet(made: Report, path: Path, n: int = 60, seed: int = 0) -> list[dict[str, str]]:
    write_sheet(made, path, n, seed)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def answers(outputs: list[dict[str, Any]], **more: Any) -> Report:
    return report("bot", [1.0] * len(outputs), outputs=outputs, **more)


def test_what_was_asked_and_answered_stands_there_and_nothing_of_the_judge(tmp_path: Path) -> None:
    made = report("secret-system", [0.25, 0.75, 1.0], outputs=[{"reply": f"r{n}"} for n in range(3)])
    made = replace(made, examples=tuple({"id": f"e{n}", "question": f"q{n}", "gold": n} for n in range(3)))
    rows = sheet(made, tmp_path / "people.csv")
    assert list(rows[0]) == ["id", "example.question", "example.gold", "output.reply", "label", "answer"]
    assert sorted((r["id"], r["example.question"], r["example.gold"], r["output.reply"], r["label"]) for r in rows) == [
        (f"e{n}", f"q{n}", str(n), f"r{n}", "") for n in range(3)
    ]
    text = (tmp_path / "people.csv").read_text("utf-8-sig")
    assert not any(word in text for word in ("secret-system", "0.25", "0.75", "exact"))


def test_answers_are_drawn_at_random_and_the_first_ones_are_a_part_of_more(tmp_path: Path) -> None:
    made = report("bot", [1.0] * 40)
    path = tmp_path / "people.csv"
    counts: Counter[str] = Counter()
    for seed in range(400):
        counts.update(row["id"] for row in sheet(made, path, 10, seed))
    assert len(counts) == 40
    assert all(60 < count < 145 for count in counts.values())  # 100 expected, with a deviation of 9
    few, many = ([row["id"] for row in sheet(made, path, n, 3)] for n in (10, 25))
    assert many[:10] == few
    assert few != sorted(few)
    assert len(sheet(made, path, 100)) == 40


def test_rows_that_do_not_count_are_left_out_and_failures_count_as_0(tmp_path: Path) -> None:
    rows = sheet(report("bot", [1.0, 0.0, None, 1.0], failed=(1,)), tmp_path / "people.csv")
    assert {row["id"]: row["label"] for row in rows} == {"e0": "", "e1": "0", "e3": ""}


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-x", "'-x"),
        ("\tx", "'\tx"),
        ("-4.5", "-4.5"),
        ("+49", "+49"),
        (-4.5, "-4.5"),
        (None, ""),
        (["a", {"b": 1}], '["a",{"b":1}]'),
        ('two\nlines, and "quotes"', 'two\nlines, and "quotes"'),
        ("nul\0", "nul\ufffd"),
        ("grüß", "grüß"),
    ],
)
def test_a_cell_of_a_spreadsheet(tmp_path: Path, value: Any, cell: str) -> None:
    path = tmp_path / "people.csv"
    assert {row["output.a"] for row in sheet(answers([{"a": value}, {"a": value}]), path)} == {cell}
    assert read_labels(path).empty == 2


def test_a_very_long_answer_is_cut_for_the_sheet_alone(tmp_path: Path) -> None:
    made = answers([{"a": "x" * 1_000_000}, {"a": "y"}])
    rows = sheet(made, tmp_path / "people.csv")
    assert sorted(len(row["output.a"]) for row in rows)[1] < 30_100
    assert read_labels(tmp_path / "people.csv").empty == 2


def test_labels_that_are_there_are_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    write_sheet(report("bot", [1.0] * 9), path)
    assert write_sheet(report("bot", [1.0] * 9), path, 4) == 4
    path.write_text("id,label\ne1,1\ne2,\n")
    with pytest.raises(BadInput, match=r"people\.csv holds labels already, 1 of them"):
        write_sheet(report("bot", [1.0] * 9), path)


@pytest.mark.parametrize("n", [1, 0, -3, True, 2.5])
def test_a_number_of_rows_that_is_none(tmp_path: Path, n: Any) -> None:
    with pytest.raises(BadInput, match="n=.*: expected a whole number of rows to be labelled, 2 or more"):
        write_sheet(report("bot", [1.0] * 9), tmp_path / "people.csv", n)


def test_too_little_to_draw_from(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="bot has 1 scored rows"):
        write_sheet(report("bot", [1.0, None]), tmp_path / "people.csv")
