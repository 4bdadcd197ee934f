"""Several answers to each example: distinct draws, one row each, and what they say of reliability."""

from __future__ import annotations

import random
import re
import time
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import dspy
import fakes
import numpy as np
import pytest
from dspy.lm15 import ServerError
from dstill.eval import Report, Row, Samples, evaluate, evaluate_on
from dstill.eval.rows import Failure
from dstill.eval.samples import merged, tries
from dstill.programs import Score
from dstill.runtime import LM, BadInput, Budget, BudgetExhausted, Journal, Retry, RunDir, ScriptedEngine, Session
from dstill.runtime.fields import input_fields, render_fields


def dice(share: float = 0.6, **options: Any) -> ScriptedEngine:
    """Right on a share of its draws, by the seed that it is handed; without a temperature always the same."""

    def script(request: Any) -> str:
        text = input_fields(request)["text"]
        right = fakes.truth(text)
        draw = random.Random(f"{text} {request.config.seed}").random()
        return render_fields({"colour": right if draw < share else "red" if right != "red" else "blue"})

    return ScriptedEngine(script, name="dice", repeatable=True, **options)


def lm(engine: ScriptedEngine | None = None, session: Session | None = None, temperature: float | None = 1.0) -> LM:
    return LM(engine or dice(), session, temperature=temperature)


def timeless(report: Report) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.dump().items() if k != "seconds"} for row in report.rows]


def test_a_row_is_the_mean_of_distinct_answers() -> None:
    task = fakes.task()
    engine = dice()
    report = evaluate_on(task, task.program, lm=lm(engine), samples=8)
    assert engine.calls == 40 * 8
    assert len(report.rows) == 40
    for row in report.rows:
        assert row.score == pytest.approx(np.mean([s for s in row.samples if s is not None]))
        assert len(row.samples) == 8 == len(row.outputs["colour"])
        assert row.calls == 1  # of one answer
    assert 0.5 < np.mean([row.samples for row in report.rows]) < 0.7
    assert sum(len(set(row.samples)) > 1 for row in report.rows) > 30
    assert report.samples == 8
    assert any("8 answers to each example: a row's score is their mean" in note for note in report.notes)


def test_more_samples_pay_for_the_new_ones_only() -> None:
    task, session, engine = fakes.task(), Session(), dice()
    one = evaluate_on(task, task.program, lm=lm(engine, session))
    three = evaluate_on(task, task.program, lm=lm(engine, session), samples=3)
    assert engine.calls == 120
    five = evaluate_on(task, task.program, lm=lm(engine, session), samples=5)
    assert engine.calls == 200
    assert [row.samples[0] for row in three.rows] == [row.score for row in one.rows]
    assert [row.samples[:3] for row in five.rows] == [row.samples for row in three.rows]


def test_the_same_at_any_concurrency(tmp_path: Path) -> None:
    task = fakes.task(test=12)
    found = []
    for concurrency in (1, 5, 64):
        engine = dice()
        plain = engine.complete

        def complete(request: Any, plain: Any = plain) -> Any:
            time.sleep(0.001 * (hash(str(request)) % 7))
            return plain(request)

        engine.complete = complete  # type: ignore[method-assign]
        part = tmp_path / f"{concurrency}.jsonl"
        report = evaluate(
            task.program, task.test, task.metric, lm(engine), samples=4, concurrency=concurrency, rows=part
        )
        assert part.read_text().count("\n") == 12
        found.append((timeless(report), report.dump()))
    assert found[0] == found[1] == found[2]


def test_stopped_by_its_budget_it_goes_on_where_it_was(tmp_path: Path) -> None:
    task = fakes.task()
    whole = evaluate_on(task, task.program, lm=lm(), samples=4)
    engine, journal = dice(), tmp_path / "journal.sqlite"
    small = Session(Journal(journal), run="a", budget=Budget(calls=50))
    with pytest.raises(BudgetExhausted):
        evaluate_on(task, task.program, lm=lm(engine, small), samples=4)
    small.journal.close()
    assert engine.calls == 50
    again = evaluate_on(task, task.program, lm=lm(engine, Session(Journal(journal))), samples=4)
    assert engine.calls == 160
    assert timeless(again) == timeless(whole)
    assert again.dump() == whole.dump()


def test_a_temperature_for_the_samples_only() -> None:
    task, engine = fakes.task(), dice()
    report = evaluate_on(task, task.program, lm=lm(engine, temperature=None), samples=Samples(4, temperature=0.7))
    assert engine.calls == 160
    assert "4 answers to each example at temperature 0.7" in report.notes[0]
    assert task.program.config == {}
    once = evaluate_on(task, task.program, lm=lm(engine, temperature=None), samples=Samples(temperature=0.7))
    assert once.notes == ("answered at temperature 0.7",)
    assert once.rows[0].samples == ()


@pytest.mark.parametrize(
    ("engine", "temperature", "samples"),
    [
        (dice(), None, 2),
        (dice(), 0.0, 2),
        (ScriptedEngine(lambda r: render_fields({"colour": "red"})), 0.0, 2),  # a hosted model
        (dice(), 1.0, Samples(2, temperature=0)),
    ],
)
def test_samples_that_would_all_be_the_same_are_refused(engine: Any, temperature: Any, samples: Any) -> None:
    task = fakes.task()
    with pytest.raises(BadInput, match=r"samples=2: Predict answers at temperature 0.*temperature=0\.7"):
        evaluate_on(task, task.program, lm=lm(engine, temperature=temperature), samples=samples)
    assert engine.calls == 0


def test_a_provider_that_is_told_no_temperature_draws() -> None:
    task = fakes.task()
    hosted = ScriptedEngine(lambda r: render_fields({"colour": "red"}))
    evaluate_on(task, task.program, lm=lm(hosted, temperature=None), samples=2)
    assert hosted.calls == 80


def test_a_program_that_asks_for_rollouts_itself_gets_others_in_each_sample() -> None:
    task, engine = fakes.task(test=10), dice(share=0.3)
    best = dspy.BestOfN(task.program, N=3, reward_fn=lambda inputs, prediction: 0.0, threshold=1.0)
    report = evaluate_on(task, best, lm=lm(engine, temperature=None), samples=4)
    assert engine.calls == 10 * 3 * 4
    assert report.rows[0].calls == 3


@pytest.mark.parametrize("samples", [0, -1, 2.5, True, "4", 10_001])
def test_a_number_of_samples_that_is_none(samples: Any) -> None:
    task = fakes.task()
    with pytest.raises(BadInput, match=f"samples={samples!r}: expected a whole number"):
        evaluate_on(task, task.program, lm=lm(), samples=samples)
    with pytest.raises(BadInput, match="temperature='hot'"):
        Samples(2, "hot")  # type: ignore[arg-type]


def test_answers_without_a_score_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    from dstill.runtime.retry import Retry

    monkeypatch.setattr("dstill.runtime.door.Retry", lambda: Retry(attempts=1, first=0.001))
    asked: dict[str, int] = {}

    def script(request: Any) -> Any:
        text = input_fields(request)["text"]
        asked[text] = asked.get(text, 0) + 1
        if text.endswith("number 0"):
            return ServerError("down") if asked[text] != 2 else render_fields({"colour": fakes.truth(text)})
        if text.endswith("number 1"):
            return ServerError("down")
        if text.endswith("number 2"):
            return "no fields at all"
        if text.endswith("number 3") and asked[text] == 1:
            return "no fields at all"
        return render_fields({"colour": fakes.truth(text)})

    task = fakes.task(train=6)
    report = evaluate(
        task.program, task.train, lambda e, p: Score(None, "unclear") if e.id == "r4" else 1.0,
        LM(ScriptedEngine(script)), samples=2, concurrency=1,
    )  # fmt: skip
    rows = [
        # which of the two is asked for first is left to the threads
        (row.status, row.score, sorted(row.samples or (), key=str), row.failure.kind if row.failure else None)
        for row in report.rows
    ]
    assert rows == [
        ("scored", 1.0, [1.0, None], None),
        ("unscored", None, [None, None], "lm"),
        ("failed", 0.0, [0.0, 0.0], "parse"),
        ("scored", 0.5, [0.0, 1.0], None),
        ("unscored", None, [None, None], "abstained"),
        ("scored", 1.0, [1.0, 1.0], None),
    ]
    assert "1 answers have no score and do not count, where others to the same example have one" in report.notes
    report.check()
    found = report.reliability(2)
    assert (found.tasks, found.too_few, found.unscored) == (3, 3, 5)
    assert found.all_of_k.value == pytest.approx(1 / 3)
    assert found.any_of_k.value == pytest.approx(2 / 3)


def rows(*samples: tuple[float | None, ...]) -> tuple[Row, ...]:
    def one(index: int, score: float | None) -> Row:
        status: Any = "unscored" if score is None else "scored"
        return Row(index, f"e{index}", status, score, "", {"a": score}, None, 1, 10, 2, 0.5, 0.25)

    return tuple(merged([one(index, score) for score in scores]) for index, scores in enumerate(samples))


def test_reliability_is_what_all_draws_of_k_answers_give() -> None:
    chance = np.random.default_rng(0)
    table = (chance.random((30, 6)) < chance.random((30, 1))).astype(float)
    report = Report("s", "t", "test", "exact", rows(*map(tuple, table.tolist())))
    for k in range(1, 7):
        draws = [[[row[i] for i in drawn] for drawn in combinations(range(6), k)] for row in table]
        found = report.reliability(k)
        assert found.any_of_k.value == pytest.approx(np.mean([np.mean([max(d) for d in row]) for row in draws]))
        assert found.all_of_k.value == pytest.approx(np.mean([np.mean([min(d) for d in row]) for row in draws]))
    assert [one.k for one in report.reliabilities] == [1, 2, 4, 6]
    assert report.score is not None
    assert report.reliabilities[0].any_of_k.value == pytest.approx(report.score.value)
    body = report.dump()
    assert body["samples"] == 6
    assert [one["k"] for one in body["reliability"]] == [1, 2, 4, 6]
    assert body["reliability"][1]["pass_at_k"] == report.reliability(2).any_of_k.dump()
    assert "k=2: one of 2 is right (pass@2)" in str(report.reliability(2))
    with pytest.raises(BadInput, match="k=7"):
        report.reliability(7)


def test_graded_scores_need_a_bar() -> None:
    report = Report("s", "t", "test", "f1", rows((0.2, 0.9, None), (0.6, 0.7, 0.8)))
    with pytest.raises(BadInput, match=r"scores of s by f1 are graded.*passing=1"):
        report.reliability(2)
    assert report.reliabilities == ()
    assert report.reliability(2, passing=0.6).all_of_k.value == 0.5
    assert report.dump()["reliability"] == []


def test_one_answer_each_is_as_it_was(tmp_path: Path) -> None:
    task = fakes.task()
    report = evaluate_on(task, task.program, lm=fakes.painter())
    assert "samples" not in report.rows[0].dump()
    assert not {"samples", "reliability"} & report.dump().keys()
    assert report.reliabilities == ()
    assert report.score is not None
    assert report.reliability(1).any_of_k.value == report.score.value
    with pytest.raises(BadInput, match="at most 1"):
        report.reliability(2)


def test_answers_are_saved_loaded_and_checked(tmp_path: Path) -> None:
    task = fakes.task()
    with RunDir(tmp_path / "r", kind="eval", config={}) as run:
        report = evaluate_on(task, task.program, lm=lm(), samples=3, run=run)
        run.finish()
    loaded = Report.load(tmp_path / "r")
    assert loaded == report
    assert loaded.dump() == report.dump()
    wrong = replace(report.rows[0], score=0.123, status="scored")
    with pytest.raises(BadInput, match=r"0\.123.*expected their mean"):
        replace(report, rows=(wrong, *report.rows[1:])).check()


def test_merging_keeps_what_one_answer_took() -> None:
    (row,) = rows((1.0, 0.0, None))
    assert (row.score, row.samples, row.status) == (0.5, (1.0, 0.0, None), "scored")
    assert (row.calls, row.tokens_in, row.tokens_out, row.usd, row.seconds) == (1, 10, 2, 0.5, 0.25)
    assert row.outputs == {"a": [1.0, 0.0, None]}
    failed = replace(row, score=0.0, status="failed", failure=Failure("parse", "E", "m"), samples=())
    assert merged([failed, failed]).failure == failed.failure
    assert np.array_equal(tries(rows((1.0, 0.0, None), (1.0,))), [[1, 0, np.nan], [1, np.nan, np.nan]], equal_nan=True)


def test_answers_that_failed_are_told_by_kind_where_others_to_the_same_example_did_not() -> None:
    def script(request: Any) -> Any:
        text, seed = input_fields(request)["text"], request.config.seed
        draw = random.Random(f"{text} {seed}").random()
        return ServerError("busy") if draw < 0.1 else "???" if draw < 0.3 else render_fields({"colour": "red"})

    model = lm(ScriptedEngine(script, name="moody", repeatable=True))
    model.door._retry = Retry(attempts=1)
    task = fakes.task()
    report = evaluate_on(task, task.program, lm=model, samples=8)
    (note,) = (note for note in report.notes if note.startswith("of 320 answers "))
    failed, unscored = map(int, re.findall(r"(\d+) (?:failed|unscored)", note))
    assert note.endswith(f"({failed} parse, {unscored} lm)")
    assert 0 < unscored < failed
    assert sum(value is None for row in report.rows for value in row.outputs.get("colour", ())) == failed + unscored
    assert not any(" answers " in note and "failed" in note for note in evaluate_on(task, task.program, lm=lm()).notes)
    assert report.notes == evaluate_on(task, task.program, lm=model, samples=8).notes
