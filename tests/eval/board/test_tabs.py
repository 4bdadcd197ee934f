"""Several boards at once: tabs, mean ranks, and metrics beside one another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from dstill.eval import Report, boards
from dstill.eval.board.text import tenths
from dstill.eval.statistics.slices import combined
from dstill.runtime import BadInput
from outcomes import report

CHANCE = np.random.default_rng(11)


def test_boards_of_one_task_tell_each_others_metrics() -> None:
    reports = [report(f"s{i}", [1.0, 0.0, 1.0, float(i > 0)]) for i in range(2)]
    graded = [replace(report(f"s{i}", [0.5, 0.25, 1.0, 0.0]), metric="f1") for i in range(1, 3)]
    found = boards([*reports, *graded, report("s0", [1.0], task="other")])
    exact, f1, other = found.boards
    assert [(one.metric, one.scores) for one in exact.beside] == [("f1", (graded[0].score, None))]
    assert exact.lines[0]["f1"] == tenths(graded[0].score.value) + str(graded[0].score)[4:]  # type: ignore[union-attr]
    assert [line["f1"] for line in exact.lines][1] == "–"
    assert [one.metric for one in f1.beside] == ["exact"]
    assert other.beside == ()
    assert "| f1 |" in found.markdown()


def several() -> list[Report]:
    """Three systems on two tasks, and one on the second only."""
    found = []
    for task, rates in (("sums", (0.9, 0.6, 0.3)), ("words", (0.8, 0.85, 0.2))):
        for i, rate in enumerate(rates):
            found.append(report(f"s{i}", (CHANCE.random(150) < rate).astype(float).tolist(), task=task))
    return [*found, report("late", (CHANCE.random(150) < 0.5).astype(float).tolist(), task="words")]


def test_boards_hold_one_a_task_and_mean_ranks_over_all() -> None:
    found = boards(several(), title="Both", baseline="s1")
    assert [board.task for board in found.boards] == ["sums", "words"]
    assert {place.system: place.rank is None for place in found.overall.places}["late"] is True
    means = {board.task: {e.report.system: e.report.score for e in board.entries} for board in found.boards}
    for place in found.overall.places[:3]:
        own = [scores[place.system] for scores in means.values()]
        assert place.rank is not None and place.average is not None
        assert place.average.value == pytest.approx(np.mean([score.value for score in own if score]))
        ranks = [
            1 + sum(_value(means[task][f"s{i}"]) > _value(means[task][place.system]) for i in range(3))
            for task in means
        ]
        assert place.rank.value == pytest.approx(np.mean(ranks))
        assert place.rank.low <= place.rank.value <= place.rank.high
    assert found.overall.places[2].system == "s2"
    assert found.overall.places[2].rank is not None and found.overall.places[2].rank.low == 3.0
    text = str(found)
    assert text.startswith("Both\n") and "late" in text
    assert found.markdown().count("\n## ") == 2
    assert len(found.dump()["boards"]) == 2
    assert len(found.csv().splitlines()) == 8


def _value(score: Any) -> float:
    return float(score.value)


def test_mean_ranks_cover_the_truth() -> None:
    """Two systems a point apart on one task and far apart on another: the interval holds the true mean rank."""
    hits = 0
    for seed in range(60):
        chance = np.random.default_rng(seed)
        reports = [
            report(f"s{i}", (chance.random(80) < rate).astype(float).tolist(), task=task)
            for task, rates in (("x", (0.7, 0.6)), ("y", (0.9, 0.5)))
            for i, rate in enumerate(rates)
        ]
        places = {place.system: place.rank for place in boards(reports).overall.places}
        rank = places["s0"]
        assert rank is not None
        hits += rank.low <= 1.0 <= rank.high
    assert hits >= 54  # 95 % of 60 is 57


def test_an_average_is_put_together_from_the_scores_on_the_tasks() -> None:
    """Also where all are right, in clusters, and where some rows have no score."""
    graded = report("b", CHANCE.random(20).tolist(), task="two")
    holed = report("c", [1.0, None, *[0.0, 1.0] * 9], task="two")
    told = [replace(row, cluster=f"document {i // 5}") for i, row in enumerate(report("c", [1.0, 0.0] * 10).rows)]
    found = boards([
        report("a", [1.0] * 20), report("a", [1.0] * 20, task="two"),
        report("b", [1.0] * 20), graded,
        report("c", [1.0] * 20), holed,
    ])  # fmt: skip
    for place in found.overall.places:
        own = [e.report.score for board in found.boards for e in board.entries if e.report.system == place.system]
        assert place.average == combined(own, [0.5, 0.5])  # type: ignore[arg-type]
    best = found.overall.places[0].average
    assert best is not None and (best.low, best.value, best.high) == (pytest.approx(0.886, abs=1e-3), 1.0, 1.0)
    apart = boards([replace(report("c", [1.0] * 20), rows=tuple(told)), report("c", [1.0, 0.0] * 10, task="two")])
    alone = boards([report("c", [1.0, 0.0] * 10), report("c", [1.0, 0.0] * 10, task="two")])
    wide, narrow = (one.overall.places[0].average for one in (apart, alone))
    assert wide is not None and narrow is not None and wide != narrow


def test_metrics_of_the_same_examples_do_not_narrow_an_average() -> None:
    scores = [1.0, 0.0, 1.0, 1.0] * 5
    one, other = report("a", scores), replace(report("a", scores), metric="f1")
    (twice,) = boards([one, other]).overall.places
    assert twice.average == one.score
    (place,) = boards([one, other, report("a", scores, task="two")]).overall.places
    assert place.average == combined([one.score, one.score], [2 / 3, 1 / 3])  # type: ignore[list-item]


def test_all_that_tie_are_named() -> None:
    even = [report(name, [1.0, 0.0] * 5, task=task) for task in ("x", "y") for name in ("a", "b", "c")]
    worse = [report("d", [0.0] * 10, task=task) for task in ("x", "y")]
    said = boards([*even, *worse]).overall.headline
    assert said == "a, b and c have the best mean rank, 2.0, among 4 systems on all 2 tasks."
    assert boards([*even[::3], *worse]).overall.headline.startswith("a has the best mean rank, 1.0 [1.0, 1.0], among 2")


def test_boards_that_make_no_sense_are_refused() -> None:
    with pytest.raises(BadInput, match="empty board"):
        boards([])
    with pytest.raises(BadInput, match="'x' is on no board"):
        boards(several(), baseline="x")
    with pytest.raises(BadInput, match="the task .other., which no report is of; expected some of: sums, words"):
        boards(several(), examples={"other": []})


def test_tabs_are_told_apart() -> None:
    one = report("s0", [0.0, 1.0] * 5)
    other = Report("s0", "sums", "dev", "exact", one.rows)
    third = Report("s0", "sums", "dev", "f1", one.rows)
    assert boards([one, other]).labels == ("sums · test", "sums · dev")
    assert boards([one, other, third]).labels == ("sums · test · exact", "sums · dev · exact", "sums · dev · f1")
