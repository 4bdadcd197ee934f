"""Proposers after GEPA: the front of those that win somewhere, rewriting from failures, merging."""

from __future__ import annotations

from random import Random

import dspy
import fakes
import pytest
from contracts import ProposerContract
from dstill.eval import Runner
from dstill.optimizers import Candidate, History, PredictorState, Proposer, Trial
from dstill.optimizers.proposers import (
    Ground,
    MergedWinners,
    ReflectedInstructions,
)
from dstill.optimizers.proposers.merged import common_ancestor, complement, merge
from dstill.programs import metrics
from dstill.runtime import LM, Budget, BudgetExhausted, ScriptedEngine, Session


class TestReflected(ProposerContract):
    def make(self, ground: Ground) -> Proposer:
        return ReflectedInstructions(ground)

    @staticmethod
    def critic(example: dspy.Example, prediction: dspy.Prediction) -> metrics.Score:
        right = prediction.colour == example.colour
        return metrics.Score(float(right), "" if right else f"{example.text} wants {example.colour.upper()}")

    def watched(self, metric: object, right: bool = False) -> tuple[Ground, list[str]]:
        """A program that always says red (or is always right), and the requests that its writer got."""
        asked: list[str] = []
        from dstill.runtime.fields import input_fields, render_fields

        def script(request: object) -> str:
            if "`instruction`" in str(request.system):  # type: ignore[attr-defined]
                asked.append(input_fields(request)["mistakes"])  # type: ignore[arg-type]
                return render_fields({"instruction": f"New number {len(asked)}."})
            text = input_fields(request)["text"]  # type: ignore[arg-type]
            return render_fields({"colour": fakes.truth(text) if right else "red"})

        task = fakes.task(metric=metric)
        lm = LM(ScriptedEngine(script))
        return Ground(task.program, task.train, Runner(lm, task.metric), lm), asked

    def test_the_writer_reads_failures_alone_with_the_metrics_feedback(self) -> None:
        ground, asked = self.watched(self.critic)
        assert self.make(ground).propose(self.history(ground), Random(0), 2)
        for request in asked:
            mistakes = request.split("\n\n")
            assert len(mistakes) == 4
            for mistake in mistakes:
                text = mistake.partition("text: ")[2].partition("\n")[0]
                assert "colour: red" in mistake
                assert fakes.truth(text) != "red"
                assert f"feedback: {text} wants {fakes.truth(text).upper()}" in mistake

    def test_without_feedback_the_labels_are_told(self) -> None:
        ground, asked = self.watched(metrics.exact("colour"))
        self.make(ground).propose(self.history(ground), Random(0), 1)
        text = asked[0].partition("text: ")[2].partition("\n")[0]
        assert fakes.truth(text) in asked[0].split("\n\n")[0].partition("feedback")[2]

    def test_where_nothing_fails_nobody_is_asked(self) -> None:
        ground, asked = self.watched(self.critic, right=True)
        assert self.make(ground).propose(self.history(ground), Random(0), 3) == []
        assert asked == []

    def test_an_answer_that_could_not_be_read_is_a_mistake_too(self) -> None:
        ground, asked = self.watched(self.critic)
        from dstill.runtime.fields import input_fields, render_fields

        def script(request: object) -> str:
            if "`instruction`" in str(request.system):  # type: ignore[attr-defined]
                asked.append(input_fields(request)["mistakes"])  # type: ignore[arg-type]
                return render_fields({"instruction": "Answer in the form asked for."})
            return "???"

        lm = LM(ScriptedEngine(script))
        ground = Ground(ground.program, ground.train, Runner(lm, self.critic), lm)
        assert self.make(ground).propose(self.history(ground), Random(0), 1)
        assert "no answer: the answer could not be read: '???'" in asked[0]

    def test_a_child_is_of_a_parent_that_is_best_somewhere_and_says_so(self) -> None:
        ground, _ = self.watched(self.critic)
        history = self.history(ground)
        for child in self.make(ground).propose(history, Random(0), 3):
            assert history.parents(child, 0) == (1,)  # the others win nowhere where it does not
            assert child.predictors["self"].demos == history.trials[1].candidate.predictors["self"].demos

    def test_a_budget_is_not_swallowed(self) -> None:
        task = fakes.task()
        lm = LM(fakes.painter(), Session(budget=Budget(calls=1)))
        ground = Ground(task.program, task.train, Runner(lm, task.metric), lm)
        with pytest.raises(BudgetExhausted):
            self.make(ground).propose(self.history(ground), Random(0), 8)


class TestMerged(ProposerContract):
    fruitful = False  # in the contract's history one candidate wins wherever another does

    def make(self, ground: Ground) -> Proposer:
        return MergedWinners()

    @staticmethod
    def two(**parts: str) -> Candidate:
        """A candidate of two predictors; each has "0" where nothing else is said."""
        return Candidate({name: PredictorState(parts.get(name, "0")) for name in ("find", "answer")})

    def grown(self, *made: tuple[Candidate, tuple[int, ...], list[float]]) -> History:
        history = History().add([(self.two(), "declared", ())], 0).change(0, scores={0: 0.0, 1: 0.0, 2: 0.0}, met=3)
        for candidate, parents, scores in made:
            history = history.add([(candidate, "x", parents)], 0)
            history = history.change(len(history.trials) - 1, scores=dict(enumerate(scores)), met=3)
        return history

    def test_the_child_has_what_each_parent_changed(self) -> None:
        history = self.grown((self.two(find="a"), (0,), [1, 1, 0]), (self.two(answer="b"), (0,), [0, 0, 1]))
        (child,) = MergedWinners().propose(history, Random(0), 5)
        assert child == self.two(find="a", answer="b")
        assert history.parents(child, 0) == (1, 2)
        assert merge(self.two(find="a"), self.two(answer="b"), self.two()) == child  # with nothing left to chance

    def test_what_one_parent_took_back_on_purpose_stays_taken_back(self) -> None:
        """Both come from trial 1; only the second changed ``find`` since, back to what was declared."""
        middle = self.two(find="bad", answer="m")
        history = self.grown(
            (middle, (0,), [0, 0, 0]),
            (self.two(find="bad", answer="a"), (1,), [1, 1, 0]),
            (self.two(answer="m"), (1,), [0, 0, 1]),
        )
        assert common_ancestor(history, history.trials[2], history.trials[3]) == 1
        (child,) = MergedWinners().propose(history, Random(0), 5)
        assert child == self.two(answer="a")

    def test_where_both_changed_a_part_the_better_parent_has_it(self) -> None:
        history = self.grown((self.two(find="a", answer="c"), (0,), [1, 1, 0]), (self.two(find="b"), (0,), [0, 0, 1]))
        better, worse, declared = (history.trials[n].candidate for n in (1, 2, 0))
        assert merge(better, worse, declared) == better
        children = {c for seed in range(20) for c in MergedWinners().propose(history, Random(seed), 5)}
        assert children == {self.two(find="b", answer="c")}  # that child is known, so chance decides

    def test_pairs_with_most_to_gain_come_first_and_of_those_that_win_alike_there_is_no_child(self) -> None:
        history = self.grown(
            (self.two(find="a"), (0,), [1, 0.6, 0]),
            (self.two(answer="b"), (0,), [0, 0.7, 0.1]),
            (self.two(answer="c"), (0,), [0, 0, 1]),
        )
        first, *_ = MergedWinners().propose(history, Random(0), 5)
        assert history.parents(first, 0) == (1, 3)
        alike = self.grown((self.two(find="a"), (0,), [1, 1, 0]), (self.two(answer="b"), (0,), [1, 1, 0]))
        assert MergedWinners().propose(alike, Random(0), 5) == []
        apart = self.grown((self.two(find="a"), (0,), [1, 0, 0]), (self.two(answer="b"), (0,), [0, 0, 1]))
        apart = apart.change(1, scores={0: 1.0}).change(2, scores={2: 1.0})  # nothing shows that one fails there
        assert MergedWinners().propose(apart, Random(0), 5) == []

    def test_what_two_gain_from_each_other_is_taken_where_both_were(self) -> None:
        history = self.grown((self.two(find="a"), (0,), [1, 0, 1]), (self.two(answer="b"), (0,), [0, 1, 0]))
        assert complement(history.trials[1], history.trials[2]) == pytest.approx(1 / 3)
        history = history.change(2, scores={1: 1.0})
        assert complement(history.trials[1], history.trials[2]) == 0.0
        assert complement(history.trials[1], Trial(9, self.two(), "x")) == 0.0
