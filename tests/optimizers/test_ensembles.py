"""Ensembles: who is chosen to vote, what it costs, and what becomes of it on disk."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

import dspy
import fakes
import numpy as np
import pytest
from contracts import ProposerContract
from dstill.eval import Runner
from dstill.eval.runner import jobs_for
from dstill.optimizers import Candidate, CompiledProgram, History, Proposer, Race, compile, load_program
from dstill.optimizers.proposers import Ground, VotingEnsembles
from dstill.optimizers.proposers.ensembles import selected, voted
from dstill.optimizers.voting import Vote, majority
from dstill.runtime import LM, BadInput, ScriptedEngine, Session
from dstill.runtime.fields import input_fields, render_fields


def test_a_vote_on_scores_is_the_vote_on_answers_where_wrong_ones_are_alike() -> None:
    draw = np.random.default_rng(0)
    scores = draw.integers(0, 2, size=(5, 200)).astype(float)
    real = []
    for place in range(200):
        answers = [dspy.Prediction(colour="red" if score else "blue") for score in scores[:, place]]
        real.append(float(answers[majority(answers)].colour == "red"))
    assert voted(scores).tolist() == real
    scores[2, 7] = np.nan
    assert np.flatnonzero(np.isnan(voted(scores))).tolist() == [7]


def test_forward_selection_takes_the_best_three_by_brute_force_and_goes_on_while_it_gains() -> None:
    for seed in range(20):
        scores = (np.random.default_rng(seed).random((7, 60)) < 0.6).astype(float)
        start = seed % 7
        means = {one: voted(scores[list(one)]).mean() for one in combinations(range(7), 3) if start in one}
        found = selected(scores, start)
        alone = scores[start].mean()
        if max(means.values()) <= alone:
            assert found == []
            continue
        assert means[found[0]] == max(means.values())
        fives = {one: voted(scores[list(one)]).mean() for one in combinations(range(7), 5) if {*found[0]} <= {*one}}
        better = max(fives.values()) > means[found[0]]
        assert [len(one) for one in found] == ([3, 5] if better else [3])
        assert not better or fives[found[1]] == max(fives.values())


class TestEnsembles(ProposerContract):
    fruitful = False  # in the contract's history nobody is right where the best is wrong

    def make(self, ground: Ground) -> Proposer:
        return VotingEnsembles()

    def test_it_brings_those_that_are_right_on_different_examples_the_better_first(self) -> None:
        history = apart(self.ground())
        (found, *_) = self.make(self.ground()).propose(history, Random(0), 4)
        assert [history.trials[n].candidate for n in (2, 1, 3)] == list(found.voices)
        assert history.parents(found, 0) == (2, 1, 3)
        assert found.length == sum(voice.length for voice in found.voices)

    def test_a_vote_is_no_voter_and_is_not_proposed_again(self) -> None:
        ground = self.ground()
        history = apart(ground)
        first = self.make(ground).propose(history, Random(0), 9)
        more = history.add([(one, "ensembles", (1, 2, 3)) for one in first], 1)
        for number in range(len(history.trials), len(more.trials)):
            more = more.change(number, scores=dict.fromkeys(range(60), 0.7), met=60)
        for one in self.make(ground).propose(more, Random(0), 9):
            assert not any(voice.others for voice in one.voices)
            assert one not in first

    def test_luck_on_few_examples_is_not_enough(self) -> None:
        history = apart(self.ground(), rows=6)
        assert self.make(self.ground()).propose(history, Random(0), 4) == []

    def test_it_goes_back_and_forth_as_json(self) -> None:
        (found, *_) = self.make(self.ground()).propose(apart(self.ground()), Random(0), 1)
        assert Candidate.load(found.dump()) == found != found.voices[0]
        assert found.with_state("self", demos=()).others == ()


def apart(ground: Ground, rows: int = 60) -> History:
    """Three of whom each is wrong on another third of the rows, one of them once more and one once less."""
    made = [ground.baseline.with_state("self", instructions=f"Way {n}.") for n in range(3)]
    history = History().add([(ground.baseline, "declared", ()), *((one, "x", (0,)) for one in made)], 0)
    for number in range(4):
        scores = {place: float(number > 0 and place % 3 != number - 1) for place in range(rows)}
        if number == 2:
            scores[1] = 1.0
        if number == 3:
            scores[3] = 0.0
        history = history.change(number, scores=scores, met=rows)
    return history


def world(skill: Callable[[str], float]) -> ScriptedEngine:
    """A model that is right with probability ``skill(instructions)``, on examples that differ with the instruction."""

    def script(request: Any) -> str:
        system, fields = str(request.system or ""), input_fields(request)
        if "`instruction`" in system:
            draw = random.Random(f"{fields}{request.config.seed}")
            return render_fields({"instruction": draw.choice([f"Way {n}." for n in range(8)])})
        told = system.rpartition("objective is:")[2].strip()
        right = fakes.truth(fields["text"])
        draw = random.Random(f"{told} {fields['text']}").random()
        wrong = fakes.COLOURS[(fakes.COLOURS.index(right) + 1) % 4]
        return render_fields({"colour": right if draw < skill(told) else wrong})

    return ScriptedEngine(script, name="world", repeatable=True)


RACE = Race(candidates=11, width=10, block=30, demos=0, instructions=9, ensembles=2, patience=40)


def spread_out() -> ScriptedEngine:
    """Each instruction is right on 70 of 100, whatever the others are: three together on 78, five on 84."""
    return world(lambda told: 0.7 if told.startswith("Way") else 0.5)


@pytest.fixture(scope="module")
def won(tmp_path_factory: pytest.TempPathFactory) -> CompiledProgram:
    return compile(fakes.task(dev=200), spread_out(), RACE, run=tmp_path_factory.mktemp("ensembles") / "r")


def test_where_a_vote_is_truly_better_it_wins_and_its_price_is_told(won: CompiledProgram) -> None:
    voices = len(won.candidate.voices)
    assert voices in (3, 5)
    told = f"it is a vote of {voices} programs, which takes {voices} calls an answer, and the declared program 1"
    assert told in won.verdict
    assert "a gain of +" in won.verdict
    assert f"a vote of {voices}: self: 0 demos, 'Way " in str(won)
    assert won._repr_html_().count("<h4>") == voices
    found = won.explain()
    assert won.evidence is not None
    trial = found.trials[won.evidence.best]
    assert trial.origin == "ensembles"
    assert trial.cost.calls == voices * trial.met
    assert len(trial.parents) == voices
    task, lm = fakes.task(dev=1, test=300), LM(spread_out(), Session())
    fresh = [row for row in task.test if int(row.text.split()[-1]) >= 240]  # neither trained nor chosen on
    scores = [
        np.mean([o.row.score for o in Runner(lm, task.metric).run(jobs_for(one.apply(task.program), fresh, "test"))])
        for one in (won.candidate, *won.candidate.voices)
    ]
    assert scores[0] > max(scores[1:])


def test_what_those_who_vote_were_asked_before_is_not_paid_again() -> None:
    task, candidate = fakes.trio("Way 0.", "Way 1.", "Way 2.")
    lm = LM(spread_out(), Session())
    for voice in candidate.voices:
        Runner(lm, task.metric).run(jobs_for(voice.apply(task.program), task.dev, "dev"))
    paid = len(lm.door.session.journal)
    rows = [o.row for o in Runner(lm, task.metric).run(jobs_for(candidate.apply(task.program), task.dev, "dev"))]
    assert len(lm.door.session.journal) == paid == 3 * len(task.dev)
    assert all(row.calls == 3 for row in rows)


def test_where_the_best_is_right_wherever_another_is_there_is_no_vote(tmp_path: Path) -> None:
    made = compile(fakes.task(), fakes.painter(), replace(fakes.SMALL, ensembles=3), run=tmp_path / "r")
    assert not any(trial.candidate.others for trial in made.explain().trials)


def test_where_one_is_far_better_than_all_others_no_vote_wins(tmp_path: Path) -> None:
    engine = world(lambda told: 0.95 if told == "Way 1." else 0.5)
    made = compile(fakes.task(dev=100), engine, RACE, run=tmp_path / "r")
    assert made.candidate.predictors["self"].instructions == "Way 1."
    assert made.candidate.others == ()
    assert "vote" not in made.verdict


def test_a_front_holds_a_vote_at_its_price(tmp_path: Path) -> None:
    made = compile(fakes.task(dev=200), spread_out(), RACE, objective="score,prompt_tokens", run=tmp_path / "r")
    assert made.front is not None
    tokens = {len(point.candidate.voices): point.values["prompt_tokens"] for point in made.front}
    assert {1} < set(tokens)
    dear = max(tokens)
    assert tokens[dear] == pytest.approx(dear * tokens[1], rel=0.1)
    single = made.pick(prompt_tokens=1.5 * tokens[1])
    assert not isinstance(single.program, Vote)
    again = single.pick(next(point.trial for point in made.front if point.candidate.others))
    assert isinstance(again.program, Vote)


def test_it_is_saved_and_loaded_and_plain_dspy_loads_the_best_of_those_who_vote(won: CompiledProgram) -> None:
    made, task, engine = won, fakes.task(dev=200), spread_out()
    assert made.folder is not None
    again = load_program(made.folder, task.program, lm=engine)
    assert again.candidate == made.candidate == Candidate.of(again.program)
    assert isinstance(again.program, Vote)
    for row in task.test:
        answer = again(text=row.text).colour
        assert answer == made(text=row.text).colour == asyncio.run(made.acall(text=row.text)).colour
        with dspy.context(lm=LM(engine, Session()), adapter=dspy.ChatAdapter()):
            plain = dspy.Ensemble(reduce_fn=dspy.majority).compile(again.program.programs)
            assert plain(text=row.text).colour == answer
    plain = dspy.Predict(fakes.Paint)
    plain.load(made.folder / "program.json")
    assert plain.signature.instructions == made.candidate.voices[0].predictors["self"].instructions


def test_a_share_below_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="ensembles=-1"):
        Race(ensembles=-1)
