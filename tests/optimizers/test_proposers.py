"""Every proposer under the contract, and what is particular to each."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import dspy
import fakes
import pytest
from contracts import ProposerContract
from dstill.eval import Runner
from dstill.optimizers import Candidate, History, PredictorState, Proposer
from dstill.optimizers.proposers import (
    BootstrappedDemos,
    CombinedParts,
    DiverseDemos,
    Ground,
    LabeledDemos,
    WrittenInstructions,
)
from dstill.optimizers.proposers.diverse import distance, points_of, spread
from dstill.optimizers.proposers.front import draw_parent, front
from dstill.runtime import LM, Budget, BudgetExhausted, ScriptedEngine, Session
from dstill.runtime.fields import render_fields


class TestLabeled(ProposerContract):
    def make(self, ground: Ground) -> Proposer:
        return LabeledDemos(ground, 3)

    def test_demos_are_labelled_training_examples(self) -> None:
        ground = self.ground()
        known = {(row.text, row.colour) for row in ground.train}
        history = self.history(ground)
        for candidate in self.make(ground).propose(history, Random(0), 4):
            assert history.parents(candidate, 0) == (1,)  # whoever leads says what to do with them
            assert candidate.predictors["self"].instructions == "Look twice."
            demos = candidate.predictors["self"].demos
            assert len(demos) == 3
            assert all((demo["text"], demo["colour"]) in known for demo in demos)

    def test_some_sets_are_new_and_some_keep_most_of_the_best_one(self) -> None:
        ground = self.ground()
        pool = [demo for _, demo in ground.labelled("self")]
        best = ground.baseline.with_state("self", demos=tuple(pool[:8]))
        history = History().add([(ground.baseline, "declared", ()), (best, "x", (0,))], 0)
        for number in (0, 1):
            history = history.change(number, scores=dict.fromkeys(range(10), float(number)), met=10)
        made = LabeledDemos(ground, 8).propose(history, Random(0), 40)
        kept = [sum(demo in pool[:8] for demo in candidate.predictors["self"].demos) for candidate in made]
        assert all(len(candidate.predictors["self"].demos) == 8 for candidate in made)
        assert 12 < sum(count >= 5 for count in kept) < 28  # three quarters are kept of half of them
        assert sum(count <= 3 for count in kept) > 12

    def test_of_answers_that_come_again_each_is_shown_as_often(self) -> None:
        ground = self.ground()
        for candidate in LabeledDemos(ground, 8).propose(
            History().add([(ground.baseline, "declared", ())], 0), Random(1), 6
        ):
            shown = Counter(demo["colour"] for demo in candidate.predictors["self"].demos)
            assert set(shown.values()) == {2}


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

    @pytest.mark.parametrize("teacher", ["lm", "prompt_lm"])
    def test_the_teacher_runs_on_the_model_that_is_asked_for(self, teacher: Any) -> None:
        task = fakes.task()
        pupil, better = (LM(fakes.painter(lambda d, i, skill=skill: skill), Session()) for skill in (0.0, 1.0))
        ground = Ground(task.program, task.train, Runner(pupil, task.metric), better)
        found = BootstrappedDemos(ground, 3, 20, teacher).propose(self.history(ground), Random(0), 2)
        assert bool(found) == (teacher == "prompt_lm")
        assert all(d["colour"] == fakes.truth(d["text"]) for c in found for d in c.predictors["self"].demos)
        assert (pupil.door.engine.calls > 0) == (teacher == "lm")

    def test_asked_again_it_bootstraps_from_the_better_program(self) -> None:
        ground = self.ground()
        history = self.history(ground)
        asked: list[str] = []
        engine: Any = ground.runner.lm.door.engine  # type: ignore[union-attr]
        plain = engine._script

        def script(request: Any) -> Any:
            asked.append(str(request.system))
            return plain(request)

        engine._script = script
        declared = History(history.trials[:1])
        for known, told in ((declared, "Name the colour."), (history, "Look twice.")):
            asked.clear()
            self.make(ground).propose(known, Random(0), 1)
            assert asked
            assert all(told in system for system in asked)

    def test_no_success_brings_nothing(self) -> None:
        task = fakes.task()
        lm = LM(fakes.painter(lambda d, i: 0.0))
        ground = Ground(task.program, task.train, Runner(lm, task.metric), lm)
        assert self.make(ground).propose(History().add([(ground.baseline, "declared", ())], 0), Random(0), 3) == []


class TestDiverse(ProposerContract):
    def make(self, ground: Ground) -> Proposer:
        return DiverseDemos(ground, 4)

    ROWS = (
        [{"text": f"cats purr softly {n % 2}", "colour": "red"} for n in range(30)]
        + [{"text": "dogs bark loudly", "colour": "red"}, {"text": "fish swim", "colour": "blue"}]
        + [{"text": "cats purr softly 1", "colour": "green"}]
    )

    def test_rare_kinds_and_labels_are_shown_more_often_than_by_chance(self) -> None:
        points = points_of(self.ROWS, {"text": None})
        diverse = [spread(points, 4, Random(seed)) for seed in range(200)]
        blind = [Random(seed).sample(range(len(self.ROWS)), 4) for seed in range(200)]
        for rare in (30, 31, 32):
            assert sum(rare in chosen for chosen in diverse) > 100
            assert sum(rare in chosen for chosen in blind) < 50

    def test_equal_examples_are_not_shown_twice(self) -> None:
        points = points_of(self.ROWS[:30], {"text": None})
        for seed in range(20):
            chosen = spread(points, 4, Random(seed))
            assert len(chosen) == 2
            assert {place % 2 for place in chosen} == {0, 1}
        assert spread(points, 0, Random(0)) == []

    def test_examples_are_drawn_by_their_squared_distance_from_the_nearest_drawn(self) -> None:
        points = points_of([{"x": w, "y": y} for w, y in (("a", 0), ("b", 0), ("a", 1), ("b", 1))], {"x": None})
        seconds = [drawn[1] for seed in range(4000) if (drawn := spread(points, 2, Random(seed)))[0] == 0]
        shares = [seconds.count(place) / len(seconds) for place in range(4)]
        assert shares == pytest.approx([0, 1 / 6, 1 / 6, 4 / 6], abs=0.04)  # distances 0, 1/2, 1/2, 1

    def test_weights_of_words_are_those_of_scikit_learn(self) -> None:
        from sklearn.feature_extraction import text

        texts = ["the cat sat on the mat", "the dog sat", "a dog and a cat", "nothing of it"]
        vectors = text.TfidfVectorizer(token_pattern=r"\w+").fit_transform(texts).toarray()
        points = points_of([{"x": t, "y": 0} for t in texts], {"x": None})
        for i in range(4):
            for j in range(4):
                assert 1 - 2 * distance(points[i], points[j]) == pytest.approx(vectors[i] @ vectors[j], abs=1e-12)

    def test_the_leaders_instructions_stay_and_the_leader_is_the_parent(self) -> None:
        ground = self.ground()
        history = self.history(ground)
        known = {(row.text, row.colour) for row in ground.train}
        for candidate in self.make(ground).propose(history, Random(0), 4):
            assert candidate.predictors["self"].instructions == "Look twice."
            assert history.parents(candidate, 0) == (1,)
            demos = candidate.predictors["self"].demos
            assert len(demos) == 4
            assert all((demo["text"], demo["colour"]) in known for demo in demos)
            assert len({demo["colour"] for demo in demos}) > 1


class TestWritten(ProposerContract):
    def make(self, ground: Ground) -> Proposer:
        return WrittenInstructions(ground)

    def test_some_are_shown_with_the_best_demonstrations_and_some_without(self) -> None:
        """Beside demonstrations that do harm no instruction is seen to be good."""
        task = fakes.task()
        texts = iter(range(100))
        writer = LM(ScriptedEngine(lambda r: render_fields({"instruction": f"Rule {next(texts)}."})))
        ground = Ground(task.program, task.train, Runner(writer, task.metric), writer)
        demos = ({"text": "thing number 0", "colour": "red"},)
        history = self.history(ground).add([(ground.baseline.with_state("self", demos=demos), "x", (0,))], 0)
        best = len(history.trials) - 1
        history = history.change(best, scores=dict.fromkeys(range(12), 1.0), met=12)
        history = replace(history, leads=(*history.leads, best))
        made = self.make(ground).propose(history, Random(0), 20)
        assert len(made) == 20
        shown = [candidate.predictors["self"].demos for candidate in made]
        assert 4 < shown.count(demos) < 16
        assert shown.count(demos) + shown.count(()) == 20

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


class TestFront:
    @staticmethod
    def history(*rows: list[float | None]) -> History:
        base = Candidate({"self": PredictorState("0")})
        made = [(base.with_state("self", instructions=str(n)), "x", ()) for n in range(len(rows))]
        history = History().add(made, 0)
        for number, row in enumerate(rows):
            scores = {place: score for place, score in enumerate(row) if score is not None}
            history = history.change(number, scores=scores, met=len(row))
        return history

    def test_a_trial_that_wins_nowhere_or_only_where_another_does_is_left_out(self) -> None:
        assert front(self.history([1, 1, 0, 0], [0, 0, 1, 0.5], [1, 0, 0, 0.2], [0, 0, 0, 0])) == {0: 2, 1: 2}

    def test_of_trials_that_win_on_the_same_places_one_stays(self) -> None:
        assert front(self.history([1, 0], [1, 0], [0, 1])) == {0: 1, 2: 1}

    def test_it_agrees_with_the_definition_on_random_scores(self) -> None:
        chance = Random(3)
        for _ in range(200):
            rows = [[chance.choice([0.0, 0.5, 1.0, None]) for _ in range(5)] for _ in range(5)]
            history = self.history(*rows)
            won = [
                {
                    place
                    for place in range(5)
                    if row[place] is not None and all((o[place] or 0) <= row[place] for o in rows)  # type: ignore[operator]
                }
                for row in rows
            ]
            found = front(history)
            for number, places in enumerate(won):
                if number in found:
                    assert found[number] == len(places) > 0
                    assert not any(places < other for other in won)
                else:  # somebody in the front is best wherever it is
                    assert any(places <= won[n] for n in found) or not any(won)

    def test_parents_are_drawn_by_how_often_they_win(self) -> None:
        history = self.history([1, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0])
        chance = Random(0)
        drawn = [draw_parent(history, chance) for _ in range(400)]
        count = sum(trial is not None and trial.number == 0 for trial in drawn)
        assert {trial.number for trial in drawn if trial} == {0, 1}
        assert 260 < count < 340  # three of four

    def test_before_any_score_there_is_none(self) -> None:
        assert draw_parent(self.history([], []), Random(0)) is None


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

    def test_its_parents_are_those_whose_parts_it_has(self) -> None:
        ground = self.ground()
        history = self.history(ground)
        for child in self.make(ground).propose(history, Random(0), 8):
            state = child.predictors["self"]
            expected = {1} if state.instructions == "Look twice." else set()
            expected |= {n for n in (1, 2) if history.trials[n].candidate.predictors["self"].demos == state.demos}
            assert set(history.parents(child, 0)) == expected

    def test_it_leaves_nothing_but_what_is_new(self) -> None:
        ground = self.ground()
        lone = History().add([(ground.baseline, "declared", ())], 0)
        assert self.make(ground).propose(lone, Random(0), 5) == []
