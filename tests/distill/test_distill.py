"""Distillation: stages under their contract, students that answer their predictor, gates that hold, resumption."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import dspy
import fakes
import pytest
import tiny_models
from contracts import EngineContract, StageContract
from dstill.distill import (
    Collect,
    DistilledProgram,
    DistillState,
    Filter,
    Gate,
    Gold,
    Lora,
    Pair,
    Stage,
    TrainCausal,
    TrainEncoder,
    Training,
    distill,
    load_distilled,
    recipe_from_tables,
    recipe_of,
    student_engine,
)
from dstill.distill.formats import Format
from dstill.distill.students import read_student
from dstill.eval import evaluate_on
from dstill.optimizers import CompiledProgram, Where, compile
from dstill.runtime import (
    LM,
    BadInput,
    Budget,
    BudgetExhausted,
    Cost,
    Damaged,
    Engine,
    Journal,
    ModelUnavailable,
    ScriptedEngine,
    Session,
)
from dstill.runtime.fields import input_fields, render_fields
from dstill.runtime.rundir import verify
from dstill.runtime.wire import request_of_chat

import dstill

FAST = Training(epochs=1, batch=8, lr=1e-3, checkpoint=2)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("bases")
    return {
        "causal": str(tiny_models.causal(root / "causal", "lfm2", context=1024)),
        "encoder": str(tiny_models.encoder(root / "encoder")),
    }


def teacher(tmp_path: Path, task: Any = None, engine: Any = None) -> CompiledProgram:
    return compile(task or fakes.task(), engine or fakes.painter(), "k-shot", run=tmp_path / "teacher")


def state(tmp_path: Path, base: str = "", task: Any = None, engine: Any = None) -> DistillState:
    task = task or fakes.task()
    made = teacher(tmp_path, task, engine)
    return DistillState(task.compile_view, made, base, Session(Journal(tmp_path / "j")), tmp_path / "run")


def reasoning_task() -> Any:
    return fakes.task(program=dspy.ChainOfThought(fakes.Paint))


def reasoner() -> ScriptedEngine:
    def script(request: Any) -> str:
        text = input_fields(request)["text"]
        return render_fields({"reasoning": f"because of {text.split()[-1]}", "colour": fakes.truth(text)})

    return ScriptedEngine(script, repeatable=True, name="reasoner")


class TestCollect(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        return Collect(), state(tmp_path)

    def test_only_what_passes_the_metric(self, tmp_path: Path) -> None:
        after = Collect().run(state(tmp_path))
        rows = after.pairs["self"]
        assert 10 < len(rows) < 40
        assert all(row.outputs["colour"] == fakes.truth(row.inputs["text"]) for row in rows)

    def test_everything_of_a_teacher_on_inputs_without_labels(self, tmp_path: Path) -> None:
        task = fakes.task()
        unlabelled = replace(task, train=[row.without("colour") for row in task.train])
        made = compile(task, fakes.painter(), "zero-shot", run=tmp_path / "teacher")
        given = DistillState(unlabelled.compile_view, made, "", Session(), tmp_path)
        assert len(Collect(keep="all").run(given).pairs["self"]) == 40

    def test_several_samples_make_soft_labels(self, tmp_path: Path) -> None:
        def script(request: Any) -> str:
            odd = (request.config.seed or 0) % 2
            return render_fields({"colour": "red" if odd else "blue"})

        engine = ScriptedEngine(script, repeatable=True)
        after = Collect(keep="all", samples=4).run(state(tmp_path, engine=engine))
        soft = [row.soft for row in after.pairs["self"]]
        assert len(soft) == 40
        assert any(row is not None and len(row) == 2 for row in soft)
        assert all(row is not None and abs(sum(row.values()) - 1) < 1e-9 for row in soft)

    def test_rows_are_weighted_by_the_score(self, tmp_path: Path) -> None:
        task = fakes.task(metric=lambda e, p: 0.25 if p.colour == e.colour else 0.0)
        rows = Collect(keep="weighted").run(state(tmp_path, task=task)).pairs["self"]
        assert {row.weight for row in rows} == {0.25}

    def test_rows_go_by_predictor_and_not_by_place(self, tmp_path: Path) -> None:
        class Turns(dspy.Module):
            def __init__(self) -> None:
                super().__init__()
                self.a = dspy.Predict("text -> hint")
                self.b = dspy.Predict("text, hint -> colour")

            def forward(self, text: str) -> Any:
                if int(text.split()[-1]) % 2:
                    self.a(text="extra")
                return self.b(text=text, hint=self.a(text=text).hint)

        def script(request: Any) -> str:
            fields = input_fields(request)
            if "hint" in fields:
                return render_fields({"colour": fakes.truth(fields["text"])})
            return render_fields({"hint": "h"})

        task = fakes.task(program=Turns())
        made = compile(task, ScriptedEngine(script, repeatable=True), "zero-shot", run=tmp_path / "teacher")
        after = Collect().run(DistillState(task.compile_view, made, "", Session(), tmp_path))
        assert len(after.pairs["a"]) == 60
        assert len(after.pairs["b"]) == 40
        assert all(set(row.outputs) == {"colour"} for row in after.pairs["b"])

    def test_a_teacher_that_passes_nothing_is_one_clear_message(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="the teacher passes nothing: of 40"):
            Collect().run(state(tmp_path, engine=fakes.painter(lambda d, i: 0.0)))

    def test_a_budget_ends_it_with_whole_rounds(self, tmp_path: Path) -> None:
        task = fakes.task(train=150)
        made = compile(task, fakes.painter(), "zero-shot", run=tmp_path / "teacher")
        session = Session(budget=Budget(calls=100))
        after = Collect(keep="all").run(DistillState(task.compile_view, made, "", session, tmp_path))
        assert len(after.pairs["self"]) == 64
        assert "the budget of 100 calls ended it after 64 examples" in after.effects[0].notes


class TestGold(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        return Gold(), state(tmp_path)

    def test_labels_are_the_datas_own(self, tmp_path: Path) -> None:
        rows = Gold().run(state(tmp_path)).pairs["self"]
        assert len(rows) == 40
        assert all(row.outputs["colour"] == fakes.truth(row.inputs["text"]) for row in rows)


class TestFilter(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        given = state(tmp_path)
        dev = given.task.dev[3]
        rows = (
            Pair("a", {"text": "one"}, {"colour": "red"}),
            Pair("b", {"text": " ONE "}, {"colour": "Red"}),
            Pair("c", {"text": "one"}, {"colour": "blue"}),
            Pair("d", {"text": dev.text.upper()}, {"colour": "red"}),
        )
        return Filter(), replace(given, pairs={"self": rows})

    def test_duplicates_and_contamination_are_named(self, tmp_path: Path, bases: dict[str, str]) -> None:
        stage, given = self.before(tmp_path, bases)
        after = stage.run(given)
        assert [row.example for row in after.pairs["self"]] == ["a", "c"]
        assert after.effects[-1].notes == ("self: 1 duplicates", "self: 1 rows stand in dev (d)")


class TestTrainCausal(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        return TrainCausal(training=FAST), Collect().run(state(tmp_path, bases["causal"]))


class TestTrainCausalLora(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        return TrainCausal(training=FAST, lora=Lora(rank=4)), Collect().run(state(tmp_path, bases["causal"]))


class TestTrainStepByStep(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        given = state(tmp_path, bases["causal"], reasoning_task(), reasoner())
        return TrainCausal(objective="step-by-step", training=FAST), Collect().run(given)


class TestTrainEncoder(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        return TrainEncoder(training=FAST), Gold().run(state(tmp_path, bases["encoder"]))


class TestGate(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        given = replace(Gold().run(state(tmp_path, bases["encoder"])), margin=0.9)
        return Gate(), TrainEncoder(training=FAST).run(given)


class StudentContract(EngineContract):
    """Students are engines that answer one predictor's prompt; subclasses say how one is trained."""

    @pytest.fixture(autouse=True)
    def _bases(self, bases: dict[str, str]) -> None:
        self.bases = bases

    def trained(self, folder: Path) -> DistillState:
        raise NotImplementedError

    def make(self, folder: Path) -> Engine:
        made = folder / "run" / "students" / "self"
        return student_engine(made if made.exists() else self.trained(folder).students["self"])

    def asked(self, **config: Any) -> Any:
        chat = dspy.ChatAdapter().format(fakes.Paint, [], {"text": "thing number 7"})
        return request_of_chat("m", chat, self.config(**config))

    def test_its_calls_are_free(self, tmp_path: Path) -> None:
        engine, session = self.make(tmp_path), Session(budget=Budget(calls=0, tokens=0))
        LM(engine, session).door.complete(self.asked())
        assert session.ledger.spent == Cost()
        engine.close()


class TestCausalStudent(StudentContract):
    def trained(self, folder: Path) -> DistillState:
        return TrainCausal(training=FAST).run(Gold().run(state(folder, self.bases["causal"])))


class TestEncoderStudent(StudentContract):
    def trained(self, folder: Path) -> DistillState:
        return TrainEncoder(training=FAST).run(Gold().run(state(folder, self.bases["encoder"])))


class TestMeanStudent(StudentContract):
    def trained(self, folder: Path) -> DistillState:
        stage = TrainEncoder(training=FAST, pooling="mean")
        return stage.run(Gold().run(state(folder, self.bases["encoder"])))


def test_a_sentence_encoder_is_read_by_the_mean_of_its_tokens(tmp_path: Path, bases: dict[str, str]) -> None:
    import torch
    from dstill.distill.pooling import MeanClassifier, with_saved_head
    from transformers import AutoModel, AutoModelForSequenceClassification

    base = tmp_path / "sentences"
    shutil.copytree(bases["encoder"], base)
    (base / "1_Pooling").mkdir()
    (base / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    after = TrainEncoder(training=FAST).run(Gold().run(state(tmp_path, str(base))))
    student = after.students["self"]
    assert json.loads((student / "student.json").read_text())["facts"]["pooling"] == "mean"

    model = with_saved_head(AutoModel.from_pretrained(student), student)
    ids, mask = torch.tensor([[5, 6, 7, 8, 0, 0]]), torch.tensor([[1, 1, 1, 1, 0, 0]])
    hidden = model.encoder(input_ids=ids[:, :4]).last_hidden_state[0]
    expected = model.head(hidden.mean(0))
    assert torch.allclose(model(ids, mask).logits[0], expected, atol=1e-5)
    (student / "head.safetensors").write_bytes(b"")
    with pytest.raises(Damaged, match="head.safetensors"):
        with_saved_head(AutoModel.from_pretrained(student), student)

    plain = TrainEncoder(training=FAST).run(Gold().run(state(tmp_path / "plain", bases["encoder"])))
    assert AutoModelForSequenceClassification.from_pretrained(plain.students["self"]).config.num_labels == 4
    assert not isinstance(model.encoder, MeanClassifier)


def test_names_that_differ_only_in_signs_have_folders_of_their_own(tmp_path: Path) -> None:
    given = state(tmp_path)
    folders = [given.student_folder(name) for name in ("a b", "a-b", "a/b", "d['a b']")]
    assert len(set(folders)) == 4 and folders[1].name == "a-b"
    assert all(folder.parent == given.folder / "students" for folder in folders)


def test_new_layers_can_learn_faster(tmp_path: Path) -> None:
    import torch
    from dstill.distill.training import train

    def moved(**how: float) -> list[float]:
        model = torch.nn.ModuleDict({name: torch.nn.Linear(2, 1, bias=False) for name in ("old", "new")})
        before = [p.detach().clone() for p in model.parameters()]
        x = torch.ones(1, 2)
        loss = lambda rows: (model["old"](x) + model["new"](x) - 9).square().sum()  # noqa: E731
        settings = Training(epochs=1, batch=1, weight_decay=0.0, warmup=0.0, **how)
        train(model, [1], loss, settings, tmp_path / str(how), fresh=["new.weight"])
        return [float((p.detach() - b).abs().max()) for p, b in zip(model.parameters(), before, strict=True)]

    old, new = moved(lr=1e-3, new=10.0)
    assert new == pytest.approx(10 * old, rel=1e-3)
    assert moved(lr=1e-3)[1] == pytest.approx(old, rel=1e-3)
    with pytest.raises(BadInput, match="new=0"):
        Training(new=0)


def test_step_by_step_weighs_its_two_tasks(tmp_path: Path, bases: dict[str, str]) -> None:
    """alpha 1 learns labels only, alpha 0 rationales only: the rationale's loss falls only where it counts."""
    import torch
    from dstill.distill.stages.train_causal import RATIONALE, _answer_loss, prompt_tokens
    from transformers import AutoModelForCausalLM, AutoTokenizer

    losses = {}
    for alpha in (0.0, 1.0):
        given = Collect().run(state(tmp_path / str(alpha), bases["causal"], reasoning_task(), reasoner()))
        how = Training(epochs=8, batch=8, lr=3e-3)
        after = TrainCausal(objective="step-by-step", alpha=alpha, training=how).run(given)
        folder = after.students["predict"]
        model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        signature = given.signature("predict")
        why = Format.of(signature, outputs=["reasoning"], style="chat", adapter="chat", task=RATIONALE)
        row = given.pairs["predict"][0]
        answer = tokenizer(why.answer(row.outputs))["input_ids"]
        tokens = [*prompt_tokens(tokenizer, why.prompt(row.inputs)), *answer]
        with torch.no_grad():
            losses[alpha] = float(_answer_loss(model, [((tokens, len(answer)), 1.0)], 0))
    assert losses[0.0] < 0.7 * losses[1.0]


def test_the_answer_loss_is_transformers_on_the_answers_tokens(bases: dict[str, str]) -> None:
    import torch
    from dstill.distill.stages.train_causal import _answer_loss
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(bases["causal"])
    ids = torch.randint(5, 400, (1, 30), generator=torch.Generator().manual_seed(0))
    labels = ids.clone()
    labels[:, :22] = -100
    expected = model(input_ids=ids, labels=labels).loss
    other = torch.randint(5, 400, (1, 12), generator=torch.Generator().manual_seed(1))[0].tolist()
    ours = _answer_loss(model, [((ids[0].tolist(), 8), 1.0), ((other, 3), 0.0)], 0)
    assert float(ours.detach()) == pytest.approx(float(expected.detach()), abs=1e-5)


@pytest.mark.parametrize("style", ["chat", "bare"])
@pytest.mark.parametrize("adapter", ["chat", "json"])
def test_a_students_answer_is_read_by_the_programs_adapter(style: Any, adapter: str) -> None:
    signature = dspy.Signature("a, b -> reasoning, label: Literal['x', 'y']", custom_types={"Literal": Literal})
    form = Format.of(signature, outputs=["label"], style=style, adapter=adapter)
    outputs = {"reasoning": "long story", "label": "x"}
    answer = form.answer(outputs)
    assert "long story" not in answer
    reader = dspy.ChatAdapter() if adapter == "chat" else dspy.JSONAdapter()
    assert reader.parse(signature, form.translate(answer)) == {"reasoning": "", "label": "x"}
    prompt = form.prompt({"a": "one\ntwo", "b": "three"})
    assert "one\ntwo" in prompt[-1]["content"]
    assert "## reasoning" not in str(prompt)
    assert Format.load(json.loads(json.dumps(form.dump()))) == form


def test_the_chat_style_is_chat_adapters_own_prompt() -> None:
    signature = fakes.Paint
    form = Format.of(signature, outputs=["colour"], style="chat", adapter="chat")
    assert form.prompt({"text": "t"}) == dspy.ChatAdapter().format(signature, [], {"text": "t"})
    expected = dspy.ChatAdapter().format_assistant_message_content(signature, {"colour": "red"})
    assert form.answer({"colour": "red"}) == expected


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


def test_a_classifiers_answer_does_not_depend_on_its_batch(tmp_path: Path, bases: dict[str, str]) -> None:
    after = TrainEncoder(training=FAST).run(Gold().run(state(tmp_path, bases["encoder"])))
    engine: Any = student_engine(after.students["self"])
    rows = [{"text": f"thing number {n} " + "and more " * (n % 23)} for n in range(70)]
    together = [result[2] for result in engine._classify(rows)]
    for index in (0, 13, 40, 69):
        assert engine._classify([rows[index]])[0][2] == together[index]
    assert engine.probabilities(rows[:3]).sum(dim=1).tolist() == pytest.approx([1, 1, 1])


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


def test_a_run_that_replaces_another_does_not_go_on_from_its_training(tmp_path: Path, bases: dict[str, str]) -> None:
    task, made = fakes.task(), teacher(tmp_path)
    recipe = recipe_of("labels", epochs=2, checkpoint=2, batch=8)

    def weights(folder: str, seed: int) -> bytes:
        distill(made, task, bases["encoder"], recipe, seed=seed, run=Where(tmp_path / folder, replace=True))
        return (tmp_path / folder / "students" / "self" / "model.safetensors").read_bytes()

    assert weights("run", 0) != weights("run", 1) == weights("fresh", 1)


def test_a_killed_training_goes_on_to_the_same_files(tmp_path: Path, bases: dict[str, str]) -> None:
    script = textwrap.dedent(
        f"""
        import sys, time
        sys.path[:0] = [{str(Path(fakes.__file__).parent)!r}]
        import fakes
        from dstill.distill import distill, recipe_of
        from dstill.optimizers import compile
        from dstill.runtime import progress
        task = fakes.task()
        root = sys.argv[1]
        made = compile(task, fakes.painter(), "k-shot", run=root + "/teacher")
        recipe = recipe_of("sft", epochs=12, checkpoint=3, batch=4)
        distill(made, task, {bases["causal"]!r}, recipe, run=root + "/small")
        """
    )

    def files(root: Path) -> dict[str, bytes]:
        names = ("report.json", "program.json", "students/self/model.safetensors", "students/self/student.json")
        return {name: (root / "small" / name).read_bytes() for name in names}

    subprocess.run([sys.executable, "-c", script, str(tmp_path / "whole")], check=True, capture_output=True)
    killed = tmp_path / "killed"
    for steps in (2, 8):
        process = subprocess.Popen([sys.executable, "-c", script, str(killed)], stderr=subprocess.DEVNULL)
        while process.poll() is None:
            found = [int(p.parent.name[5:]) for p in killed.glob("small/checkpoints/self/*/step-*/checkpoint.json")]
            if found and max(found) >= steps:
                process.kill()
            time.sleep(0.01)
        assert process.returncode == -9
    subprocess.run([sys.executable, "-c", script, str(killed)], check=True, capture_output=True)
    assert files(killed) == files(tmp_path / "whole")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"compiled": "program"}, "expected what compile returned"),
        ({"student": ""}, "expected embedded:small"),
        ({"margin": 1.5}, "between 0 and 1"),
        ({"recipe": "stepbystep"}, "'stepbystep' is not known; expected one of: sft, label-only, step-by-step"),
        ({"recipe": []}, "one or more"),
        ({"recipe": ["collect"]}, "got 'collect'"),
        ({"recipe": "step-by-step"}, "step-by-step needs rationales"),
    ],
)
def test_bad_arguments(tmp_path: Path, bases: dict[str, str], arguments: dict[str, Any], words: str) -> None:
    task = fakes.task()
    values = {"compiled": teacher(tmp_path, task), "task": task, "student": bases["causal"], "run": tmp_path / "r"}
    with pytest.raises(BadInput, match=words):
        distill(**(values | arguments))


def test_bases_that_cannot_be_trained(tmp_path: Path, bases: dict[str, str]) -> None:
    task = fakes.task()
    made = teacher(tmp_path, task)
    with pytest.raises(ModelUnavailable, match="nowhere"):
        distill(made, task, str(tmp_path / "nowhere"), run=tmp_path / "a")
    with pytest.raises(ModelUnavailable, match="SequenceClassification"):
        distill(made, task, bases["causal"], "labels", run=tmp_path / "b")
    with pytest.raises(BadInput, match="no config.json"):
        (tmp_path / "empty").mkdir()
        distill(made, task, str(tmp_path / "empty"), run=tmp_path / "c")


def test_labels_that_make_no_classifier(tmp_path: Path, bases: dict[str, str]) -> None:
    given = state(tmp_path, bases["encoder"])
    one = tuple(Pair(str(n), {"text": str(n)}, {"colour": "red"}) for n in range(9))
    with pytest.raises(BadInput, match=r"all 9 rows have one label \(red\)"):
        TrainEncoder().run(replace(given, pairs={"self": one}))
    odd = (Pair("a", {"text": "a"}, {"colour": "pink"}), Pair("b", {"text": "b"}, {"colour": "red"}))
    with pytest.raises(BadInput, match="does not allow: pink"):
        TrainEncoder().run(replace(given, pairs={"self": odd}))
    free = fakes.task(program=dspy.Predict("text -> colour"))
    loose = replace(state(tmp_path / "x", bases["encoder"], free), pairs={"self": odd})
    with pytest.raises(BadInput, match="2 different values in 2 rows"):
        TrainEncoder().run(loose)


def test_rows_longer_than_the_student_reads(tmp_path: Path, bases: dict[str, str]) -> None:
    given = state(tmp_path, bases["causal"])
    rows = [Pair(str(n), {"text": "fox " * (900 if n < 3 else 1)}, {"colour": "red"}) for n in range(12)]
    after = TrainCausal(training=FAST).run(replace(given, pairs={"self": tuple(rows)}))
    assert "3 rows left out as longer than 1024 tokens" in after.effects[-1].notes[0]
    with pytest.raises(BadInput, match="all 3 rows are longer than the 1024 tokens"):
        TrainCausal(training=FAST).run(replace(given, pairs={"self": tuple(rows[:3])}, folder=tmp_path / "other"))


def test_a_student_asked_by_the_wrong_predictor_says_so(tmp_path: Path, bases: dict[str, str]) -> None:
    after = TrainEncoder(training=FAST).run(Gold().run(state(tmp_path, bases["encoder"])))
    lm = LM(student_engine(after.students["self"]))
    with dspy.context(lm=lm), pytest.raises(Exception, match="needs the fields text, and the prompt has question"):
        dspy.Predict("question -> colour")(question="?")


def test_folders_that_are_no_students(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no student"):
        read_student(tmp_path)
    (tmp_path / "student.json").write_text('{"format": 9, "kind": "causal", "key": "", "facts": {}, "training": {}}')
    with pytest.raises(Damaged, match="format 9"):
        student_engine(tmp_path)


def test_a_recipe_from_tables() -> None:
    made = recipe_from_tables(
        "own",
        [
            {"stage": "collect", "keep": "weighted"},
            {"stage": "train-causal", "objective": "label", "epochs": 2, "lora": 8, "lr": 1e-4},
            {"stage": "gate"},
        ],
    )
    assert made.stages == (
        Collect(keep="weighted"),
        TrainCausal(objective="label", training=Training(epochs=2.0, batch=16, lr=1e-4), lora=Lora(8, 16)),
        Gate(),
    )


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ([{"stage": "colect"}], "stage 1: stage = 'colect'; expected one of: collect, gold"),
        ([{"stage": "gate"}, {"stage": "collect", "keep": "some"}], "stage 2: keep = 'some'; expected one of: passing"),
        ([{"stage": "train-encoder", "epochs": "three"}], "epochs = 'three'; expected a number"),
        ([{"stage": "train-encoder", "soft": 1}], "soft = 1; expected true or false"),
        ([{"stage": "train-causal", "lora": "big"}], "lora = 'big'; expected a whole number"),
        ([{"stage": "filter", "epochs": 3}], "filter takes no setting 'epochs'"),
        ([], "one or more"),
    ],
)
def test_a_recipe_that_is_wrong_says_where(tables: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        recipe_from_tables("own", tables)


def test_a_setting_goes_to_the_stage_that_has_it() -> None:
    made = recipe_of("labels", epochs=7, samples=3, smoothing=0.1)
    assert made.stages[0] == Collect(samples=3)
    assert isinstance(made.stages[2], TrainEncoder)
    assert (made.stages[2].training.epochs, made.stages[2].smoothing) == (7.0, 0.1)
    with pytest.raises(BadInput, match="takes no setting 'epoch'; it takes: .*epochs"):
        recipe_of("labels", epoch=7)


def test_the_room_is_a_function_too() -> None:
    assert callable(dstill.distill)
    with pytest.raises(BadInput, match="expected what compile returned"):
        dstill.distill(None, None, "x")  # type: ignore[arg-type]


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
    assert json.loads((tmp_path / "small" / "manifest.json").read_text())["stopped"] == small.stopped
    with pytest.raises(BudgetExhausted, match="10 calls does not reach for 64 examples"):
        distill(made, task, bases["encoder"], stages, budget=Budget(calls=10), run=tmp_path / "other" / "none")


def test_a_budget_that_ends_the_comparison_ships_nothing(tmp_path: Path, bases: dict[str, str]) -> None:
    made = teacher(tmp_path, fakes.task(), fakes.painter(lambda d, i: 0.95))
    recipe = recipe_of("gold", epochs=1)
    small = distill(made, fakes.task(), bases["encoder"], recipe, budget=Budget(calls=5), run=tmp_path / "small")
    assert not small.students
    assert small.stopped == "the budget of 5 calls ended it before students and teacher were compared"
    assert small.held == (f"self held back on dev: {small.stopped}",)
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
