"""Stopping when decided: seldom wrong, no call too many, the same after an interruption, never taken for whole."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import pytest
from dstill.eval import Report, Samples, Until, evaluate_on, evaluate_until, leaderboard
from dstill.eval.statistics import anytime_interval, anytime_mean, decisions
from dstill.eval.until import BLOCK, looks
from dstill.programs import Score, Task
from dstill.runtime import LM, BadInput, Budget, BudgetExhausted, Journal, RunDir, Session
from dstill.runtime.derive import derive

SIZE = 600


def task(**more: Any) -> Task:
    return fakes.task(train=1, dev=1, test=SIZE, **more)


def skilled(share: float, name: str = "painter") -> Any:
    return fakes.painter(lambda demos, instructions: share, name=name)


def measured(share: float, name: str = "base") -> Report:
    return evaluate_on(task(), task().program, lm=skilled(share, name), name=name)


@pytest.fixture(scope="module")
def base() -> Report:
    return measured(0.5)


def timeless(report: Report) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.dump().items() if k != "seconds"} for row in report.rows]


def test_a_look_decides_what_the_intervals_say() -> None:
    chance = np.random.default_rng(0)
    seen = set()
    for gain in (-0.3, -0.05, 0.0, 0.02, 0.3):
        apart = chance.choice([1.0, 0.0, -1.0], 700, p=[0.15 + gain / 2, 0.7, 0.15 - gain / 2])
        path = decisions(apart, margin=0.1)
        for n in (5, 32, 150, 700):
            wide, side = anytime_interval(apart[:n], 0.95), anytime_interval(apart[:n], 0.9)
            said = 2 if wide.low > 0 else 1 if side.low > -0.1 else -1 if wide.high < 0 else 0
            assert path[n - 1] == said
            seen.add(said)
    assert seen == {2, 1, 0, -1}


@pytest.mark.parametrize(
    ("gain", "wrong"),
    [(-0.05, (2, 1)), (-0.08, (2, 1)), (-0.02, (2,)), (0.0, (2, -1)), (0.02, (-1,)), (0.08, (-1,))],
)
@pytest.mark.parametrize("disagree", [0.1, 0.4])
def test_wrong_decisions_are_rare_in_all(gain: float, wrong: tuple[int, ...], disagree: float) -> None:
    """2,000 evaluations of 1,000 examples with a margin of 5 points, each stopped at the first look that decides."""
    chance = np.random.default_rng(round(1000 * (gain + disagree)) + 500)
    at = np.array(list(looks(1000))) - 1
    share = [disagree / 2 + gain / 2, 1 - disagree, disagree / 2 - gain / 2]
    missed = 0
    for _ in range(10):
        apart = chance.choice([1.0, 0.0, -1.0], (200, 1000), p=share)
        path = decisions(apart, margin=0.05)[:, at]
        first = np.where((path != 0).any(axis=1), (path != 0).argmax(axis=1), len(at) - 1)
        missed += int(np.isin(path[np.arange(200), first], wrong).sum())
    assert missed / 2000 <= 0.05


def test_looks_are_blocks_that_grow() -> None:
    assert list(looks(10)) == [10]
    found = list(looks(2000))
    assert found[:3] == [BLOCK, 2 * BLOCK, 3 * BLOCK]
    assert found[-1] == 2000
    assert all(b - a <= max(BLOCK, a // 8) for a, b in pairwise(found))


@pytest.mark.parametrize(("share", "decision"), [(0.9, "better"), (0.2, "worse"), (0.5, "not worse")])
def test_it_asks_for_no_more_than_it_takes(base: Report, share: float, decision: str) -> None:
    engine = skilled(share, f"of {share}")
    report, found = evaluate_until(task(), task().program, Until(base, margin=0.2), lm=LM(engine), name="new")
    assert found.decision == decision
    assert engine.calls == found.met == len(report.rows) < SIZE // 2
    assert found.met in looks(SIZE)
    order = list(range(SIZE))
    derive(0, "until decided").shuffle(order)
    assert [row.index for row in report.rows] == sorted(order[: found.met])
    whole = evaluate_on(task(), task().program, lm=LM(skilled(share, f"of {share}")), name="new")
    kept = {row.id for row in report.rows}
    assert timeless(report) == [row for row in timeless(whole) if row["id"] in kept]
    assert report.examples == tuple(whole.examples[row.index] for row in report.rows)  # type: ignore[index]
    apart = [row.score - base.rows[row.index].score for row in report.rows]  # type: ignore[operator]
    expected = anytime_interval(np.array(apart))
    assert (found.difference.low, found.difference.high) == pytest.approx((expected.low, expected.high), abs=2e-6)
    assert f"new is {decision} than base" in str(found)
    assert f"stopped when decided, after {found.met} of 600 examples" in str(found)


def test_the_same_at_any_concurrency_and_another_order_by_another_seed(base: Report) -> None:
    found = [
        evaluate_until(task(), task().program, Until(base, 0.2), lm=LM(skilled(0.8, "s")), concurrency=c)
        for c in (1, 7, 64)
    ]
    assert timeless(found[0][0]) == timeless(found[1][0]) == timeless(found[2][0])
    assert found[0][1] == found[2][1]
    other, _ = evaluate_until(task(), task().program, Until(base, 0.2, seed=1), lm=LM(skilled(0.8, "s")))
    assert [row.id for row in other.rows] != [row.id for row in found[0][0].rows]
    backwards = replace(base, rows=base.rows[::-1], examples=None)
    again = evaluate_until(task(), task().program, Until(backwards, 0.2), lm=LM(skilled(0.8, "s")))
    assert again[1] == found[0][1]


def test_interrupted_it_goes_on_to_the_same_end(base: Report, tmp_path: Path) -> None:
    until = Until(base)
    whole, _ = evaluate_until(task(), task().program, until, lm=LM(skilled(0.55, "s")))
    assert 100 < len(whole.rows) < SIZE
    engine, journal = skilled(0.55, "s"), tmp_path / "journal.sqlite"
    short = Session(Journal(journal), budget=Budget(calls=70))
    with pytest.raises(BudgetExhausted):
        evaluate_until(task(), task().program, until, lm=LM(engine, short))
    short.journal.close()
    again, _ = evaluate_until(task(), task().program, until, lm=LM(engine, Session(Journal(journal))))
    assert engine.calls == len(whole.rows)
    assert (timeless(again), again.dump()) == (timeless(whole), whole.dump())


def test_what_is_not_decided_meets_all_and_is_a_whole_evaluation(base: Report) -> None:
    chance = np.random.default_rng(0).random(SIZE)
    other = tuple(
        replace(r, score=1.0 - r.score if u < 0.2 else r.score) for r, u in zip(base.rows, chance, strict=True)
    )  # type: ignore[operator]
    unlike = replace(base, rows=other)
    report, found = evaluate_until(task(), task().program, Until(unlike), lm=LM(skilled(0.5, "s")))
    assert (found.decision, found.met, report.planned, len(report.rows)) == ("undecided", SIZE, None, SIZE)
    assert "all 600 examples were met; a gate that looks once would need some" in str(found)
    leaderboard([base, replace(report, system="new")])


def test_where_not_worse_is_not_enough_it_goes_on(base: Report) -> None:
    until = Until(base, margin=0.2)
    _, short = evaluate_until(task(), task().program, until, lm=LM(skilled(0.58, "s")))
    _, long = evaluate_until(task(), task().program, replace(until, better=True), lm=LM(skilled(0.58, "s")))
    assert (short.decision, long.decision) == ("not worse", "better")
    assert short.met < long.met
    _, lost = evaluate_until(task(), task().program, replace(until, better=True), lm=LM(skilled(0.44, "t")))
    assert (lost.decision, lost.difference.high < 0, lost.met < SIZE) == ("not worse", True, True)


def test_what_is_unscored_for_either_does_not_count(base: Report) -> None:
    holed = replace(
        base,
        rows=tuple(replace(r, score=None, status="unscored") if r.index % 3 == 0 else r for r in base.rows),
    )

    def metric(example: Any, prediction: Any) -> Score | float:
        return Score(None, "?") if int(example.id[1:]) % 3 == 0 else float(prediction.colour == example.colour)

    mine = task(metric=metric)
    report, found = evaluate_until(mine, mine.program, Until(holed, 0.2), lm=LM(skilled(0.9, "s")))
    both = sum(row.score is not None and holed.rows[row.index].score is not None for row in report.rows)
    assert found.n == both < found.met
    none = replace(base, rows=tuple(replace(r, score=None, status="unscored") for r in base.rows))
    _, open_ = evaluate_until(task(), task().program, Until(none, 0.2), lm=LM(skilled(0.9, "s")))
    assert (open_.decision, open_.n, open_.met) == ("undecided", 0, SIZE)


def test_several_answers_to_each_example(base: Report) -> None:
    report, found = evaluate_until(
        task(), task().program, Until(base, 0.2), lm=LM(skilled(0.9, "s")), samples=Samples(2, temperature=1.0)
    )
    assert (found.decision, report.samples) == ("better", 2)
    assert len(report.notes) == 3


def test_a_part_never_pretends_to_be_the_whole(base: Report, tmp_path: Path) -> None:
    report, _ = evaluate_until(task(), task().program, Until(base, 0.2), lm=LM(skilled(0.9, "s")), name="new")
    n = len(report.rows)
    assert f"(n={n} of 600" in str(report)
    assert report.dump()["planned"] == 600
    assert report.score == anytime_mean(report.scores)
    with RunDir(tmp_path / "new", kind="eval", config={}) as run:
        report.save(run)
        run.finish()
    assert Report.load(tmp_path / "new") == report
    assert "planned" not in base.dump()
    with pytest.raises(BadInput, match=f"{n} and 600, of which they share {n}; .*--shared"):
        leaderboard([base, report])
    board = leaderboard([base, report], shared=True)
    assert board.left_out == 600 - n
    assert f"after {n} of 600 examples" in str(board)
    assert "one that was fixed beforehand" in leaderboard([report]).markdown()


def test_a_mean_that_holds_at_any_time() -> None:
    chance = np.random.default_rng(1)
    missed = 0
    for _ in range(200):
        scores = (chance.random(400) < 0.8).astype(float)
        found = [anytime_mean(scores[:n]) for n in (32, 64, 128, 256, 400)]
        missed += any(not one.low <= 0.8 <= one.high for one in found)
        assert all(0 <= one.low <= one.value <= one.high <= 1 for one in found)
    assert missed / 200 <= 0.05
    assert anytime_mean([1.0, None, 0.0]).value == 0.5
    assert (anytime_mean([]).low, anytime_mean([]).high) == (0.0, 1.0)


def test_bad_input(base: Report) -> None:
    engine = skilled(0.9, "s")
    with pytest.raises(BadInput, match="600 and 599, of which they share 599; evaluate both on the same split"):
        evaluate_until(task(), task().program, Until(replace(base, rows=base.rows[1:])), lm=LM(engine))
    with pytest.raises(BadInput, match="margin=0: expected a share"):
        Until(base, margin=0)
    with pytest.raises(BadInput, match="margin=2, level=0.95"):
        decisions(np.zeros(3), margin=2)
    with pytest.raises(BadInput, match="concurrency=0"):
        evaluate_until(task(), task().program, Until(base), lm=LM(engine), concurrency=0)
    assert engine.calls == 0
