"""Wrong labels set right: the sums against all ways written out, the stage against labels that are known."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
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
    correction,
    recipe_of,
)
from dstill.distill.correction import Known, Mistakes, mistakes_of
from dstill.programs import Task, make_examples, metrics
from dstill.runtime import BadInput, ScriptedEngine
from dstill.runtime.fields import render_fields
from scipy.optimize import minimize
from students import FAST, state

RNG = np.random.default_rng(0)
BELIEFS = torch.tensor(RNG.dirichlet([1, 1, 1], 40))


def test_a_prior_is_reached_by_the_nearest_beliefs() -> None:
    """Beside a general optimiser of the dual, a convex function of the factors' logarithms."""
    prior = np.array([0.5, 0.3, 0.2])
    beliefs = BELIEFS.numpy()
    dual = lambda b: np.log((beliefs * np.exp(b)).sum(1)).mean() - prior @ b  # noqa: E731
    best = minimize(dual, np.zeros(3), method="BFGS", options={"gtol": 1e-10}).x
    wanted = beliefs * np.exp(best)
    wanted /= wanted.sum(1, keepdims=True)
    found = correction.with_prior(BELIEFS, torch.tensor(prior))
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-6)
    np.testing.assert_allclose(found.mean(0).numpy(), prior, atol=1e-9)


def test_a_word_changes_a_belief_by_bayes() -> None:
    transition = torch.tensor([[0.8, 0.2, 0.0], [0.3, 0.6, 0.1], [0.0, 0.25, 0.75]], dtype=torch.float64)
    said = torch.tensor([n % 3 for n in range(40)])
    sure = torch.tensor([n < 5 for n in range(40)])
    found = correction.corrected(BELIEFS, said, transition, sure).numpy()
    for row, (belief, label) in enumerate(zip(BELIEFS.numpy(), said.tolist(), strict=True)):
        joint = [belief[true] * float(transition[true, label]) for true in range(3)]
        wanted = np.eye(3)[label] if row < 5 else np.array(joint) / sum(joint)
        np.testing.assert_allclose(found[row], wanted, atol=1e-7)


@pytest.mark.parametrize("at_once", [1, correction.AT_ONCE])
def test_rows_that_differ_are_weighed_over_all_ways(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(correction, "AT_ONCE", at_once)
    groups = [[0, 1, 2], [7, 5], [9], [12, 11, 10]]
    found = correction.all_different(BELIEFS, groups).numpy()
    for group in groups:
        wanted = np.zeros((len(group), 3))
        for way in product(range(3), repeat=len(group)):
            if len(set(way)) == len(way):
                chance = np.prod([float(BELIEFS[row, label]) for row, label in zip(group, way, strict=True)])
                for member, label in enumerate(way):
                    wanted[member, label] += chance
        np.testing.assert_allclose(found[group], wanted / wanted.sum(1, keepdims=True), atol=1e-9)
    alone = [row for row in range(40) if row not in {row for group in groups for row in group}]
    assert torch.equal(torch.tensor(found)[alone], BELIEFS[alone])


ERRORS = torch.tensor([[0.7, 0.05, 0.25], [0.0, 0.9, 0.1], [0.05, 0.3, 0.65]], dtype=torch.float64)


def simulated(rows: int, errors: torch.Tensor, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """True classes, in threes that differ; beliefs that are about as good as the labels; and the labels."""
    rng = np.random.default_rng(seed)
    true = np.concatenate([rng.permutation(3) for _ in range(rows // 3)])
    logits = 1.6 * np.eye(3)[true] + rng.normal(size=(rows, 3))
    said = [rng.choice(3, p=errors[label].numpy()) for label in true]
    return torch.tensor(true), torch.softmax(torch.tensor(logits), -1), torch.tensor(said)


def by_hand(kind: str, beliefs: Any, labels: Any, known: Known) -> float:
    """Minus twice the logarithm of what is maximised, at its best, by another optimiser over what is written out."""
    beliefs, labels, rows = beliefs.numpy(), labels.numpy(), len(labels)
    free = {"one": 1, "pair": 6}[kind]

    def loss(told: Any) -> float:
        fitted = np.exp(np.log(beliefs) / np.exp(told[0]) + told[1:4])
        fitted /= fitted.sum(1, keepdims=True)
        if kind == "one":
            errors = (1 - told[4]) * np.eye(3) + told[4] * np.bincount(labels, minlength=3) / rows
        else:
            errors = np.exp(np.insert(told[4:], [0, 3, 6], 0).reshape(3, 3))
            errors /= errors.sum(1, keepdims=True)
        chance = -(told[:4] @ told[:4]) / 2
        for group in known.groups:
            ways = [way for way in product(range(3), repeat=len(group)) if len(set(way)) == len(way)]
            before = sum(np.prod([fitted[row, c] for row, c in zip(group, way, strict=True)]) for way in ways)
            within = sum(
                np.prod([fitted[row, c] * errors[c, labels[row]] for row, c in zip(group, way, strict=True)])
                for way in ways
            )
            chance += np.log(within / before)
        for row in set(range(rows)) - {row for group in known.groups for row in group}:
            chance += np.log(fitted[row] @ errors[:, labels[row]])
        if known.prior is not None:
            chance += rows * known.prior.numpy() @ np.log(fitted.mean(0))
        if known.right is not None:
            right = fitted.mean(0) @ np.diag(errors)
            chance += rows * (known.right * np.log(right) + (1 - known.right) * np.log(1 - right))
        return float(-chance)

    start = np.zeros(4 + free)
    start[4:] = 0.2 if kind == "one" else -2.0
    bounds = [(None, None)] * 4 + [(1e-6, 1 - 1e-6) if kind == "one" else (-20, 20)] * free
    return 2 * float(minimize(loss, start, method="L-BFGS-B", bounds=bounds, options={"maxfun": 10_000}).fun)


@pytest.mark.parametrize("kind", ["one", "pair"])
@pytest.mark.parametrize("knows", [{"right": 0.7}, {"prior": torch.tensor([0.5, 0.25, 0.25])}, {"groups": True}])
def test_the_likeliest_account_beside_another_optimiser(kind: str, knows: dict[str, Any]) -> None:
    _, beliefs, labels = simulated(60, ERRORS)
    groups = [[0, 1, 2], [3, 4], [6, 7, 8], [12, 13, 14], [15, 17]] if knows.pop("groups", False) else []
    known = Known(torch.zeros(60, dtype=torch.bool), groups=groups, **knows)
    found = correction._fitted(kind, beliefs.double(), labels, known)
    numbers = {"one": 1, "pair": 6}[kind]
    wanted = by_hand(kind, beliefs, labels, known)
    assert found.criterion - numbers * np.log(60) == pytest.approx(wanted, abs=2e-3)


def account(rows: int, errors: torch.Tensor, **knows: Any) -> tuple[Mistakes, float, float]:
    """The account, and how many labels and likeliest classes are right."""
    true, beliefs, labels = simulated(rows, errors)
    known = Known(torch.zeros(rows, dtype=torch.bool), **knows)
    found = mistakes_of(beliefs, labels, known)
    after = correction.corrected(found.beliefs, labels, found.transition, known.sure)
    likeliest = correction.all_different(after, known.groups).argmax(-1)
    return found, float((labels == true).double().mean()), float((likeliest == true).double().mean())


def test_rows_that_differ_betray_who_is_called_what() -> None:
    found, before, after = account(6000, ERRORS, groups=[[n, n + 1, n + 2] for n in range(0, 6000, 3)])
    assert found.kind == "pair"
    assert torch.allclose(found.transition, ERRORS, atol=0.04)
    assert after > before + 0.1


def test_how_often_labels_are_right_parts_weak_beliefs_from_wrong_labels() -> None:
    """The same beliefs beside labels without a mistake, and beside labels with many."""
    clean, before, after = account(1500, torch.eye(3, dtype=torch.float64), right=1.0)
    assert (clean.kind, before, after) == ("none", 1.0, 1.0)
    even = 0.7 * torch.eye(3, dtype=torch.float64) + 0.1
    found, before, after = account(1500, even, right=0.8)
    assert found.kind == "one"
    assert torch.allclose(found.transition, even, atol=0.03)
    assert after > before + 0.02


def test_groups_beyond_the_fit_still_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correction, "FITTED", 13)
    groups = [[0, 1, 2], [3, 4], [6, 7, 8], [9, 10]]
    assert correction._first(groups, 3) == groups[:2]
    found = account(30, ERRORS, groups=groups)[0]
    assert found.transition.shape == (3, 3)


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
