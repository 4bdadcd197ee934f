"""A metric that asks a model: on the run's account, paid once, and in no figure of the system."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
from dstill.eval import Report, evaluate, evaluate_on, leaderboard
from dstill.eval.rows import Scoring
from dstill.optimizers.compile import Where
from dstill.programs import metrics
from dstill.runtime import LM, Budget, BudgetExhausted, Journal, ScriptedEngine, Session, lm_within
from dstill.runtime.fields import answer_to, input_fields
from tests_support import OpenAIServer

import dstill


def painter() -> ScriptedEngine:
    """Always says black, at a dollar for a million tokens."""
    return fakes.painter(lambda d, i: 0.0, name="wrong", input_pico=10**6, output_pico=10**6)


def test_the_judges_cost_stands_apart_from_the_systems(server: OpenAIServer, tmp_path: Path) -> None:
    server.script = [fakes.judging]
    task = fakes.judged_task(server.url)
    plain = evaluate_on(fakes.task(), task.program, lm=LM(painter()))
    session = Session()
    report = evaluate_on(task, task.program, lm=painter(), session=session)
    assert report.metric == "judge(colour)"
    assert len(server.requests) == 40
    for figure in ("usd_per_1000", "prompt_tokens"):
        assert getattr(report, figure) == getattr(plain, figure) > 0
    assert [(r.calls, r.tokens_in, r.tokens_out, r.usd) for r in report.rows] == [
        (r.calls, r.tokens_in, r.tokens_out, r.usd) for r in plain.rows
    ]
    assert report.rows[0].scoring == Scoring(1, 100, 20, pytest.approx(0.00014))
    assert report.rows[0].feedback in ("yes: it says black", "no: it says red", "no: it says green", "no: it says blue")
    assert report.scoring.dump() == {"calls": 40, "tokens_in": 4000, "tokens_out": 800, "usd": 0.0056}
    assert report.notes == (
        "scored by a model: 40 calls of the metric, 4,800 tokens, $0.0056, in no figure of the system",
    )
    assert session.ledger.spent.calls == 80  # the budget is the run's, whoever spends it
    assert "scored by a model: 40 calls" in str(leaderboard([report]))
    report.write(tmp_path)
    assert Report.load(tmp_path) == report
    assert "scoring" not in plain.dump() and "scoring" not in plain.rows[0].dump()


def test_it_is_paid_for_once(server: OpenAIServer, tmp_path: Path) -> None:
    server.script = [fakes.judging]
    reports = []
    for _ in range(2):
        with closing(Journal(tmp_path / "journal.sqlite")) as journal:
            task = fakes.judged_task(server.url)
            reports.append(evaluate_on(task, task.program, lm=painter(), session=Session(journal)))
    assert len(server.requests) == 40
    assert reports[0] == reports[1]


def test_equal_answers_to_an_example_are_judged_once(server: OpenAIServer) -> None:
    server.script = [fakes.judging]
    task = fakes.judged_task(server.url)
    lm = LM(ScriptedEngine([fakes.render_fields({"colour": "black"})]), temperature=1.0)
    report = evaluate_on(task, task.program, lm=lm, samples=3)
    assert len(server.requests) == 40
    assert report.rows[0].scoring.calls == 3
    assert report.score is not None and report.score.value == 1.0


def test_its_calls_fit_into_the_budget(server: OpenAIServer) -> None:
    server.script = [fakes.judging]
    task = fakes.judged_task(server.url)
    session = Session(budget=Budget(calls=50))
    with pytest.raises(BudgetExhausted):
        evaluate_on(task, task.program, lm=painter(), session=session)
    assert session.ledger.spent.calls == 50
    assert len(server.requests) < 50


def test_a_price_that_is_not_known_does_not_slip_through_a_budget_in_dollars() -> None:
    class Unpriced(ScriptedEngine):
        priced = False

    metric = metrics.judge("colour", "Right?", lm=Unpriced(["x"], name="unpriced"))
    task, session = fakes.task(metric=metric), Session(budget=Budget(usd=1.0))
    with pytest.raises(dstill.Stop, match="the price of unpriced is not known"):
        evaluate_on(task, task.program, lm=painter(), session=session)


def test_the_report_is_the_same_at_any_concurrency(server: OpenAIServer) -> None:
    server.script = [fakes.judging]
    task = fakes.judged_task(server.url)
    reports = [evaluate_on(task, task.program, lm=fakes.painter(), concurrency=n) for n in (1, 16)]
    assert reports[0].dump() == reports[1].dump()


def test_a_judge_within_a_function_of_ones_own_and_models_of_the_predictors(server: OpenAIServer) -> None:
    """No model for the whole program: the session is that of a predictor's own."""
    server.script = [fakes.judging]
    judge, session = fakes.judged_task(server.url).metric, Session()
    task = fakes.task()
    task.program.predictors()[0].lm = LM(painter(), session)

    def metric(example: Any, prediction: Any) -> float:
        found: Any = judge(example, prediction)
        return float(found.value) / 2

    report = evaluate(task.program, task.test, metric, session=session)
    assert report.score is not None and 0 < report.score.value <= 0.5
    assert (session.ledger.spent.calls, len(server.requests), report.scoring.calls) == (80, 40, 40)


def test_a_program_that_asks_a_judge_itself_pays_for_it(server: OpenAIServer) -> None:
    """As the reward of BestOfN the judge is a part of the system."""
    server.script = [fakes.judging]
    judge, task = fakes.judged_task(server.url).metric, fakes.task()

    def reward(inputs: Any, prediction: Any) -> float:
        example = dspy.Example(**{"colour": "?", **inputs}).with_inputs("text")
        found: Any = judge(example, prediction)
        return float(found.value)

    program = dspy.BestOfN(task.program, N=1, reward_fn=reward, threshold=1.0)
    report = evaluate_on(task, program, lm=painter())
    assert report.rows[0].calls == 2
    assert report.scoring == Scoring()


def test_a_search_by_a_judge_goes_on_without_paying_again(server: OpenAIServer, tmp_path: Path) -> None:
    server.script = [fakes.judging]
    source = {"name": "fakes:judged_task", "args": {"url": server.url, "train": 8, "dev": 24}}
    task = dstill.task(source["name"], **source["args"])
    race = dstill.Race(candidates=4, width=2, block=8, pool=8, instructions=0)
    made = dstill.compile(task, fakes.painter(), race, run=tmp_path / "run")
    asked = len(server.requests)
    assert asked > 24
    again = dstill.compile(task, fakes.painter(), race, run=tmp_path / "run")
    assert (len(server.requests), again.verdict) == (asked, made.verdict)


def test_dspys_optimizers_are_judged_on_the_runs_account(server: OpenAIServer, tmp_path: Path) -> None:
    server.script = [fakes.judging]
    options = {"num_candidate_programs": 1, "max_bootstrapped_demos": 1}
    optimizer = dstill.Dspy("BootstrapFewShotWithRandomSearch", options)
    asked = []
    for name in ("first", "second"):
        with closing(Journal(tmp_path / "journal.sqlite")) as journal:
            task = fakes.judged_task(server.url, train=8, dev=12)  # whose judge remembers nothing by itself
            dstill.compile(task, fakes.painter(), optimizer, run=Where(tmp_path / name, Session(journal)))
        asked.append(len(server.requests))
    assert asked[0] == asked[1] > 12


def test_feedback_of_a_judge_reaches_who_rewrites_instructions() -> None:
    judge = ScriptedEngine(
        lambda r: answer_to(r, {"reason": f"not {input_fields(r)['answer']} at all", "grade": "no"}), name="critic"
    )
    task = fakes.task(metric=metrics.judge("colour", "Right?", lm=judge))
    report = evaluate_on(task, task.program, "train", lm=painter())
    assert all(row.feedback.startswith("no: not ") for row in report.rows)


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("priced", [True, False])
def test_an_estimate_counts_the_judge(priced: bool, alone: bool) -> None:
    judge = ScriptedEngine(["x"], name="dear", input_pico=10**6, output_pico=10**6)
    judge.priced = priced  # type: ignore[attr-defined]
    asking = metrics.judge("colour", "Right?", lm=judge, gold="colour")
    task = fakes.task(metric=asking if alone else metrics.weighted_mean(metrics.exact("colour"), asking))
    plain, judged = (dstill.estimate(t, fakes.painter(), fakes.SMALL) for t in (fakes.task(), task))
    assert judged.high.calls == 2 * plain.high.calls
    assert judged.high.usd > plain.high.usd == 0
    assert ("price unknown" in str(judged)) != priced
    assert judge.calls == 0


def test_a_local_model_by_its_name_judges() -> None:
    """The embedded model knows nothing of it; its grades are held to the scale."""
    task = fakes.task(test=6, metric=metrics.judge("colour", "Is it a colour?", lm="embedded", scale=("no", "yes")))
    session = Session()
    report = evaluate_on(task, task.program, lm=painter(), session=session)
    assert {row.score for row in report.rows} <= {0.0, 1.0}
    assert (report.scoring.calls, session.ledger.spent.calls) == (6, 12)
    assert "embedded" in session.models()


def test_a_metric_of_ones_own_asks_on_the_runs_account() -> None:
    engine = ScriptedEngine(lambda r: answer_to(r, {"good": "True"}), name="mine")

    def metric(example: Any, prediction: Any) -> bool:
        with dspy.context(lm=lm_within(engine)):
            return bool(dspy.Predict("colour -> good: bool")(colour=prediction.colour).good)

    session = Session()
    task = fakes.task(metric=metric)
    report = evaluate_on(task, task.program, lm=painter(), session=session)
    assert report.score is not None and report.score.value == 1.0
    assert (report.scoring.calls, engine.calls) == (40, 4)  # a call for each colour
    assert session.ledger.spent.calls == 44
