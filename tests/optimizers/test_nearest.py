"""Nearest-neighbour demonstrations: who is near, what is shown, and what becomes of it on disk."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import dspy
import fakes
import pytest
from contracts import ProposerContract
from dstill.eval import Runner
from dstill.optimizers import Candidate, Proposer, compile, load_program
from dstill.optimizers.nearest import NearestPredict, Pool
from dstill.optimizers.proposers import Ground, LabeledDemos, NearestDemos
from dstill.optimizers.proposers.base import without
from dstill.programs import Task, make_examples, metrics
from dstill.runtime import LM, ScriptedEngine, Session
from dstill.runtime.fields import input_fields, render_fields

TEXTS = ["the cat sat on the mat", "the dog sat", "a dog and a cat", "nothing of it", "birds sing at dawn"]
DEMOS = [{"text": text, "colour": "red"} for text in TEXTS]


def test_who_is_near_is_as_scikit_learn_has_it() -> None:
    from sklearn.feature_extraction import text

    made = text.TfidfVectorizer(token_pattern=r"\w+").fit(TEXTS)
    for asked in ("a cat", "the dog sang at dawn", "sat sat mat"):
        cosines = (made.transform(TEXTS) @ made.transform([asked]).T).toarray()[:, 0]
        expected = [TEXTS[place] for place in sorted(range(5), key=lambda place: (-cosines[place], place))[:3]]
        found = Pool(DEMOS, ["text"]).nearest({"text": asked}, 3)
        assert [demo["text"] for demo in found] == expected[::-1]  # the nearest stands last


def test_where_nothing_is_shared_the_first_are_shown() -> None:
    assert Pool(DEMOS, ["text"]).nearest({"text": "?!"}, 2) == [DEMOS[1], DEMOS[0]]
    assert Pool(DEMOS, ["text"]).nearest({"text": "a cat"}, 0) == []


class TestNearest(ProposerContract):
    def make(self, ground: Ground) -> Proposer:
        return NearestDemos(ground, 3)

    def test_it_brings_the_leaders_instructions_and_a_pool(self) -> None:
        ground = self.ground()
        history = self.history(ground)
        found = self.make(ground).propose(history, Random(0), 8)
        assert [len(candidate.predictors["self"].demos) for candidate in found] == [3, 2, 1]
        for candidate in found:
            assert candidate.predictors["self"].instructions == "Look twice."
            assert len(candidate.predictors["self"].pool) == len(ground.train)
            assert history.parents(candidate, 0) == (1,)

    def test_a_predictor_of_another_kind_is_left_alone(self) -> None:
        class Own(dspy.Predict):
            pass

        task = fakes.task(program=Own(fakes.Paint))
        lm = LM(fakes.painter(), Session())
        ground = Ground(task.program, task.train, Runner(lm, task.metric), lm)
        assert self.make(ground).propose(self.history(ground), Random(0), 3) == []


def nearby() -> tuple[Task, ScriptedEngine]:
    """Things of a hundred families, each with a colour; a model that says what is shown for the family."""
    names = [f"family{n}" for n in range(40)]
    rows = [{"id": f"{name}-{k}", "text": f"{name} item{k}", "colour": fakes.COLOURS[n % 4]}
            for k in range(4) for n, name in enumerate(names)]  # fmt: skip
    examples = make_examples(rows, inputs=["text"])

    def script(request: Any) -> str:
        family = input_fields(request)["text"].split()[0]
        shown = [(m.text, a.text) for m, a in zip(request.messages[:-1:2], request.messages[1:-1:2], strict=True)]
        seen = next((a for m, a in shown if f"{family} " in m), None)
        return seen if seen is not None else render_fields({"colour": "black"})

    task = Task("near", dspy.Predict(fakes.Paint), examples[:40], examples[40:120], examples[120:],
                metrics.exact("colour"))  # fmt: skip
    return task, ScriptedEngine(script, name="nearby", repeatable=True)


def test_a_race_finds_it_where_likeness_helps_and_it_is_saved_and_loaded(tmp_path: Path) -> None:
    task, engine = nearby()
    made = compile(task, engine, replace(fakes.SMALL, nearest=2, instructions=0), run=tmp_path / "r")
    assert "a gain of" in made.verdict
    assert made.candidate.predictors["self"].pool
    assert "nearest demos" in str(made)
    again = load_program(tmp_path / "r", task.program, lm=engine)
    assert again.candidate == made.candidate
    assert isinstance(again.program, NearestPredict)
    for program in (made, again):
        assert all(program(text=row.text).colour == row.colour for row in task.test[:8])
    assert asyncio.run(made.acall(text=task.test[0].text)).colour == task.test[0].colour
    plain = dspy.Predict(fakes.Paint)
    plain.load(tmp_path / "r" / "program.json")
    assert len(plain.demos) == len(made.candidate.predictors["self"].demos) <= 8


def test_applied_anew_a_predictor_is_plain_again_and_copies_choose_too() -> None:
    task, _ = nearby()
    declared = Candidate.of(task.program)
    chosen = declared.with_state("self", demos=tuple(DEMOS[:2]), pool=tuple(DEMOS))
    made = chosen.apply(task.program)
    assert Candidate.of(made) == chosen != declared
    assert Candidate.of(copy.deepcopy(made)) == Candidate.of(made.deepcopy()) == chosen
    plain = declared.apply(made)
    assert type(plain) is dspy.Predict
    assert Candidate.of(plain) == declared
    assert isinstance(made, NearestPredict)
    assert Candidate.load(chosen.dump()) == chosen
    assert "pool" not in declared.dump()["self"]
    assert chosen.length == declared.with_state("self", demos=tuple(DEMOS[:2])).length


def test_an_example_is_not_shown_to_itself_and_other_demonstrations_take_the_pool_away() -> None:
    task, _ = nearby()
    ground = Ground(task.program, task.train, None, None)  # type: ignore[arg-type]
    (chosen,) = NearestDemos(ground, 2).propose(TestNearest().history(ground), Random(0), 1)
    left = without(chosen, task.train[3]).predictors["self"].pool
    assert len(left) == len(task.train) - 1
    shown = chosen.predictors["self"].demos
    itself = next(example for example in task.train if example.text == shown[0]["text"])
    assert without(chosen, itself).predictors["self"].demos == shown  # of the pool it still chooses as many
    alone = chosen.with_state("self", demos=shown, pool=shown[:1])
    assert without(alone, itself).predictors["self"].shown == (shown[1:], ())
    assert chosen.with_state("self", demos=()).predictors["self"].pool == ()
    assert chosen.with_state("self", instructions="x").predictors["self"].pool
    assert LabeledDemos(ground, 2).propose(TestNearest().history(ground), Random(0), 1)[0].predictors["self"].pool == ()


@pytest.mark.parametrize("k", [1, 4])
def test_what_is_shown_is_what_is_nearest(k: int) -> None:
    seen: list[list[str]] = []

    def script(request: Any) -> str:
        seen.append([m.text for m in request.messages[:-1:2]])
        return render_fields({"colour": "red"})

    candidate = Candidate.of(dspy.Predict(fakes.Paint)).with_state("self", demos=tuple(DEMOS[:k]), pool=tuple(DEMOS))
    with dspy.context(lm=LM(ScriptedEngine(script), Session()), adapter=dspy.ChatAdapter()):
        candidate.apply(dspy.Predict(fakes.Paint))(text="a bird at dawn")
    assert len(seen[0]) == k
    assert "birds sing at dawn" in seen[0][-1]
