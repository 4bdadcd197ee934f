"""Wrong labels set right by the stage, against labels that are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import fakes
import numpy as np
import pytest
import torch
from contracts import StageContract
from dstill.distill import (
    Correct,
    DistillState,
    Filter,
    Gold,
    Pair,
    Stage,
    TrainCausal,
    TrainEncoder,
    Training,
    recipe_of,
)
from dstill.programs import Task, make_examples, metrics
from dstill.runtime import BadInput, ScriptedEngine
from dstill.runtime.fields import render_fields
from students import FAST, state


def wrong(given: DistillState, share: float) -> tuple[DistillState, list[str]]:
    """The state with some labels taken for the next one, as by a teacher without gold labels, and the right ones."""
    names = sorted({row.outputs["colour"] for row in given.pairs["self"]})
    follow = dict(zip(names, [*names[1:], names[0]], strict=True))
    first = given.pairs["self"]
    rows = [
        replace(row, example=f"{row.example}-{n}", inputs={"text": f"{row.inputs['text']} {n}"})
        for n in range(5)
        for row in first
    ]
    told = [row.outputs["colour"] for row in rows]
    mine = np.random.default_rng(1).random(len(rows)) < share
    made = [
        replace(row, score=None, outputs={"colour": follow[label] if is_wrong else label})
        for row, label, is_wrong in zip(rows, told, mine, strict=True)
    ]
    return replace(given, pairs={"self": tuple(made)}), told


def right(rows: tuple[Pair, ...], told: list[str]) -> float:
    """How often the likeliest label is the right one."""
    likeliest = [max(row.soft, key=row.soft.__getitem__) for row in rows if row.soft is not None]
    return float(np.mean([a == b for a, b in zip(likeliest, told, strict=True)]))


HOW = Training(epochs=4, batch=8, lr=5e-3, checkpoint=20)


class TestCorrect(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        return Correct(right=0.75, training=FAST), Gold().run(state(tmp_path, bases["encoder"]))


def test_wrong_labels_are_told_from_right_ones(tmp_path: Path, bases: dict[str, str]) -> None:
    given, told = wrong(Gold().run(state(tmp_path, bases["encoder"], fakes.sounds())), 0.25)
    before = np.mean([row.outputs["colour"] == label for row, label in zip(given.pairs["self"], told, strict=True)])
    after = Correct(right=0.75, training=HOW).run(given)
    assert before < 0.85
    assert right(after.pairs["self"], told) > 0.93
    assert [row.outputs for row in after.pairs["self"]] == [row.outputs for row in given.pairs["self"]]
    assert "are likelier others; most often" in after.effects[-1].notes[0]
    trained = TrainEncoder(soft=True, training=FAST).run(after)
    assert trained.students["self"].is_dir()


class Two(dspy.Signature):
    """Name the colour of a thing at a place."""

    place: str = dspy.InputField()
    thing: str = dspy.InputField()
    colour: fakes.Colour = dspy.OutputField()


def test_labels_with_full_marks_need_no_classifiers(tmp_path: Path, bases: dict[str, str]) -> None:
    given = Gold().run(state(tmp_path, bases["encoder"], fakes.sounds()))
    rows = tuple(replace(row, score=1.0) for row in given.pairs["self"])
    after = Correct(right=0.75).run(replace(given, pairs={"self": rows}))
    assert "the metric gave all labels full marks" in after.effects[-1].notes[0]
    assert {row.soft[row.outputs["colour"]] for row in after.pairs["self"] if row.soft} == {1.0}
    assert not list(given.folder.rglob("student.json"))


def test_labels_stay_where_classifiers_have_learned_too_little(tmp_path: Path, bases: dict[str, str]) -> None:
    given, _ = wrong(Gold().run(state(tmp_path, bases["encoder"], fakes.sounds())), 0.25)
    hardly = Training(epochs=1, batch=100, lr=1e-7)
    after = Correct(right=0.75, training=hardly).run(given)
    for row in after.pairs["self"]:
        assert row.soft is not None
        assert row.soft[row.outputs["colour"]] == 1
    assert "they have learned too little, and labels stay" in after.effects[-1].notes[0]


def two_of_each(tmp_path: Path, base: str) -> DistillState:
    """Two things at every place, of different colours that only the place's other thing tells."""
    rows = make_examples(
        [
            {
                "id": f"r{n}",
                "place": f"place {n // 2}",
                "thing": f"thing {n * 7 % 36}",
                "colour": ("blue", "red")[n % 2],
            }
            for n in range(36)
        ],
        inputs=["place", "thing"],
    )
    task = Task("two", dspy.Predict(Two), rows[:30], rows[30:33], rows[33:], metrics.exact("colour"))
    engine = ScriptedEngine(lambda request: render_fields({"colour": "red"}), repeatable=True, name="red")
    return Gold().run(state(tmp_path, base, task, engine))


def test_rows_that_share_an_input_have_different_labels(tmp_path: Path, bases: dict[str, str]) -> None:
    """A teacher that says red to half of what is blue: of two reds at one place, one is none."""
    given = two_of_each(tmp_path, bases["encoder"])
    rows = [replace(row, score=None) for row in given.pairs["self"]]
    said = [replace(row, outputs={"colour": "red"}) if n % 4 == 0 else row for n, row in enumerate(rows)]
    given = replace(given, pairs={"self": tuple(said)})
    prior = {"blue": 1.0, "red": 1.0, "green": 1e-6, "black": 1e-6}
    after = Correct(training=HOW, distinct="place", prior=prior).run(given).pairs["self"]
    for one, other in zip(after[::2], after[1::2], strict=True):
        assert one.soft is not None
        assert other.soft is not None
        assert one.soft["red"] == pytest.approx(other.soft["blue"], abs=1e-3)
        assert one.soft["red"] + one.soft["blue"] == pytest.approx(1, abs=1e-3)


def test_full_marks_and_a_prior_stand(tmp_path: Path, bases: dict[str, str]) -> None:
    given, _ = wrong(Gold().run(state(tmp_path, bases["encoder"], fakes.sounds())), 0.25)
    first, *rest = given.pairs["self"]
    said = (("red", {"red": -0.1}),)  # of which a student with soft labels would learn, were it left
    given = replace(given, pairs={"self": (replace(first, score=1.0), replace(rest[0], tokens=said), *rest[1:])})
    prior = {"red": 3.0, "blue": 1.0, "green": 1e-6, "black": 1e-6}
    plain, told = (Correct(training=HOW, right=0.75, prior=p).run(given).pairs["self"] for p in ({}, prior))
    for rows in (plain, told):
        assert rows[0].soft == {label: float(label == first.outputs["colour"]) for label in fakes.COLOURS}
    assert all(row.tokens is None for row in told)
    mean = lambda rows: np.mean([row.soft["red"] for row in rows[1:]])  # noqa: E731
    assert mean(told) > mean(plain) + 0.05


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Correct(right=75.0), r"right = 75.0: expected a share of the labels, between 0 and 1"),
        (lambda: Correct(folds=1), "folds = 1: expected 2 or more"),
        (lambda: Correct(prior={"red": 0.0}), r"prior: red = 0.0: expected parts above 0"),
        (lambda: Correct(prior={"red": float("nan")}), r"prior: red = nan"),
        (lambda: Correct(prior=["red"]), r"Correct\(prior=\['red'\]\): expected a dict of numbers by name"),
        (lambda: Correct(prior={"red": "half"}), r"expected a dict of numbers by name"),
        (lambda: Correct(max_length=2), "max_length = 2"),
        (lambda: recipe_of([Gold(), Correct(), TrainEncoder()]), r"train-encoder does not learn; .* soft = true"),
        (lambda: recipe_of([Gold(), Correct(), TrainCausal()]), r"train-causal does not learn"),
        (lambda: recipe_of([Gold(), Correct(), Filter()]), r"correct stands before filter"),
        (lambda: recipe_of([Correct(), TrainEncoder(soft=True)]), r"correct needs collect or gold before it"),
        (lambda: recipe_of("corrected", prior=3), r"recipe corrected: prior = 3; expected a table of numbers"),
    ],
)
def test_what_cannot_be_meant_is_refused(made: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        made()


def test_what_does_not_fit_the_rows_is_refused(tmp_path: Path, bases: dict[str, str]) -> None:
    given = Gold().run(state(tmp_path, bases["encoder"], fakes.sounds()))
    strange = Correct(training=FAST, prior={"red": 1.0, "white": 1.0})
    for ask in (strange.run, lambda state: strange.check(bases["encoder"], state.task.program, state.teacher.lm)):
        with pytest.raises(BadInput, match=r"prior names red, white; the labels of self are .*: expected a part for"):
            ask(given)
    with pytest.raises(BadInput, match="folds = 41: the 40 rows of self have 40 examples; expected no more folds"):
        Correct(training=FAST, folds=41).run(given)
    with pytest.raises(BadInput, match=r"expected one or more of right .*, prior .* and distinct"):
        Correct().check(bases["encoder"], given.task.program, given.teacher.lm)
    with pytest.raises(BadInput, match=r"distinct = 'premise': no predictor reads that; expected one of: text"):
        Correct(distinct="premise").check(bases["encoder"], given.task.program, given.teacher.lm)


def test_too_many_rows_to_differ_are_left_and_told(tmp_path: Path, bases: dict[str, str]) -> None:
    given = two_of_each(tmp_path, bases["encoder"])
    rows = [replace(row, score=None, inputs={**row.inputs, "place": f"place {n // 10}"})
            for n, row in enumerate(given.pairs["self"])]  # fmt: skip
    after = Correct(training=FAST, distinct="place").run(replace(given, pairs={"self": tuple(rows)}))
    assert "30 rows share their place with too many others to be told apart by it" in after.effects[-1].notes[0]


def test_a_correction_that_was_killed_goes_on(tmp_path: Path, bases: dict[str, str], monkeypatch: Any) -> None:
    given = Gold().run(state(tmp_path, bases["encoder"], fakes.sounds()))
    whole = Correct(right=0.75, training=FAST).run(replace(given, folder=tmp_path / "whole"))
    asked: list[str] = []
    train = TrainEncoder.train

    def dying(self: Any, state: Any, name: str, rows: Any, folder: Path) -> str:
        asked.append(folder.parent.name)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return train(self, state, name, rows, folder)

    monkeypatch.setattr(TrainEncoder, "train", dying)
    with pytest.raises(KeyboardInterrupt):
        Correct(right=0.75, training=FAST).run(given)
    times = {p: p.stat().st_mtime_ns for p in given.folder.rglob("model.safetensors")}
    assert len(times) == 1
    again = Correct(right=0.75, training=FAST).run(given)
    assert again.pairs == whole.pairs
    assert all(p.stat().st_mtime_ns == time for p, time in times.items())


@pytest.mark.parametrize("distinct", ["", "place"])
def test_nobody_is_asked_about_what_it_has_learned(
    tmp_path: Path, bases: dict[str, str], monkeypatch: Any, distinct: str
) -> None:
    from dstill.distill.students.engines import EncoderStudent

    given = two_of_each(tmp_path, bases["encoder"])
    learned: list[set[str]] = []
    asked: list[set[str]] = []
    train, say = TrainEncoder.train, EncoderStudent.probabilities
    told = lambda inputs: inputs["place"] if distinct else inputs["thing"]  # noqa: E731

    def training(self: Any, state: Any, name: str, rows: Any, folder: Path) -> str:
        learned.append({told(row.inputs) for row in rows})
        return train(self, state, name, rows, folder)

    def saying(self: Any, inputs: Any) -> torch.Tensor:
        asked.append({told(one) for one in inputs})
        return say(self, inputs)

    monkeypatch.setattr(TrainEncoder, "train", training)
    monkeypatch.setattr(EncoderStudent, "probabilities", saying)
    Correct(training=FAST, folds=3, distinct=distinct).run(given)
    everything = {told(row.inputs) for row in given.pairs["self"]}
    assert len(asked) == 3
    assert set().union(*asked) == everything
    for known, questions in zip(learned, asked, strict=True):
        assert known == everything - questions
