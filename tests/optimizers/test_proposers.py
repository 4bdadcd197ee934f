"""Every proposer under the contract, and what is particular to each."""

from __future__ import annotations

from random import Random

import dspy
import fakes
from contracts import ProposerContract
from dstill.eval import Runner
from dstill.optimizers import History, Proposer
from dstill.optimizers.proposers import BootstrappedDemos, CombinedParts, Ground, LabeledDemos, WrittenInstructions
from dstill.runtime import LM, Budget, BudgetExhausted, ScriptedEngine, Session


class TestLabeled(ProposerContract):
    def make(self, ground: Ground) -> Proposer:
        return LabeledDemos(ground, 3)

    def test_demos_are_labelled_training_examples(self) -> None:
        ground = self.ground()
        known = {(row.text, row.colour) for row in ground.train}
        for candidate in self.make(ground).propose(self.history(ground), Random(0), 4):
            demos = candidate.predictors["self"].demos
            assert len(demos) == 3
            assert all((demo["text"], demo["colour"]) in known for demo in demos)


class TestBootstrapped(ProposerContract):
    def make(self, ground: Ground) -> Proposer:
        return BootstrappedDemos(ground, 3, pool=20)

    def test_demos_of_runs_are_right_and_include_reasoning(self) -> None:
        task = fakes.task(program=dspy.ChainOfThought(fakes.Paint))

        def script(request: object) -> str:
            from dstill.runtime.fields import input_fields, render_fields

            text = input_fields(request)["text"]  # type: ignore[arg-type]
            right = fakes.truth(text) if int(text.split()[-1]) % 2 else "black"
            return render_fields({"reasoning": f"I thought about {text}", "colour": right})

        lm = LM(ScriptedEngine(script, repeatable=True))
        ground = Ground(task.program, task.train, Runner(lm, task.metric), lm)
        history = History().add([(ground.baseline, "declared", ())], 0)
        for candidate in self.make(ground).propose(history, Random(0), 4):
            for demo in candidate.predictors["predict"].demos:
                assert demo["colour"] == fakes.truth(demo["text"])
                assert "reasoning" not in demo or demo["reasoning"] == f"I thought about {demo['text']}"
            assert any("reasoning" in demo for demo in candidate.predictors["predict"].demos)

    def test_an_example_is_not_answered_by_its_own_demonstration(self) -> None:
        seen: list[bool] = []

        def script(request: object) -> str:
            texts = [m.text for m in request.messages]  # type: ignore[attr-defined]
            asked = texts[-1].split("\n")[1]
            seen.append(any(asked + "\n" in text + "\n" for text in texts[:-1]))
            from dstill.runtime.fields import render_fields

            return render_fields({"colour": "red"})

        task = fakes.task()
        lm = LM(ScriptedEngine(script, repeatable=True))
        ground = Ground(task.program, task.train, Runner(lm, task.metric), lm)
        shown = ground.baseline.with_state("self", demos=tuple(d for _, d in ground.labelled("self")))
        ground.traces(shown, range(10))
        assert seen
        assert not any(seen)

    def test_no_success_brings_nothing(self) -> None:
        task = fakes.task()
        lm = LM(fakes.painter(lambda d, i: 0.0))
        ground = Ground(task.program, task.train, Runner(lm, task.metric), lm)
        assert self.make(ground).propose(History().add([(ground.baseline, "declared", ())], 0), Random(0), 3) == []


class TestWritten(ProposerContract):
    def make(self, ground: Ground) -> Proposer:
        return WrittenInstructions(ground)

    def test_a_writer_that_answers_nothing_readable_brings_nothing(self) -> None:
        task = fakes.task()
        lm = LM(ScriptedEngine(lambda r: "???"))
        ground = Ground(task.program, task.train, Runner(lm, task.metric), lm)
        assert self.make(ground).propose(self.history(ground), Random(0), 3) == []

    def test_a_budget_is_not_swallowed(self) -> None:
        task = fakes.task()
        lm = LM(fakes.painter(), Session(budget=Budget(calls=1)))
        ground = Ground(task.program, task.train, Runner(lm, task.metric), lm)
        try:
            self.make(ground).propose(self.history(ground), Random(0), 8)
        except BudgetExhausted:
            return
        raise AssertionError("the budget should have stopped it")


class TestCombined(ProposerContract):
    def make(self, ground: Ground) -> Proposer:
        return CombinedParts(ground)

    def test_it_only_recombines_what_was_tried(self) -> None:
        ground = self.ground()
        history = self.history(ground)
        instructions = {t.candidate.predictors["self"].instructions for t in history.trials}
        found = self.make(ground).propose(history, Random(0), 8)
        assert {c.predictors["self"].instructions for c in found} <= instructions
        assert len(found) == 3  # 2 instructions x 3 demonstration sets, less the 3 that were tried

    def test_it_leaves_nothing_but_what_is_new(self) -> None:
        ground = self.ground()
        lone = History().add([(ground.baseline, "declared", ())], 0)
        assert self.make(ground).propose(lone, Random(0), 5) == []
