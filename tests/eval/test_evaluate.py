"""Evaluation: the same at any concurrency, a row per example, failures kept apart from wrong answers."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
from dspy.lm15 import ContextLengthError, RateLimitError, ServerError
from dstill.eval import Report, compare, evaluate, evaluate_on
from dstill.programs import Score
from dstill.runtime import LM, BadInput, Budget, BudgetExhausted, Damaged, RunDir, ScriptedEngine, Session
from dstill.runtime.errors import BadMetric
from dstill.runtime.fields import render_fields
from dstill.runtime.retry import Retry


@pytest.fixture(autouse=True)
def _fast_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dstill.runtime.door.Retry", lambda: Retry(attempts=2, first=0.001))


def rows_without_times(report: Report) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.dump().items() if k != "seconds"} for row in report.rows]


def test_the_report_is_the_same_at_any_concurrency() -> None:
    task = fakes.task()
    reports = []
    for concurrency in (1, 3, 64):
        jitter = fakes.painter()
        plain = jitter.complete

        def complete(request: Any, plain: Any = plain) -> Any:
            time.sleep(0.001 * (hash(str(request)) % 7))
            return plain(request)

        jitter.complete = complete  # type: ignore[method-assign]
        reports.append(evaluate_on(task, task.program, lm=LM(jitter), concurrency=concurrency))
    assert rows_without_times(reports[0]) == rows_without_times(reports[1]) == rows_without_times(reports[2])
    assert [row.index for row in reports[2].rows] == list(range(40))
    assert reports[0].dump() == reports[2].dump()


@pytest.mark.parametrize("wrapper", [dspy.BestOfN, dspy.Refine])
def test_modules_that_write_to_the_trace_are_evaluated(wrapper: Any) -> None:
    task = fakes.task()
    program = wrapper(task.program, N=2, reward_fn=lambda inputs, prediction: 1.0, threshold=0.5)
    report = evaluate_on(task, program, lm=LM(fakes.painter(lambda d, i: 1.0)))
    assert report.failed == 0
    assert report.score is not None and report.score.value == 1.0


def test_calls_in_flight_are_bounded_by_concurrency() -> None:
    now, most, changed = [0], [0], threading.Condition()

    class Counting(ScriptedEngine):
        def complete(self, request: Any) -> Any:
            with changed:
                now[0] += 1
                most[0] = max(most[0], now[0])
                changed.notify_all()
                changed.wait_for(lambda: most[0] >= 6, timeout=20)
            time.sleep(0.005)
            with changed:
                now[0] -= 1
            return super().complete(request)

    task = fakes.task()
    evaluate_on(task, task.program, lm=LM(Counting(lambda r: render_fields({"colour": "red"}))), concurrency=6)
    assert most[0] == 6


def test_a_row_is_written_for_every_example_as_it_completes(tmp_path: Path) -> None:
    task = fakes.task()
    seen: list[int] = []
    path = tmp_path / "rows.jsonl"

    def metric(example: Any, prediction: Any) -> float:
        seen.append(path.read_bytes().count(b"\n"))
        return 1.0

    report = evaluate(task.program, task.test, metric, LM(fakes.painter()), rows=path, concurrency=1)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(line["index"] for line in lines) == list(range(40))
    assert seen[-1] > 30
    assert lines[0]["tokens_in"] > 0
    assert report.score is not None
    assert report.score.value == 1


def test_failures_are_typed_and_kept_apart_from_wrong_answers() -> None:
    def script(request: Any) -> Any:
        n = int(request.messages[-1].text.split("number ")[1].split()[0])
        return {
            0: "no fields at all",
            1: ContextLengthError("too long"),
            2: RateLimitError("slow down"),
            3: render_fields({"colour": "pink"}),
        }.get(n, render_fields({"colour": fakes.COLOURS[n * 7 % 4]}))

    task = fakes.task(train=10, dev=10, test=10)
    engine = ScriptedEngine(script)
    report = evaluate(task.program, task.train, task.metric, LM(engine))
    status = [(row.status, row.score, row.failure.kind if row.failure else None) for row in report.rows]
    assert status[:5] == [
        ("failed", 0.0, "parse"),
        ("failed", 0.0, "context"),
        ("unscored", None, "lm"),
        ("failed", 0.0, "parse"),
        ("scored", 1.0, None),
    ]
    assert report.score is not None
    assert report.score.value == pytest.approx(6 / 9)
    assert report.failures == {"context": 1, "lm": 1, "parse": 2}
    assert "3 failed, 1 unscored" in str(report)
    assert report.rows[2].failure is not None
    assert "slow down" in report.rows[2].failure.message


def test_failed_calls_are_retried_alone() -> None:
    failing = {3, 7}
    asked: list[int] = []

    def script(request: Any) -> Any:
        n = int(request.messages[-1].text.split("number ")[1].split()[0])
        asked.append(n)
        if n in failing and asked.count(n) <= 2:  # both attempts of the first pass
            return ServerError("down")
        return render_fields({"colour": "red"})

    task = fakes.task()
    report = evaluate(task.program, task.train, task.metric, LM(ScriptedEngine(script)))
    assert report.unscored == 0
    assert len(asked) == 40 + 2 + 2  # a retry each, and once more alone


def test_a_program_that_raises_fails_on_those_examples() -> None:
    class Picky(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.paint = dspy.Predict(fakes.Paint)

        def forward(self, text: str) -> Any:
            if text.endswith("4"):
                raise ValueError("I dislike 4")
            return self.paint(text=text)

    task = fakes.task(program=Picky())
    report = evaluate(task.program, task.train, task.metric, LM(fakes.painter()))
    assert report.failures == {"program": 4}
    assert report.rows[4].failure is not None
    assert report.rows[4].failure.message == "I dislike 4"


def test_a_metric_may_abstain() -> None:
    task = fakes.task()
    report = evaluate(
        task.program, task.train, lambda e, p: Score(None, "unclear") if e.id == "r3" else 1.0, LM(fakes.painter())
    )
    assert (report.unscored, report.failed, len(report.scores)) == (1, 0, 39)
    assert report.rows[3].feedback == "unclear"


def test_a_bad_metric_stops_at_once_and_names_the_first_example() -> None:
    engine = fakes.painter(seconds=0.002)
    task = fakes.task(train=40)
    with pytest.raises(BadMetric, match="returned None on examples example"):
        evaluate(task.program, task.train, lambda e, p: None, LM(engine), concurrency=4)  # type: ignore[arg-type, return-value]
    assert engine.calls < 20


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (lambda r: "gibberish", "brought no prediction on any of 40 examples; the model answers in no form.*gibberish"),
        (lambda r: ServerError("down"), "fails on every call.*down"),
        (lambda r: ContextLengthError("too long"), "longer than the model's context"),
    ],
)
def test_a_model_that_never_answers_is_one_clear_message(script: Any, words: str) -> None:
    task = fakes.task()
    with pytest.raises(BadInput, match=words):
        evaluate(task.program, task.train, task.metric, LM(ScriptedEngine(script)))


class Told(dspy.Module):
    def __init__(self, how: Any) -> None:
        super().__init__()
        self.paint, self.how = dspy.Predict(fakes.Paint), how

    def forward(self, text: str) -> Any:
        return self.how(self.paint, text)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (lambda paint, text: None, r"fails on every example.*NoPrediction: forward returned None \(a return is"),
        (
            lambda paint, text: ThreadPoolExecutor(1).submit(paint, text=text).result(),
            "threads that forward starts do not know of the model: take dspy.Parallel",
        ),
    ],
)
def test_a_program_that_never_answers_is_one_clear_message(how: Any, words: str) -> None:
    task = fakes.task()
    with pytest.raises(BadInput, match=words):
        evaluate(Told(how), task.train, lambda example, prediction: 1.0, LM(fakes.painter()))


def test_a_budget_ends_an_evaluation_and_keeps_what_was_paid_for() -> None:
    session = Session(budget=Budget(calls=15))
    task = fakes.task()
    with pytest.raises(BudgetExhausted, match="15 of 15 calls"):
        evaluate_on(task, task.program, lm=fakes.painter(), session=session)
    assert len(session.journal) == 15


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"examples": []}, "no examples"),
        ({"examples": None}, r"evaluate\(examples=None\): expected dspy.Examples"),
        (
            {"examples": [dspy.Example(id=n % 7, text="x").with_inputs("text") for n in range(14)]},
            r"share the id '0', '1', '2', '3', '4' and 2 more: give each an id of its own",
        ),
        ({"examples": [dspy.Example(id=id, text="x").with_inputs("text") for id in (1, "1")]}, "share the id '1': "),
        ({"program": "x -> y"}, "'x -> y' is no program"),
        ({"lm": None}, "no model for Predict"),
        ({"lm": 7}, "lm=7: expected"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], words: str) -> None:
    task = fakes.task()
    values = {"program": task.program, "examples": task.train, "metric": task.metric, "lm": fakes.painter()} | arguments
    with pytest.raises(BadInput, match=words):
        evaluate(**values)
    assert not getattr(values["lm"], "calls", 0)


def test_examples_may_come_one_by_one() -> None:
    task = fakes.task()
    found = evaluate(task.program, (example for example in task.train), task.metric, fakes.painter())
    assert found.dump() == evaluate(task.program, task.train, task.metric, fakes.painter()).dump()


def test_a_report_is_saved_and_loaded(tmp_path: Path) -> None:
    task = fakes.task()
    with RunDir(tmp_path / "r", kind="eval", config={}) as run:
        report = evaluate_on(task, task.program, lm=fakes.painter(), run=run, name="mine")
        with pytest.raises(BadInput, match="has not ended"):
            Report.load(tmp_path / "r")
        run.finish()
    assert Report.load(tmp_path / "r") == report
    assert not (tmp_path / "r" / "rows.jsonl.part").exists()
    with pytest.raises(BadInput, match="no report"):
        Report.load(tmp_path)
    rows = tmp_path / "r" / "rows.jsonl"
    rows.write_bytes(rows.read_bytes().replace(b"0.0", b"1.0", 1))
    with pytest.raises(Damaged, match="rows.jsonl has changed"):
        Report.load(tmp_path / "r")


@pytest.mark.parametrize("concurrency", ["4", 0, -1, 2.5])
def test_a_concurrency_that_is_none(concurrency: Any) -> None:
    task = fakes.task()
    with pytest.raises(BadInput, match=f"concurrency={concurrency!r}: expected a whole number"):
        evaluate_on(task, task.program, lm=fakes.painter(), concurrency=concurrency)


def test_rows_that_cannot_be_written(tmp_path: Path) -> None:
    task = fakes.task()
    with pytest.raises(BadInput, match="cannot write rows to .*nowhere"):
        evaluate(task.program, task.dev, task.metric, fakes.painter(), rows=tmp_path / "nowhere" / "rows.jsonl")


def test_a_report_of_equal_runs_has_equal_bytes_whatever_the_times(tmp_path: Path) -> None:
    task = fakes.task()
    found = [evaluate_on(task, task.program, lm=fakes.painter(seconds=s)).dump() for s in (0.0, 0.004)]
    assert found[0] == found[1]


def two_reports() -> tuple[Report, Report]:
    task = fakes.task()
    weak = evaluate_on(task, task.program, lm=fakes.painter(lambda d, i: 0.3), name="weak")
    return weak, evaluate_on(task, task.program, lm=fakes.painter(lambda d, i: 0.9, name="p2"), name="strong")


def test_reports_on_other_examples_are_not_compared() -> None:
    task = fakes.task()
    weak, _ = two_reports()
    other = evaluate_on(task, task.program, "dev", lm=fakes.painter())
    with pytest.raises(BadInput, match="40 and 60, of which they share 0"):
        compare(weak, other)


def test_half_a_character_in_an_answer_is_written_as_a_question_mark(tmp_path: Path) -> None:
    class Broken(dspy.Predict):
        def forward(self, **inputs: Any) -> dspy.Prediction:
            super().forward(**inputs)
            return dspy.Prediction(colour="re\ud800d", words={"\udfff": ["\ud800"]})

    task = fakes.task(program=Broken(fakes.Paint))
    found = evaluate_on(task, task.program, lm=LM(fakes.painter()))
    found.write(tmp_path)
    assert Report.load(tmp_path).rows[0].outputs == {"colour": "re?d", "words": {"?": ["?"]}}
