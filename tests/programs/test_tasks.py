"""The declared tasks under the contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import pytest
from contracts import TaskContract
from dstill.programs import Task, lab, program_digest, task_named
from dstill.runtime import LM, ScriptedEngine
from dstill.runtime.errors import BadInput


def write(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Two rows a split."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, split in enumerate(("train", "dev", "test")):
        lines = [json.dumps({"id": f"{split}{n}", **row}) for n, row in enumerate(rows[2 * number : 2 * number + 2])]
        (folder / f"{split}.jsonl").write_text("\n".join(lines))


class TestTriage(TaskContract):
    def make(self, folder: Path) -> Task:
        return task_named("triage")


class TestNli(TaskContract):
    def make(self, folder: Path) -> Task:
        labels = ("entailment", "neutral", "contradiction")
        rows = [{"premise": f"{n} dogs run.", "hypothesis": "They run.", "label": labels[n % 3]} for n in range(6)]
        write(folder / "esnli", rows)
        return task_named("nli", data=str(folder))


class TestMathWord(TaskContract):
    def make(self, folder: Path) -> Task:
        write(folder / "svamp", [{"question": f"What is {n} and {n}?", "answer": str(2 * n)} for n in range(6)])
        return task_named("math_word", data=str(folder))


@pytest.mark.parametrize("kind", lab.KINDS, scope="class")
class TestLab(TaskContract):
    @pytest.fixture(autouse=True)
    def _kind(self, kind: str) -> None:
        self.kind = kind

    def make(self, folder: Path) -> Task:
        return task_named("lab", kind=self.kind, train=10, dev=20, test=20, seed=3)

    def test_rules_are_for_its_predictors_and_another_seed_is_another_task(self, tmp_path: Path) -> None:
        made = self.make(tmp_path)
        assert set(lab.rules(self.kind, seed=3)) == {name for name, _ in made.program.named_predictors()}
        assert made.digests != task_named("lab", kind=self.kind, train=10, dev=20, test=20, seed=4).digests

    def test_more_examples_leave_the_first_ones_as_they_are(self, tmp_path: Path) -> None:
        more = task_named("lab", kind=self.kind, train=15, dev=20, test=20, seed=3)
        assert [e.toDict() for e in more.train[:10]] == [e.toDict() for e in self.make(tmp_path).train]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"kind": "cooking"}, "'cooking': expected one of topics"),
        ({"classes": 9}, "classes=9: expected a number from 2 to 8"),
        ({"dev": 0}, "dev=0: expected at least 1"),
    ],
)
def test_a_lab_task_that_there_is_not(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        task_named("lab", **arguments)


def test_a_model_of_a_predictors_own_is_a_part_of_what_a_program_is() -> None:
    """By what it is, not only by what it is called."""

    class Weights(ScriptedEngine):
        def __init__(self, weights: str) -> None:
            super().__init__(["x"], name="student:self")
            self.weights = weights

        @property
        def identity(self) -> dict[str, Any]:
            return {"kind": "student", "weights": self.weights}

    def digest_with(engine: Any) -> str:
        program = dspy.Predict("text -> colour")
        program.lm = None if engine is None else LM(engine)
        return program_digest(program)

    assert digest_with(Weights("1")) == digest_with(Weights("1"))
    assert len({digest_with(engine) for engine in (None, Weights("1"), Weights("2"))}) == 3


@pytest.mark.parametrize(
    "value", [float("nan"), "half \ud800", b"\xff", (1, 2), {3, 4}, 10**400, {1: 2}, dspy.Example(a=1)]
)
def test_labels_and_inputs_may_be_anything_that_has_a_text(value: Any) -> None:
    def made(more: Any) -> Task:
        rows = [dspy.Example(text=f"t{n}", also=more, label=more).with_inputs("text", "also") for n in range(6)]
        return Task("odd", dspy.Predict("text, also -> label"), rows[:2], rows[2:4], rows[4:], lambda e, p: 1.0)

    assert made(value).digests == made(value).digests != made("another").digests
    assert made(value).fence.holds(["t4", value]) == "exact"


def test_a_value_without_a_text_of_its_own_is_refused() -> None:
    class Thing:
        pass

    rows = [dspy.Example(text=f"t{n}", label=[Thing()] if n == 3 else "x").with_inputs("text") for n in range(6)]
    with pytest.raises(BadInput, match=r"dev\[1\]: label = .*Thing object.* has no text of its own.*: expected text"):
        Task("odd", dspy.Predict("text -> label"), rows[:2], rows[2:4], rows[4:], lambda e, p: 1.0)
