"""The compile loop: the same bytes at any concurrency, under any budget, after any interruption; honest verdicts."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
from dstill.eval import evaluate_on
from dstill.optimizers import Candidate, FewShot, Race, compile, load_program
from dstill.optimizers.compile import Where
from dstill.optimizers.estimate import estimate
from dstill.programs import Task, metrics
from dstill.runtime import BadInput, Budget, Damaged, Journal, ScriptedEngine, Session, lm_for
from dstill.runtime.rundir import verify


def made_files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("program.json", "report.json", "trials.jsonl")}


def run(folder: Path, **changes: Any) -> dict[str, bytes]:
    engine = changes.pop("engine", None) or fakes.painter()
    compile(fakes.task(), engine, changes.pop("optimizer", fakes.SMALL), run=folder, **changes)
    return made_files(folder)


def test_a_better_prompt_is_found_confirmed_and_written(tmp_path: Path) -> None:
    task = fakes.task(dev=120)
    engine = fakes.painter(lambda demos, instructions: 0.3 + 0.1 * min(demos, 4) + 0.25 * ("twice" in instructions))
    made = compile(task, engine, fakes.SMALL, seed=1, run=tmp_path / "r")
    assert made.evidence is not None
    assert made.evidence.gain is not None
    assert made.evidence.gain.difference.low > 0
    assert "a gain of +" in made.verdict
    assert "kept apart from selection" in made.verdict
    test = [evaluate_on(task, program, lm=engine, name=n) for n, program in (("a", task.program), ("b", made))]
    assert test[1].score is not None
    assert test[0].score is not None
    assert test[1].score.value > test[0].score.value + 0.1
    assert verify(tmp_path / "r") == []
    trials = [json.loads(line) for line in (tmp_path / "r" / "trials.jsonl").read_text().splitlines()]
    assert len(trials) == 10
    assert {trial["decision"] for trial in trials} <= {"winner", "finished", "dropped"}
    assert all(trial["why"] for trial in trials if trial["decision"] == "dropped")
    assert trials[0]["origin"] == "declared"


@pytest.mark.parametrize("candidates", [1, 2, 3])
def test_a_small_race_has_its_candidates_too(tmp_path: Path, candidates: int) -> None:
    race = Race(candidates=candidates, instructions=0)
    made = compile(fakes.task(dev=20), fakes.painter(), race, run=tmp_path / "r")
    assert made.evidence is not None
    assert made.evidence.trials == candidates


def test_the_bytes_do_not_depend_on_concurrency(tmp_path: Path) -> None:
    found = [run(tmp_path / str(c), concurrency=c) for c in (1, 8, 64)]
    assert found[0] == found[1] == found[2]
    assert run(tmp_path / "other", seed=5) != found[0]


@pytest.mark.parametrize(
    "budget", [Budget(calls=0), Budget(calls=1), Budget(calls=60), Budget(tokens=25_000), Budget(usd=1e-4)]
)
def test_the_bytes_do_not_depend_on_concurrency_under_a_budget(tmp_path: Path, budget: Budget) -> None:
    found = []
    for concurrency in (1, 64):
        engine = fakes.painter(input_pico=2000, output_pico=8000)
        found.append(run(tmp_path / f"{concurrency}", engine=engine, budget=budget, concurrency=concurrency))
        assert budget.calls is None or engine.calls <= budget.calls
    assert found[0] == found[1]
    assert "stopped early: the budget of" in json.loads(found[0]["report.json"])["verdict"]


EXTRA = {"diverse": 2, "rewrites": 2, "merges": 2}


def test_a_run_that_its_budget_ended_ends_there_again_after_others_have_paid_for_more(tmp_path: Path) -> None:
    def once(name: str, calls: int) -> dict[str, bytes]:
        session = Session(Journal(tmp_path / "j"))
        compile(fakes.task(), fakes.painter(), fakes.SMALL, Budget(calls=calls), run=Where(tmp_path / name, session))
        return made_files(tmp_path / name)

    first = once("first", 120)
    assert b"budget" in first["report.json"]
    once("more", 2000)
    assert once("again", 120) == first


def inventive() -> ScriptedEngine:
    """A model that rewrites an instruction otherwise each time, and is right elsewhere under each instruction."""
    from dstill.runtime.derive import derive
    from dstill.runtime.fields import input_fields, render_fields

    plain = fakes.painter()._script

    def script(request: Any) -> Any:
        system, fields = str(request.system), input_fields(request)
        if "`mistakes`" in system:
            return render_fields({"instruction": f"Rule {derive(0, str(fields)).randrange(10**6)}."})
        if "`colour`" not in system:
            return plain(request)
        told = system.rpartition("objective is:")[2].strip()
        skill = 0.3 + 0.05 * min((len(request.messages) - 1) // 2, 4)
        right = derive(0, told, fields["text"]).random() < skill
        return render_fields({"colour": fakes.truth(fields["text"]) if right else "red"})

    return ScriptedEngine(script, name="inventive", repeatable=True)


@pytest.mark.parametrize("budget", [None, Budget(calls=150)])
def test_the_bytes_do_not_depend_on_concurrency_with_every_proposer_at_work(
    tmp_path: Path, budget: Budget | None
) -> None:
    race = replace(fakes.SMALL, candidates=24, **EXTRA)
    found = []
    for concurrency in (1, 8, 64):
        folder = tmp_path / str(concurrency)
        compile(fakes.task(), inventive(), race, budget, run=folder, concurrency=concurrency)
        found.append([(folder / name).read_bytes() for name in ("trials.jsonl", "program.json", "report.json")])
    assert found[0] == found[1] == found[2]
    trials = [json.loads(line) for line in found[0][0].decode().splitlines()]
    if budget is None:
        assert {"diverse-8", "reflected", "merged"} <= {trial["origin"] for trial in trials}
    for trial in trials[1:]:
        assert len(trial["parents"]) >= (2 if trial["origin"] == "merged" else 1)
        assert all(parent < trial["number"] for parent in trial["parents"])
        if trial["origin"] == "reflected":
            (parent,) = trial["parents"]
            assert trial["candidate"]["self"]["demos"] == trials[parent]["candidate"]["self"]["demos"]


def test_confirming_does_not_depend_on_what_a_search_that_was_cut_off_has_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which calls of a refused round were made is a matter of timing."""
    module = sys.modules["dstill.optimizers.compile"]
    whole = module.search
    found = []
    for waste in (0, 9):

        def cut_off(view: Any, race: Any, runner: Any, *rest: Any, waste: int = waste, **named: Any) -> Any:
            made = whole(view, race, runner, *rest, **named)
            for n in range(waste):
                runner.lm(f"[[ ## text ## ]]\nthing number {1000 + n}")
            return replace(made, stopped=module.BUDGET)

        monkeypatch.setattr(module, "search", cut_off)
        engine = fakes.painter()
        race = Race(candidates=9, width=4, block=4, instructions=0, confirm=0.6)
        made = compile(fakes.task(dev=120), engine, race, Budget(calls=600), run=tmp_path / str(waste))
        assert made.evidence is not None
        assert made.evidence.gain is not None
        found.append((made.evidence.gain.n, made_files(tmp_path / str(waste))))
    assert found[0] == found[1]
    assert found[0][0] == 60  # of 72 pairs: two calls each of a fifth of the cap, in rounds of 4 pairs


def test_a_killed_compilation_resumes_to_the_same_bytes_and_pays_nothing_twice(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import sys, os
        sys.path[:0] = [{str(Path(fakes.__file__).parent)!r}]
        import fakes
        from dstill.optimizers import Race, compile
        engine = fakes.painter(seconds=0.01)
        plain = engine.complete
        def complete(request):
            answer = plain(request)
            with open({str(tmp_path / "calls")!r}, "a") as log: log.write("x\\n")
            return answer
        engine.complete = complete
        compile(fakes.task(), engine, Race(candidates=10, width=4, block=8, pool=16, instructions=2),
                run=sys.argv[1], concurrency=8)
        """
    )
    whole = tmp_path / "whole" / "run"
    subprocess.run([sys.executable, "-c", script, str(whole)], check=True)
    once = len((tmp_path / "calls").read_text().split())
    (tmp_path / "calls").unlink()
    killed = tmp_path / "killed" / "run"
    for wait in (1.5, 1.9, 2.3):
        process = subprocess.Popen([sys.executable, "-c", script, str(killed)])
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([sys.executable, "-c", script, str(killed)], check=True)
    assert made_files(killed) == made_files(whole)
    # A call that was under way at a kill had not been stored and is made again; at most one for each of 8 in flight.
    assert once <= len((tmp_path / "calls").read_text().split()) <= once + 3 * 8


def test_a_program_of_several_predictors_is_compiled(tmp_path: Path) -> None:
    class Two(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = dspy.Predict("text -> hint")
            self.second = dspy.Predict("text, hint -> colour")

        def forward(self, text: str) -> Any:
            return self.second(text=text, hint=self.first(text=text).hint)

    def script(request: Any) -> str:
        from dstill.runtime.fields import input_fields, render_fields

        fields = input_fields(request)
        if "hint" in fields:
            return render_fields({"colour": fields["hint"]})
        if "text" not in fields:
            return render_fields({"instruction": "Think."})
        good = (len(request.messages) - 1) // 2 >= 1 or int(fields["text"].split()[-1]) % 3 == 0
        return render_fields({"hint": fakes.truth(fields["text"]) if good else "grey"})

    made = compile(fakes.task(program=Two()), ScriptedEngine(script, repeatable=True), fakes.SMALL, run=tmp_path / "r")
    assert set(made.candidate.predictors) == {"first", "second"}
    assert len(made.candidate.predictors["first"].demos) >= 1
    assert "a gain of" in made.verdict


def test_baselines(tmp_path: Path) -> None:
    engine = fakes.painter()
    zero = compile(fakes.task(), engine, "zero-shot", run=tmp_path / "zero")
    few = compile(fakes.task(), engine, FewShot(k=3), run=tmp_path / "few")
    boot = compile(fakes.task(), engine, "bootstrap", run=tmp_path / "boot")
    assert [len(made.candidate.predictors["self"].demos) for made in (zero, few, boot)][:2] == [0, 3]
    assert len(boot.candidate.predictors["self"].demos) >= 1
    assert "nothing was compared" in zero.verdict
    assert "not measured" in few.verdict


def test_what_is_saved_loads_into_dstill_and_into_plain_dspy(tmp_path: Path) -> None:
    task = fakes.task()
    made = compile(task, fakes.painter(), "k-shot", run=tmp_path / "r")
    again = load_program(tmp_path / "r", task.program, lm=fakes.painter())
    assert again.verdict == made.verdict
    assert again.candidate == made.candidate
    assert again(text="thing number 3").colour == made(text="thing number 3").colour
    plain = dspy.Predict(fakes.Paint)
    plain.load(tmp_path / "r" / "program.json")
    assert Candidate.of(plain) == made.candidate
    with pytest.raises(BadInput, match="predictors self, and the program has predict"):
        load_program(tmp_path / "r", dspy.ChainOfThought(fakes.Paint), lm=fakes.painter())
    with pytest.raises(BadInput, match="no program"):
        load_program(tmp_path, task.program)
    (tmp_path / "r" / "program.json").write_text("{}")
    with pytest.raises(Damaged, match=r"program.json has changed since the run ended"):
        load_program(tmp_path / "r", task.program)
    (tmp_path / "alone.json").write_text("{}")
    with pytest.raises(Damaged, match="no saved program"):
        load_program(tmp_path / "alone.json", task.program)


def test_a_frozen_part_is_kept_and_saved(tmp_path: Path) -> None:
    class Outer(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frozen = dspy.ChainOfThought("text -> hint")
            self.frozen.predict.demos = [dspy.Example(text="a", reasoning="b", hint="c")]
            self.frozen._compiled = True
            self.last = dspy.Predict(fakes.Paint)

        def forward(self, text: str) -> Any:
            return self.last(text=text)

    made = compile(fakes.task(program=Outer()), fakes.painter(), "k-shot", run=tmp_path / "r")
    assert set(made.candidate.predictors) == {"last"}
    state = json.loads((tmp_path / "r" / "program.json").read_text())
    assert state["frozen.predict"]["demos"] == [{"text": "a", "reasoning": "b", "hint": "c"}]


def test_a_task_is_never_asked_for_its_test_split(tmp_path: Path) -> None:
    task = fakes.task()
    tests = {row.text for row in task.test}
    engine = fakes.painter()
    plain, asked = engine._script, []

    def script(request: Any) -> Any:
        asked.append(str(request.messages))
        return plain(request)  # type: ignore[operator]

    engine._script = script
    compile(task, engine, fakes.SMALL, run=tmp_path / "r")
    assert not any(f"{text}\n" in text_asked for text in tests for text_asked in asked)


def test_an_estimate_spends_nothing_and_bounds_the_truth(tmp_path: Path) -> None:
    engine = fakes.painter(input_pico=1000)
    found = estimate(fakes.task(), engine, fakes.SMALL)
    assert engine.calls == 0
    made = compile(fakes.task(), engine, fakes.SMALL, run=tmp_path / "r")
    spent = made.lm.door.session.ledger.spent
    assert found.low.calls <= spent.calls <= found.high.calls
    assert spent.tokens <= found.high.tokens
    assert "no budget is set" in str(found)
    assert "capped by the budget: 5 calls" in str(estimate(fakes.task(), engine, "race", Budget(calls=5)))
    assert "a guess" in str(estimate(fakes.task(), engine, "dspy:MIPROv2"))


def test_an_estimate_says_that_images_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    images = [f"data:image/png;base64,{base64.b64encode(b'%d' % n).decode()}" for n in range(60)]
    rows = [dspy.Example(image=dspy.Image(one), colour="red").with_inputs("image") for one in images]
    program = dspy.Predict("image: dspy.Image -> colour")
    task = Task("seen", program, rows[:20], rows[20:40], rows[40:], metrics.exact("colour"))
    bare, told = (estimate(task, lm_for("openai/gpt-4.1-mini", **more), "race") for more in ({}, {"media_tokens": 900}))
    words = "images, sounds and files are not counted: set media_tokens of the model"
    assert words in str(bare) and words not in str(told)
    assert told.low.tokens > bare.low.tokens + 400 * bare.low.calls


def test_a_run_shows_itself(tmp_path: Path) -> None:
    made = compile(fakes.task(), fakes.painter(), "k-shot", run=tmp_path / "r")
    assert "demonstrations" in made._repr_html_()
    assert str(made).startswith("paint compiled (k-shot) of paint")
    assert os.fspath(made.folder or "") == str(tmp_path / "r")
