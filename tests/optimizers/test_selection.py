"""The dev split, divided: kinds of answers in turn, and no row favoured."""

from __future__ import annotations

from collections import Counter

import dspy
from dstill.optimizers.selection import Selection


def rows(labels: list[str], **more: list[object]) -> list[dspy.Example]:
    told = [{"label": label, **{name: more[name][n] for name in more}} for n, label in enumerate(labels)]
    return [dspy.Example(text=f"t{n}", **each).with_inputs("text") for n, each in enumerate(told)]


def test_it_divides_all_rows() -> None:
    found = Selection.of(rows(["a", "b"] * 30), 0.3, seed=1)
    assert len(found.confirm) == 18
    assert sorted((*found.choose, *found.confirm)) == list(range(60))
    assert found == Selection.of(rows(["a", "b"] * 30), 0.3, seed=1) != Selection.of(rows(["a", "b"] * 30), 0.3, seed=2)
    assert Selection.of(rows(["a"]), 0.9, 0) == Selection((0,), ())


def test_the_first_rows_have_each_answer_as_often_as_all_have() -> None:
    labels = ["common"] * 60 + ["rare"] * 20 + ["other"] * 20
    for seed in range(20):
        order = [labels[row] for row in Selection.of(rows(labels), 0.2, seed).choose]
        shares = Counter(order)
        for first in range(4, len(order), 4):
            seen = Counter(order[:first])
            assert all(abs(seen[name] - first * shares[name] / len(order)) < 2 for name in shares)


def test_every_row_may_come_first() -> None:
    """A mean over the first rows is not biased: with 4 answers of 10 rows, each row is in the first eighth as often."""
    labels = list("abcd") * 10
    first = Counter(row for seed in range(2000) for row in Selection.of(rows(labels), 0.0001, seed).choose[:5])
    assert min(first.values()) > 180  # 250 are expected, with a standard deviation of 15
    assert max(first.values()) < 320


def test_the_first_row_is_of_every_answer_as_often_as_all_rows_are() -> None:
    labels = ["a"] * 28 + ["b"] * 12
    first = sum(labels[Selection.of(rows(labels), 0.0001, seed).choose[0]] == "a" for seed in range(1000))
    assert abs(first - 700) < 75  # five standard deviations


def test_answers_that_do_not_come_again_are_left_to_chance() -> None:
    """A number of its own for every row says nothing; the label beside it still does."""
    labels = ["a"] * 20 + ["b"] * 20
    order = Selection.of(rows(labels, number=list(range(40))), 0.1, 0).choose
    assert abs(sum(labels[row] == "a" for row in order[:8]) - 4) <= 1
    alone = Selection.of(rows([f"l{n}" for n in range(40)]), 0.1, 0)
    assert len(alone.choose) == 36
