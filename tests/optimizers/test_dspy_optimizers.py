"""DSPy's own optimizers, and ours, under journal and budget: caps hold, what they found is kept, models are adopted."""

from __future__ import annotations

import json
import logging
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
from dstill.eval.runner import Runner
from dstill.optimizers import Dspy, Race, compile
from dstill.optimizers.dspy_optimizers import run_dspy_optimizer
from dstill.runtime import LM, BadInput, Budget, Retry, ScriptedEngine, Session
from dstill.runtime.fields import input_fields, render_fields


@pytest.mark.parametrize("optimizer", ["race", "dspy:MIPROv2", "dspy:GEPA", "dspy:BootstrapFewShotWithRandomSearch"])
@pytest.mark.parametrize("calls", [1, 7, 50])
def test_no_optimizer_passes_a_cap(tmp_path: Path, optimizer: str, calls: int) -> None:
    engine = fakes.painter()
    made = compile(fakes.task(), engine, optimizer, Budget(calls=calls), run=tmp_path / "r", concurrency=64)
    time.sleep(0.05)  # threads of DSPy's that were left behind
    assert engine.calls <= calls
    assert made.evidence is not None
    assert made.evidence.stopped is not None
    with dspy.context(lm=LM(fakes.painter(), Session())):
        assert made.program(text="thing number 1").colour in fakes.COLOURS


@pytest.mark.parametrize("name", ["BootstrapFewShotWithRandomSearch", "MIPROv2", "GEPA", "SIMBA"])
def test_dspys_optimizers_run_and_are_confirmed(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    engine = fakes.painter()

    def answer_all(request: Any, plain: Any = engine._script) -> Any:
        if "text" in input_fields(request) and "`colour`" in str(request.system):
            return plain(request)
        names = [line.split("`")[1] for line in str(request.system).splitlines() if line[:1].isdigit() and "`" in line]
        fields = dict.fromkeys(names, "Look twice.")
        return json.dumps(fields) if "JSON object" in request.messages[-1].text else render_fields(fields)

    engine._script = answer_all
    made = compile(fakes.task(), engine, f"dspy:{name}", Budget(calls=700), seed=3, run=tmp_path / "r")
    assert made.evidence is not None
    assert made.evidence.trials > 1
    assert "failed" not in str(made.evidence.stopped)
    assert "%|" not in capfd.readouterr().err  # DSPy's own bars
    assert made.evidence.gain is not None or made.evidence.best == 0
    assert engine.calls <= 700


@pytest.mark.parametrize("engine_fails", [False, True])
def test_a_row_whose_answer_cannot_be_read_counts_as_0_in_a_trial(engine_fails: bool) -> None:
    """With demonstrations a third of the answers can be read, and no others are right; an engine's failure is no 0."""

    def script(request: Any) -> Any:
        number = int(input_fields(request)["text"].split()[-1])
        if len(request.messages) > 2 and number % 3:
            return dspy.lm15.ServerError("busy") if engine_fails else "???"
        return render_fields({"colour": fakes.COLOURS[number * 7 % 4] if number % 2 else "black"})

    lm = LM(ScriptedEngine(script))
    lm.door._retry = Retry(attempts=1)
    how = Dspy("BootstrapFewShotWithRandomSearch", {"num_candidate_programs": 2, "max_bootstrapped_demos": 0})
    found = run_dspy_optimizer(
        how.name, dict(how.options), fakes.task().compile_view, Runner(lm, fakes.task().metric), lm=lm, prompt_lm=lm,
        race=Race(),
    )  # fmt: skip
    declared, *shown = [trial for trial in found.history.trials if trial.scores]
    assert shown
    for trial in shown:
        if engine_fails:
            assert 0 < len(trial.scores) < len(declared.scores) / 2
        else:
            assert len(trial.scores) == len(declared.scores)
            assert found.history.estimate(trial) < 0.5


def test_what_an_optimizer_writes_into_signatures_stays_out_of_the_declared_program(tmp_path: Path) -> None:
    """InferRules alters signatures in place, and hands the metric on to the class that it is derived from."""

    def script(request: Any) -> Any:
        if "`colour`" in str(request.system):
            number = int(input_fields(request)["text"].split()[-1])
            return render_fields({"colour": fakes.COLOURS[number * 7 % 4] if "second" in request.system else "black"})
        asked.append(True)
        return render_fields({"reasoning": "-", "natural_language_rules": ("first", "second", "third")[len(asked) - 1]})

    asked: list[bool] = []
    task = fakes.task()
    before = task.compile_view.digests, fakes.Paint.instructions
    how = Dspy("InferRules", {"num_candidates": 3, "max_bootstrapped_demos": 0, "max_labeled_demos": 2})
    made = compile(task, ScriptedEngine(script), how, run=tmp_path / "r", concurrency=1)
    assert (task.compile_view.digests, fakes.Paint.instructions) == before
    assert made.evidence is not None
    assert (made.evidence.stopped, len(asked)) == (None, 3)
    assert made.candidate.predictors["self"].instructions.endswith("second")
    assert len(made.candidate.predictors["self"].demos) == 2
    assert len(made.program.signature.instructions) > len(fakes.Paint.instructions)


def test_an_optimizer_of_dspy_that_breaks_is_salvaged(tmp_path: Path) -> None:
    asked: list[bool] = []

    def script(request: Any) -> Any:
        if "`colour`" in str(request.system):
            return render_fields({"colour": "red"})
        asked.append(True)
        if len(asked) > 12:
            return "???"
        return render_fields({"proposed_instruction": "Look.", "proposed_prefix_for_output_field": "It is"})

    made = compile(fakes.task(), ScriptedEngine(script, repeatable=True), "dspy:COPRO", run=tmp_path / "r")
    assert made.evidence is not None
    assert "COPRO failed: AdapterParseError" in str(made.evidence.stopped)


def test_of_many_errors_the_first_are_shown_and_the_rest_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("dspy")
    logger.addHandler(caplog.handler)
    try:
        how = Dspy("BootstrapFewShotWithRandomSearch", {"num_candidate_programs": 3})
        made = compile(fakes.task(), ScriptedEngine(lambda request: "???", repeatable=True), how, run=tmp_path / "r")
    finally:
        logger.removeHandler(caplog.handler)
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    places = Counter((record.pathname, record.lineno) for record in caplog.records)
    assert 0 < len(said) <= 3 * len(places)
    assert max(places.values()) == 3
    assert re.fullmatch(r"[1-9]\d+ more errors like these are not shown", said[-1])
    assert not any(isinstance(each, logging.Filter) for each in caplog.handler.filters)
    assert made.evidence is not None


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("GEPA", {"auto": None, "max_full_evals": None}, "dspy:GEPA cannot be made: AssertionError"),
        ("MIPROv2", {"auto": "wild"}, "dspy:MIPROv2 .*'?wild'?"),
        ("MIPROv2", {"autp": "light"}, "takes no option autp; it takes: .*auto.*num_trials"),
        ("MIPROv2", {"trainset": []}, "takes no option trainset"),
    ],
)
def test_an_optimizer_of_dspy_that_cannot_begin(tmp_path: Path, name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        compile(fakes.task(), fakes.painter(), Dspy(name, options), run=tmp_path / "r")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("BetterTogether", "dstill alternate"),
        ("BootstrapFinetune", "dstill distill"),
        ("Ensemble", "Race.ensembles=3"),
        ("KNNFewShot", "Race.nearest=2"),
        ("Teleprompter", "no optimizer of that name; it has: AvatarOptimizer, BootstrapFewShot, "),
    ],
)
def test_what_is_no_search_for_prompts_is_found_elsewhere(name: str, said: str) -> None:
    with pytest.raises(BadInput, match=f"dspy:{name}.*{said}"):
        Dspy(name)


def test_options_of_compile_are_options_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    how = Dspy("BootstrapFewShotWithOptuna", {"max_demos": 2, "num_candidate_programs": 3})
    made = compile(fakes.task(), fakes.painter(), how, seed=3, run=tmp_path / "r")
    assert made.evidence is not None
    assert made.evidence.trials > 1
    assert made.evidence.stopped is None
    assert "Will attempt" not in capfd.readouterr().out


@pytest.mark.parametrize("optimizer", ["race", "bootstrap", "dspy:BootstrapFewShotWithRandomSearch"])
def test_a_predictor_with_a_model_of_its_own_is_under_the_budget_too(tmp_path: Path, optimizer: str) -> None:
    own, other = fakes.painter(name="own"), fakes.painter(name="other")
    program = dspy.Predict(fakes.Paint)
    program.lm = LM(own)
    made = compile(fakes.task(program=program), other, optimizer, Budget(calls=20), run=tmp_path / "r")
    assert made.evidence is not None
    assert 0 < own.calls + other.calls <= 20  # some of DSPy's optimizers forget a predictor's model
    assert own.calls > 0 or optimizer.startswith("dspy:")
    assert program.lm.door.session.ledger.spent.calls == 0
