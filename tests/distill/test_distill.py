"""Distillation from end to end: students that ship, gates that hold, resumption, budgets."""

from __future__ import annotations

import inspect
import json
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
from dstill.distill import (
    Collect,
    DistilledProgram,
    DistillState,
    Gate,
    Gold,
    TrainEncoder,
    Training,
    distill,
    load_distilled,
    recipe_of,
)
from dstill.eval import evaluate_on
from dstill.optimizers import Where, compile
from dstill.runtime import (
    BadInput,
    Budget,
    BudgetExhausted,
    Damaged,
    ScriptedEngine,
    Session,
)
from dstill.runtime.fields import input_fields, render_fields
from dstill.runtime.rundir import verify
from students import FAST, teacher

import dstill


def test_an_encoder_student_learns_ships_and_comes_back(tmp_path: Path, bases: dict[str, str]) -> None:
    rows = [(n, "loud red noise" if n % 2 else "calm blue sea") for n in range(240)]
    examples = [
        dspy.Example(id=str(n), text=f"{text} {n}", colour="red" if n % 2 else "blue").with_inputs("text")
        for n, text in rows
    ]
    metric = dstill.metrics.exact("colour")
    task = dstill.Task("two", dspy.Predict(fakes.Paint), examples[:80], examples[80:200], examples[200:], metric)
    engine = ScriptedEngine(
        lambda r: render_fields({"colour": "red" if "loud" in input_fields(r)["text"] else "blue"}), repeatable=True
    )
    made = compile(task, engine, "zero-shot", run=tmp_path / "teacher")
    small = distill(made, task, bases["encoder"], recipe_of("labels", epochs=6, lr=3e-3), 0.05, run=tmp_path / "small")
    assert list(small.students) == ["self"]
    assert "shipped, not inferior" in small.verdict
    assert verify(tmp_path / "small") == []
    before = engine.calls
    assert small(text="loud red noise 999").colour == "red"
    report = evaluate_on(task, small)
    assert engine.calls == before
    assert report.score is not None
    assert report.score.value == 1.0
    assert report.parameters == 0 or report.parameters is not None
    copy = tmp_path / "elsewhere"
    shutil.move(tmp_path / "small", copy)
    again = load_distilled(copy, task.program, lm=engine)
    assert again(text="calm blue sea 7").colour == "blue"
    assert isinstance(again, DistilledProgram)
    card = (copy / "students" / "self" / "README.md").read_text()
    assert "| training rows | 80 |" in card
    from transformers import AutoModelForSequenceClassification

    plain = AutoModelForSequenceClassification.from_pretrained(copy / "students" / "self")
    assert plain.config.id2label[0] == "red"


def test_a_bad_student_is_held_back_and_the_program_is_the_teachers(tmp_path: Path, bases: dict[str, str]) -> None:
    task = fakes.task()
    made = teacher(tmp_path, task, fakes.painter(lambda d, i: 0.95))
    small = distill(made, task, bases["encoder"], recipe_of("gold", epochs=1), run=tmp_path / "small")
    assert not small.students
    assert "held back, inferior: loses" in small.verdict
    assert small.trained is not None
    both = [evaluate_on(task, program) for program in (made, small)]
    assert both[0].scores == both[1].scores


def test_only_the_good_one_of_two_predictors_ships(tmp_path: Path, bases: dict[str, str]) -> None:
    class Two(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kind = dspy.Predict("text -> kind: Literal['loud', 'calm']")
            self.paint = dspy.Predict("text, kind -> colour: Literal['red', 'blue']")

        def forward(self, text: str) -> Any:
            return self.paint(text=text, kind=self.kind(text=text).kind)

    def script(request: Any) -> str:
        fields = input_fields(request)
        if "kind" in fields:
            return render_fields({"colour": "red" if fields["kind"] == "loud" else "blue"})
        return render_fields({"kind": fields["text"].split()[0]})

    examples = [
        dspy.Example(text=f"{'loud' if n % 2 else 'calm'} {n}", colour="red" if n % 2 else "blue").with_inputs("text")
        for n in range(300)
    ]
    from dstill.programs import metrics

    task = dstill.Task("two", Two(), examples[:100], examples[100:250], examples[250:], metrics.exact("colour"))
    made = compile(task, ScriptedEngine(script, repeatable=True), "zero-shot", run=tmp_path / "teacher")
    given = replace(
        Collect().run(DistillState(task.compile_view, made, bases["encoder"], Session(), tmp_path / "run")), margin=0.05
    )
    swapped = tuple(
        replace(row, outputs={"colour": "blue" if n % 2 else "red"}) for n, row in enumerate(given.pairs["paint"])
    )
    spoiled = replace(given, pairs={**given.pairs, "paint": swapped})
    how = Training(epochs=6, batch=16, lr=3e-3)
    after = Gate().run(TrainEncoder(training=how).run(spoiled))
    assert {name: gate.shipped for name, gate in after.gates.items()} == {"kind": True, "paint": False}


@dataclass(frozen=True)
class Swap:
    """A stage that spoils one predictor: its rows get the other answer."""

    predictor: str
    name: str = "swap"

    def run(self, state: DistillState) -> DistillState:
        other = {"red": "blue", "blue": "red", "loud": "calm", "calm": "loud", "big": "small", "small": "big"}
        rows = tuple(
            replace(row, outputs={field: other[value] for field, value in row.outputs.items()}, soft=None)
            for row in state.pairs[self.predictor]
        )
        return state.with_effect(self.name, state.rows, pairs={**state.pairs, self.predictor: rows})


def test_of_three_predictors_distilled_whole_a_spoiled_one_stays_with_the_teacher(
    tmp_path: Path, bases: dict[str, str]
) -> None:
    class Three(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kind = dspy.Predict("text -> kind: Literal['loud', 'calm']")
            self.size = dspy.Predict("text -> size: Literal['big', 'small']")
            self.paint = dspy.Predict("kind, size -> colour: Literal['red', 'blue']")

        def forward(self, text: str) -> Any:
            return self.paint(kind=self.kind(text=text).kind, size=self.size(text=text).size)

    def script(request: Any) -> str:
        fields = input_fields(request)
        if "kind" in fields:
            return render_fields({"colour": "red" if fields["kind"] == "loud" else "blue"})
        kind, size = fields["text"].split()[:2]
        return render_fields({"size": size} if "[[ ## size ## ]]" in request.messages[-1].text else {"kind": kind})

    examples = [
        dspy.Example(
            text=f"{'loud' if n % 2 else 'calm'} {'big' if n % 4 < 2 else 'small'} {n}",
            colour="red" if n % 2 else "blue",
        ).with_inputs("text")
        for n in range(340)
    ]
    metric = dstill.metrics.exact("colour")
    task = dstill.Task("three", Three(), examples[:100], examples[100:300], examples[300:], metric)
    engine = ScriptedEngine(script, repeatable=True)
    made = compile(task, engine, "zero-shot", run=tmp_path / "teacher")
    how = TrainEncoder(training=Training(epochs=6, batch=16, lr=3e-3))
    stages = [Collect(), Swap("paint"), how, Gate()]
    small = distill(made, task, bases["encoder"], stages, 0.05, run=tmp_path / "small")
    assert sorted(small.students) == ["kind", "size"]
    assert "paint: held back, inferior" in small.verdict
    assert evaluate_on(task, small).scores == evaluate_on(task, made).scores == [1.0] * 40
    before = engine.calls
    assert small(text="loud small 999").colour == "red"
    assert engine.calls == before  # of the new text no teacher was asked, and paint's question stands in the journal


def test_a_run_that_replaces_another_does_not_go_on_from_its_training(tmp_path: Path, bases: dict[str, str]) -> None:
    task, made = fakes.task(), teacher(tmp_path)
    recipe = recipe_of("labels", epochs=2, checkpoint=2, batch=8)

    def weights(folder: str, seed: int) -> bytes:
        distill(made, task, bases["encoder"], recipe, seed=seed, run=Where(tmp_path / folder, replace=True))
        return (tmp_path / folder / "students" / "self" / "model.safetensors").read_bytes()

    assert weights("run", 0) != weights("run", 1) == weights("fresh", 1)


def test_a_killed_training_goes_on_to_the_same_files(tmp_path: Path, bases: dict[str, str]) -> None:
    """A process is killed right after its second checkpoint; another one goes on, from that checkpoint."""

    def work(root: Path) -> DistilledProgram:
        task = fakes.task(train=20, dev=20)
        made = compile(task, fakes.painter(), "k-shot", run=root / "teacher")
        recipe = recipe_of("sft", epochs=3, checkpoint=3, batch=4)
        return distill(made, task, bases["causal"], recipe, run=root / "small")

    script = textwrap.dedent(
        f"""
        import sys
        sys.path[:0] = [{str(Path(fakes.__file__).parent)!r}]
        import fakes, os, signal
        from pathlib import Path
        from dstill.distill import DistilledProgram, distill, recipe_of
        from dstill.distill.training import loop
        from dstill.optimizers import compile
        plain = loop.save_checkpoint
        def save(folder, step, *rest):
            plain(folder, step, *rest)
            if step == 6: os.kill(os.getpid(), signal.SIGKILL)
        loop.save_checkpoint = save
        bases = {bases!r}
        """
    )
    script += textwrap.dedent(inspect.getsource(work)) + "work(Path(sys.argv[1]))\n"

    def files(root: Path) -> dict[str, bytes]:
        names = ("report.json", "program.json", "students/self/model.safetensors", "students/self/student.json")
        return {name: (root / "small" / name).read_bytes() for name in names}

    killed = tmp_path / "killed"
    done = subprocess.run([sys.executable, "-c", script, str(killed)], check=False, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    assert [path.name for path in killed.rglob("step-*")] == ["step-00000006"]
    work(killed)
    work(tmp_path / "whole")
    assert files(killed) == files(tmp_path / "whole")
    assert not list(tmp_path.rglob("checkpoints"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"compiled": "program"}, "expected what compile returned"),
        ({"student": ""}, "expected embedded:small"),
        ({"margin": 1.5}, "between 0 and 1"),
        ({"recipe": "stepbystep"}, "'stepbystep' is not known; expected one of: sft, label-only, step-by-step"),
        ({"recipe": []}, "one or more"),
        ({"recipe": ["collect"]}, "got 'collect'"),
        ({"recipe": None}, "recipe=None: expected one of: sft, label-only"),
        ({"recipe": 3}, "recipe=3: expected one of: sft"),
        ({"recipe": [Collect, TrainEncoder()]}, r"got the class Collect, expected a stage made of it: Collect\(\)"),
        ({"task": None}, r"distill\(task=None\): expected the dstill.Task"),
        ({"recipe": "step-by-step"}, "step-by-step needs rationales"),
    ],
)
def test_bad_arguments(tmp_path: Path, bases: dict[str, str], arguments: dict[str, Any], words: str) -> None:
    task = fakes.task()
    values = {"compiled": teacher(tmp_path, task), "task": task, "student": bases["causal"], "run": tmp_path / "r"}
    with pytest.raises(BadInput, match=words):
        distill(**(values | arguments))


def test_without_a_gate_nothing_ships(tmp_path: Path, bases: dict[str, str]) -> None:
    made = distill(
        teacher(tmp_path), fakes.task(), bases["encoder"], [Gold(), TrainEncoder(FAST)], run=tmp_path / "small"
    )
    assert not made.students
    assert "no gate stage" in made.verdict
    assert made.trained is not None
    assert made.trained.predictors()[0].lm is not None


def test_a_budget_that_ends_the_teachers_answers_is_told(tmp_path: Path, bases: dict[str, str]) -> None:
    task = fakes.task(train=150)
    made = compile(task, fakes.painter(), "zero-shot", run=tmp_path / "teacher")
    stages = [Collect(keep="all"), TrainEncoder(FAST)]
    small = distill(made, task, bases["encoder"], stages, budget=Budget(calls=100), run=tmp_path / "small")
    assert small.stopped == "the budget of 100 calls ended it after 64 examples"
    assert [effect.price for effect in small.effects] == ["what was left of the budget", ""]
    assert json.loads((tmp_path / "small" / "report.json").read_text())["stages"][0]["cost"] is None
    assert json.loads((tmp_path / "small" / "manifest.json").read_text())["stopped"] == small.stopped
    with pytest.raises(BudgetExhausted, match="7 calls does not reach for 8 examples"):
        distill(made, task, bases["encoder"], stages, budget=Budget(calls=7), run=tmp_path / "other" / "none")


def test_a_budget_that_ends_the_comparison_ships_nothing(tmp_path: Path, bases: dict[str, str]) -> None:
    made = teacher(tmp_path, fakes.task(), fakes.painter(lambda d, i: 0.95))
    recipe = recipe_of("gold", epochs=1)
    small = distill(made, fakes.task(), bases["encoder"], recipe, budget=Budget(calls=5), run=tmp_path / "small")
    assert not small.students
    assert small.stopped == "the budget of 5 calls ended it before students and teacher were compared"
    assert small.held == (f"self held back on dev: {small.stopped}",)
    assert small.effects[-1].cost is None
    assert json.loads((tmp_path / "small" / "manifest.json").read_text())["stopped"] == small.stopped


def test_a_program_that_was_loaded_knows_who_was_held_back(tmp_path: Path, bases: dict[str, str]) -> None:
    task = fakes.task()
    made = teacher(tmp_path, task, fakes.painter(lambda d, i: 0.95))
    distill(made, task, bases["encoder"], recipe_of("gold", epochs=1), run=tmp_path / "small")
    loaded = load_distilled(tmp_path / "small", task.program, lm=fakes.painter())
    assert loaded.held[0].startswith("self held back on dev: ")
    (tmp_path / "small" / "report.json").write_text("{}")
    with pytest.raises(Damaged, match="report.json"):
        load_distilled(tmp_path / "small", task.program, lm=fakes.painter())
