"""Knobs: where they are in a program, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import dspy
import fakes
import pytest
from dstill.programs import Task
from dstill.programs.knobs import holds, put, read
from dstill.runtime import BadInput
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution


class Shelf:
    """A retriever that is no module of DSPy."""

    def __init__(self) -> None:
        self.k = 3


class Program(dspy.Module):
    """Knobs in all places."""

    def __init__(self) -> None:
        super().__init__()
        self.threshold = 0.5
        self.shelf = Shelf()
        self.steps = [dspy.Predict("text -> hint", temperature=0.3)]
        self.parts = {"last": dspy.ChainOfThought("text, hint -> colour")}

    def forward(self, text: str) -> Any:
        return self.parts["last"](text=text, hint=self.steps[0](text=text).hint)


SPACE = {
    "threshold": FloatDistribution(0, 1),
    "shelf.k": IntDistribution(1, 10),
    "steps[0].temperature": FloatDistribution(0, 1),
    "parts['last'].predict.max_tokens": CategoricalDistribution([64, 256]),
}


def task(knobs: Any, program: Any = None) -> Task:
    return replace(fakes.task(program=program or Program()), knobs=knobs)


def test_knobs_are_read_and_set_wherever_they_are() -> None:
    made = task(SPACE)
    unset = {"threshold": 0.5, "shelf.k": 3, "steps[0].temperature": 0.3, "parts['last'].predict.max_tokens": None}
    assert read(made.program, made.knobs) == unset
    values = {"threshold": 0.1, "shelf.k": 7, "steps[0].temperature": 0.9, "parts['last'].predict.max_tokens": 64}
    copy = made.program.deepcopy()
    put(copy, values)
    assert read(copy, made.knobs) == values
    assert (copy.shelf.k, copy.steps[0].config, copy.parts["last"].predict.config) == (
        7, {"temperature": 0.9}, {"max_tokens": 64},
    )  # fmt: skip
    assert (made.program.shelf.k, made.program.steps[0].config) == (3, {"temperature": 0.3})
    put(copy, unset)
    assert copy.parts["last"].predict.config == {}


def test_a_program_that_is_a_predictor_has_its_settings() -> None:
    for path in ("temperature", "self.temperature"):
        made = task({path: FloatDistribution(0, 1)}, dspy.Predict(fakes.Paint, temperature=0.2))
        assert read(made.program, made.knobs) == {path: 0.2}


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"k": IntDistribution(1, 3)}, r"no 'k' there that could be set; it has, for example: .*threshold"),
        ({"shelves.k": IntDistribution(1, 3)}, "no 'shelves' there"),
        ({"steps[4].temperature": FloatDistribution(0, 1)}, r"no '\[4\]' there"),
        ({"steps[0].temprature": FloatDistribution(0, 1)}, r"'temprature'.*steps\[0\].temperature"),
        ({"shelf": IntDistribution(1, 3)}, "no 'shelf' there that could be set"),
        ({"__class__.x": IntDistribution(1, 3)}, "expected the path of an attribute"),
        ({"": IntDistribution(1, 3)}, "expected the path of an attribute"),
        ({"shelf.k": (1, 3)}, r"\(1, 3\): expected a distribution of Optuna"),
        ({"shelf.k": IntDistribution(5, 9)}, "the program as declared has 3, which IntDistribution"),
        ({"shelf.k": CategoricalDistribution(["a", "b"])}, "has 3, which CategoricalDistribution"),
        (["shelf.k"], "expected paths and distributions"),
    ],
)
def test_what_cannot_be_set_is_refused(knobs: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        task(knobs)


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_a_choice_that_is_no_json_is_refused() -> None:
    with pytest.raises(BadInput, match="has the choice"):
        task({"shelf.k": CategoricalDistribution([3, Shelf()])})


def test_a_knob_that_all_copies_share_is_refused() -> None:
    class Single(Shelf):
        def __deepcopy__(self, memo: Any) -> Any:
            return self

    program = Program()
    program.shelf = Single()
    with pytest.raises(BadInput, match="cannot be set: copies of the program share its Single"):
        task({"shelf.k": IntDistribution(1, 5)}, program)


def test_knobs_are_part_of_what_determines_a_result() -> None:
    def digest(knobs: Any, k: int = 3) -> str:
        program = Program()
        program.shelf.k = k
        return task(knobs, program).digests["knobs"]

    assert "knobs" not in task({}).digests
    assert digest({"shelf.k": IntDistribution(1, 5)}) == digest({"shelf.k": IntDistribution(1, 5)})
    assert digest({"shelf.k": IntDistribution(1, 5)}) != digest({"shelf.k": IntDistribution(1, 6)})
    assert digest({"shelf.k": IntDistribution(1, 5)}) != digest({"shelf.k": IntDistribution(1, 5)}, k=4)


def test_what_a_distribution_holds() -> None:
    assert [holds(IntDistribution(1, 9, step=2), k) for k in (0, 1, 2, 9)] == [False, True, False, True]
    assert [holds(FloatDistribution(0, 1), x) for x in (0, 0.3, 1.1)] == [True, True, False]
    assert not holds(FloatDistribution(0, 1), "high")
