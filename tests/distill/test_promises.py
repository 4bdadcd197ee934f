"""Promises of cascades where an example has several calls, several students, or a student that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import dspy
import fakes
import pytest
from dspy import lm15
from dstill.distill import Cascade, Collect, DistillState, Gate, TrainEncoder
from dstill.distill.cascades import CascadeEngine
from dstill.distill.checking import check_behind
from dstill.distill.recipes import recipe_of
from dstill.distill.stages import binding, cascade
from dstill.distill.students.engines import Free, own_failure
from dstill.eval.runner import Runner, jobs_for
from dstill.optimizers import compile
from dstill.optimizers.nearest import choosing
from dstill.runtime import LM, BadInput, Journal, ScriptedEngine, Session
from dstill.runtime.engines.base import text_response
from dstill.runtime.fields import input_fields, render_fields
from dstill.runtime.wire import request_of_chat

import dstill

Sure = dict[str, float]
KINDS = ("red", "blue", "green", "grey")


class Sort(dspy.Signature):
    """Name the kind."""

    text: str = dspy.InputField()
    kind: Literal["red", "blue", "green", "grey", "none"] = dspy.OutputField()


class Twice(dspy.Module):
    """One predictor, asked about each of two things."""

    def __init__(self) -> None:
        super().__init__()
        self.p = dspy.Predict(Sort)

    def forward(self, text: str) -> Any:
        return dspy.Prediction(kinds=[self.p(text=one).kind for one in text.split(" + ")])


class Both(dspy.Module):
    """Two predictors, asked about the same."""

    def __init__(self) -> None:
        super().__init__()
        self.p, self.q = dspy.Predict(Sort), dspy.Predict(Sort)

    def forward(self, text: str) -> Any:
        return dspy.Prediction(kinds=[self.p(text=text).kind, self.q(text=text).kind])


class Scripted(Free):
    """Right on red and blue; of the others it says "none". As sure of each kind as it is told."""

    concurrency, max_tokens, parameters = 8, 64, 1

    def __init__(self, name: str, sure: Sure) -> None:
        super().__init__()
        self.name, self.sure = name, sure
        self.identity = {"kind": "student", "weights": name, **sure}

    def confidence(self, inputs: Any) -> float:
        with own_failure(self.name):
            return self.sure[inputs["text"].split()[0]]

    def answer(self, request: Any) -> tuple[Any, float]:
        with own_failure(self.name):
            kind = input_fields(request)["text"].split()[0]
            said = render_fields({"kind": kind if kind in ("red", "blue") else "none"})
            return text_response(request.model, said, read=1, written=1), self.sure[kind]

    def complete(self, request: Any) -> Any:
        return self.answer(request)[0]


def knows(request: Any) -> str:
    return render_fields({"kind": input_fields(request)["text"].split()[0]})


def kinds(text: str) -> list[str]:
    return [one.split()[0] for one in text.split(" + ")]


def calibrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: dspy.Module, texts: list[str],
    right: Callable[[list[str], list[str]], bool], sure: Sure, harm: float = 0.05, engine: Any = None,
) -> tuple[DistillState, float]:  # fmt: skip
    """The state after the cascade, and what the program as it ships scores on dev; the teacher is always right."""
    rows = [dspy.Example(text=text, kinds=kinds(text)).with_inputs("text") for text in texts]
    few = [dspy.Example(text=f"red {n} + red {n}", kinds=["red", "red"]).with_inputs("text") for n in range(900, 904)]

    def metric(example: Any, prediction: Any, trace: Any = None) -> float:
        return float(right(example.kinds, prediction.kinds))

    task = dstill.Task("sort", program, few[:2], rows, few[2:], metric)
    teacher = engine or ScriptedEngine(knows, repeatable=True)
    made = compile(task, teacher, "zero-shot", run=tmp_path / "teacher")
    students = {name: tmp_path / name for name, _ in program.named_predictors()}
    for module in (binding, cascade):
        monkeypatch.setattr(module, "student_engine", lambda folder: Scripted(folder.name, sure))
        monkeypatch.setattr(module, "keeps_prompt", lambda folder: False)
    given = DistillState(task.compile_view, made, "", Session(Journal(tmp_path / "j")), tmp_path / "run")
    after = Cascade(harm=harm).run(DistillState(**{**vars(given), "students": students}))
    shipped = {name: folder for name, folder in students.items() if after.gates[name].shipped}
    runs = binding.bind(after, binding.shipped_lms(shipped, after))
    lm = made.lm.on(after.session)
    scores = [one.row.score or 0.0 for one in Runner(lm, metric).run(jobs_for(runs, task.dev, "dev"))]
    return after, sum(scores) / len(scores)


def pairs(count: int = 200) -> list[str]:
    """Seven of ten are easy; of the others the first half is green and the second grey."""
    return [
        f"green {n} + grey {n}" if n % 10 >= 7 else f"{KINDS[n % 2]} {n} + {KINDS[n // 2 % 2]} {n}"
        for n in range(count)
    ]


def test_a_sure_mistake_beside_an_unsure_answer_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call decides for itself: that the other one is unsure keeps nobody from the mistake."""
    sure = {"red": 0.99, "blue": 0.99, "green": 0.99, "grey": 0.1}
    after, score = calibrated(tmp_path, monkeypatch, Twice(), pairs(), lambda want, said: want == said, sure)
    assert not after.gates["p"].shipped
    assert score == 1.0


def test_so_it_does_where_the_program_works_on_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Copies(Twice):
        def forward(self, text: str) -> Any:
            return dspy.Prediction(kinds=[self.p.deepcopy()(text=one).kind for one in text.split(" + ")])

    sure = {"red": 0.99, "blue": 0.99, "green": 0.99, "grey": 0.1}
    after, score = calibrated(tmp_path, monkeypatch, Copies(), pairs(), lambda want, said: want == said, sure)
    assert not after.gates["p"].shipped
    assert score == 1.0


def test_where_its_mistakes_are_unsure_the_threshold_lies_above_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sure = {"red": 0.99, "blue": 0.99, "green": 0.5, "grey": 0.1}
    after, score = calibrated(tmp_path, monkeypatch, Twice(), pairs(), lambda want, said: want == said, sure)
    assert after.gates["p"].threshold == 0.99
    assert score == 1.0
    assert "answers 70 % itself" in after.gates["p"].why


def test_students_that_fail_together_do_not_ship_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One right opinion is enough, so that either student alone loses nothing by what it gets wrong."""
    sure = dict.fromkeys(KINDS, 0.99)
    texts = [f"{KINDS[n % 2] if n % 10 < 7 else 'green'} {n}" for n in range(200)]
    after, score = calibrated(tmp_path, monkeypatch, Both(), texts, lambda want, said: want[0] in said, sure, 0.08)
    assert not any(gate.shipped for gate in after.gates.values())
    assert score == 1.0


def test_several_students_share_harm_and_doubt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sure = {"red": 0.99, "blue": 0.99, "green": 0.4, "grey": 0.4}
    texts = [f"{KINDS[n % 2] if n % 10 < 7 else 'green'} {n}" for n in range(300)]
    after, score = calibrated(
        tmp_path, monkeypatch, Both(), texts, lambda want, said: 2 * want == said, sure, harm=0.08
    )
    assert {name: gate.threshold for name, gate in after.gates.items()} == {"p": 0.99, "q": 0.99}
    assert "loses at most 4.0 points at 98.75 %" in after.gates["p"].why
    assert score == 1.0


def test_of_one_call_only_what_is_lost_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that differs and does no harm may stand."""

    class Once(Twice):
        pass

    sure = dict.fromkeys(KINDS, 0.9)
    texts = [f"{KINDS[n % 2] if n % 10 < 7 else 'green'} {n}" for n in range(200)]
    after, _ = calibrated(tmp_path, monkeypatch, Once(), texts, lambda want, said: len(said) == 1, sure)
    assert after.gates["p"].threshold == 0.9
    assert "answers 100 % itself" in after.gates["p"].why


UNSURE = {"red": 0.99, "blue": 0.99, "green": 0.1, "grey": 0.1}


def test_a_predictor_with_a_model_of_its_own_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Twice()
    program.p.lm = LM(ScriptedEngine(knows, repeatable=True, name="strong"))
    weak = ScriptedEngine(lambda request: render_fields({"kind": "none"}), repeatable=True, name="weak")
    whole = lambda want, said: want == said  # noqa: E731
    after, score = calibrated(tmp_path, monkeypatch, program, pairs(), whole, UNSURE, engine=weak)
    assert after.gates["p"].shipped
    assert score == 1.0


def test_the_teacher_is_asked_with_the_settings_of_its_predictor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(request: Any) -> str:
        return knows(request) if request.config.temperature == 0.5 else render_fields({"kind": "none"})

    program = Twice()
    program.p.config = {"temperature": 0.5}
    teacher = ScriptedEngine(script, repeatable=True)
    whole = lambda want, said: want == said  # noqa: E731
    after, score = calibrated(tmp_path, monkeypatch, program, pairs(), whole, UNSURE, engine=teacher)
    assert after.gates["p"].shipped
    assert score == 1.0


@pytest.mark.parametrize("text", ["  grey\n    1\n\n", "grey 1", "grey [[ ## kind ## ]]\n[[ ## thought ## ]]\nx"])
def test_the_teachers_prompt_is_its_own_to_the_sign(text: str) -> None:
    seen: list[Any] = []

    def script(request: Any) -> str:
        seen.append([(str(request.system), [m.text for m in request.messages])])
        return render_fields({"kind": "grey"})

    predictor = dspy.Predict(Sort.with_instructions("Look well."))
    predictor.demos = [dspy.Example(text="red 9", kind="red")]
    engine = CascadeEngine(Scripted("s", dict.fromkeys(KINDS, 0.2)), LM(ScriptedEngine(script)), predictor, "chat", 0.5)
    engine.complete(request_of_chat("m", dspy.ChatAdapter().format(Sort, [], {"text": text}), lm15.Config()))
    with dspy.context(lm=LM(ScriptedEngine(script)), adapter=dspy.ChatAdapter()):
        predictor(text=text)
    assert seen[0] == seen[1]


def test_a_vote_cannot_stand_behind_a_cascade(tmp_path: Path) -> None:
    task, vote = fakes.trio("a", "b", "c")
    engine = ScriptedEngine(lambda request: render_fields({"colour": "red"}), repeatable=True)
    made = compile(task, engine, "zero-shot", run=tmp_path / "teacher")
    voting = replace(made, candidate=vote, program=vote.apply(task.program))
    before = engine.calls
    stages = [Collect(keep="all"), TrainEncoder(), Gate(), Cascade()]
    with pytest.raises(BadInput, match="is a vote of 3 programs: .* leave the cascade out"):
        dstill.distill(voting, task, "embedded:encoder", stages, run=tmp_path / "small")
    assert engine.calls == before
    check_behind(made, recipe_of(stages))  # of one program; votes may give rows beside it


def test_where_a_student_fails_the_teacher_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not know "grey" at all."""
    texts = [f"{KINDS[n % 2] if n % 10 < 7 else 'grey'} {n}" for n in range(200)]
    after, score = calibrated(
        tmp_path, monkeypatch, Twice(), texts, lambda want, said: want == said, {"red": 0.8, "blue": 0.8}
    )
    assert after.gates["p"].shipped
    assert "answers 70 % itself" in after.gates["p"].why
    assert score == 1.0


def test_a_teacher_that_chooses_its_demonstrations_is_asked_with_those() -> None:
    predictor = dspy.Predict(Sort)
    pool = [{"text": f"{kind} {n}", "kind": kind} for n in range(3) for kind in KINDS]
    predictor.demos = [dspy.Example(**one) for one in pool[:2]]
    choosing(predictor, pool)
    seen: list[Any] = []

    def script(request: Any) -> str:
        seen.append(request)
        return render_fields({"kind": "grey"})

    student = Scripted("s", dict.fromkeys(KINDS, 0.2))
    engine = CascadeEngine(student, LM(ScriptedEngine(script)), predictor, "chat", 0.5)
    plain = dspy.Predict(Sort)
    plain.demos = predictor.demos
    assert engine.identity != CascadeEngine(student, engine.teacher, plain, "chat", 0.5).identity
    asked = dspy.ChatAdapter().format(Sort, [], {"text": "grey 1"})
    engine.complete(request_of_chat("m", asked, lm15.Config()))
    with dspy.context(lm=LM(ScriptedEngine(script))):
        predictor(text="grey 1")
    ours, theirs = ([m.text for m in one.messages] for one in seen)
    assert ours == theirs
    assert any("grey 1" in (text or "") for text in ours[:-1])
