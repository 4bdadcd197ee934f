"""A vote: whose answer is taken, what becomes of those that fail, and what its predictors are called."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import dspy
import fakes
from dstill.eval import Runner
from dstill.eval.runner import jobs_for
from dstill.optimizers import Candidate
from dstill.optimizers.loop import Evaluations
from dstill.optimizers.proposers import Ground
from dstill.optimizers.voting import majority
from dstill.runtime import LM, ScriptedEngine, Session
from dstill.runtime.fields import input_fields, render_fields

SAID = ["red", "Red.", "the blue", "blue", "", "green", "a green"]


def test_who_wins_a_vote_is_as_dspys_majority_has_it() -> None:
    draw = Random(0)
    for _ in range(400):
        answers = [dspy.Prediction(why=str(n), colour=draw.choice(SAID)) for n in range(draw.randint(1, 6))]
        assert dict(answers[majority(answers)]) == dict(dspy.majority(answers))


def test_answers_that_are_no_text_are_counted_too() -> None:
    answers = [dspy.Prediction(found=found) for found in (["a"], ["b", "c"], None, ["b", "c"], None)]
    assert majority(answers) == 1
    assert majority([dspy.Prediction(n=n) for n in (1, 2, 3)]) == 0
    assert majority([dspy.Prediction(), dspy.Prediction(n=1)]) == 1


def says(replies: dict[str, str | Exception]) -> LM:
    def script(request: Any) -> str:
        reply = replies[str(request.system).rpartition("objective is:")[2].strip()]
        if isinstance(reply, Exception):
            raise reply
        return reply if "[[" in reply else render_fields({"colour": reply}) if reply else "?"

    return LM(ScriptedEngine(script, name="says"), Session())


def test_a_program_that_fails_has_no_vote_and_the_trace_is_the_winners() -> None:
    task, candidate = fakes.trio("a", "b", "c")
    program = candidate.apply(task.program)
    (outcome,) = Runner(says({"a": "", "b": "red", "c": "red"}), task.metric).run(
        jobs_for(program, task.dev[:1], "dev"), trace=True
    )
    assert outcome.prediction is not None
    assert outcome.prediction.colour == "red"
    assert [step[0] for step in outcome.trace] == [program.programs[1]]
    (none,) = Runner(says({"a": "", "b": "", "c": ""}), task.metric).run(jobs_for(program, task.dev[:1], "dev"))
    assert none.row.failure is not None
    assert none.row.failure.kind == "parse"


def test_a_model_that_cannot_be_reached_is_no_abstention() -> None:
    task, candidate = fakes.trio("a", "b", "c")
    broken = dspy.lm15.ServerError("down")
    lm = says({"a": "red", "b": "red", "c": broken})
    (outcome,) = Runner(lm, task.metric).run(jobs_for(candidate.apply(task.program), task.dev[:1], "dev"))
    assert outcome.row.status == "unscored"


def test_its_predictors_are_named_as_declared_and_a_copy_votes_too() -> None:
    task, candidate = fakes.trio("a", "b", "c")
    program = candidate.apply(task.program)
    names = [name for name, _ in program.named_predictors()]
    assert names == ["self", "others[0].self", "others[1].self"]
    copy = program.deepcopy()
    assert Candidate.of(copy) == candidate
    assert not {id(p) for p in copy.predictors()} & {id(p) for p in program.predictors()}
    assert Candidate.of(candidate.apply(program)) == candidate
    assert candidate.voices[1].apply(program).signature.instructions == "b"


def test_in_a_program_of_several_predictors_steps_are_those_of_one_program() -> None:
    class Twice(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.look, self.name = dspy.Predict("text -> seen"), dspy.Predict("seen -> colour")

        def forward(self, text: str) -> Any:
            return self.name(seen=self.look(text=text).seen)

    task = fakes.task(program=Twice())
    one = Candidate.of(task.program)
    candidate = replace(
        one.with_state("name", instructions="a"),
        others=tuple(one.with_state("name", instructions=way) for way in "bc"),
    )

    def script(request: Any) -> str:
        if "text" in input_fields(request):
            return render_fields({"seen": "it"})
        told = str(request.system).rpartition("objective is:")[2].strip()
        return render_fields({"colour": {"a": "red", "b": "blue", "c": "blue"}[told]})

    lm = LM(ScriptedEngine(script, name="twice"), Session())
    ground = Ground(task.program, task.train, Runner(lm, task.metric), lm)
    (attempt,) = ground.attempts(candidate, [0])
    assert [step.predictor for step in attempt.steps] == ["look", "name"]
    assert attempt.steps[1].demo["colour"] == "blue"
    assert attempt.row.calls == 6
    assert len(lm.door.session.journal) == 4  # looking is the same for all and is paid once

    evaluations = Evaluations(task.compile_view, Runner(lm, task.metric), lm.door.session)
    evaluations.round([(candidate, 0)])
    assert evaluations.uncalled == ()
