"""What the stages that train can learn from: teachers' probabilities and states, votes, rationales, four bits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
import tiny_models
from contracts import StageContract
from dstill.distill import (
    Collect,
    DistillState,
    Gold,
    Lora,
    Pair,
    Stage,
    TrainCausal,
    TrainEncoder,
    Training,
    TrainSeq2Seq,
)
from dstill.distill.students import read_student
from dstill.optimizers import compile
from dstill.runtime import LM, BadInput, Session, engine_for
from students import FAST, reasoner, reasoning_task, state, with_other_tokens


def gold_state(tmp_path: Path, base: str) -> DistillState:
    """Rows from gold labels, with a local model as the compiled program's own."""
    given = state(tmp_path, base)
    local = LM(engine_for(f"local:{base}"), given.session)
    return Gold().run(replace(given, teacher=replace(given.teacher, lm=local)))


class TestTrainFromProbabilities(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        return TrainCausal(kd="jsd", hidden="mse", style="inputs", training=FAST), gold_state(tmp_path, bases["causal"])

    def test_a_student_that_is_its_teacher_has_nothing_to_learn_in_the_same_prompt(
        self, tmp_path: Path, bases: dict[str, str]
    ) -> None:
        given = gold_state(tmp_path, bases["causal"])
        candidate = given.teacher.candidate.with_state("self", instructions="Name the colour.", demos=())
        bare = replace(given, teacher=replace(given.teacher, candidate=candidate))
        after = TrainCausal(kd="forward", kd_weight=1.0, training=FAST).run(bare)
        losses = read_student(after.students["self"]).training["losses"]
        assert losses[0] == pytest.approx(0, abs=2e-5)
        shown = TrainCausal(kd="forward", kd_weight=1.0, training=FAST).run(replace(given, folder=tmp_path / "shots"))
        assert read_student(shown.students["self"]).training["losses"][0] > 3e-4  # its demonstrations are missing

    def test_probabilities_alone_bring_a_student_to_its_teacher(self, tmp_path: Path, bases: dict[str, str]) -> None:
        other = str(tiny_models.causal(tmp_path / "other", context=1024, seed=5, text=tiny_models.PROMPT))
        given = replace(gold_state(tmp_path, bases["causal"]), base=other)
        given = replace(given, pairs={"self": given.pairs["self"][:8]})
        how = Training(epochs=20, batch=4, lr=3e-3)
        course = {}
        for kd in ("reverse", "forward"):
            stage = TrainCausal(kd=kd, kd_weight=1.0, hidden="mi", training=how)  # type: ignore[arg-type]
            after = stage.run(replace(given, folder=tmp_path / kd))
            course[kd] = read_student(after.students["self"]).training["losses"]
        assert all(losses[-1] < 0.5 * losses[0] for losses in course.values())


def test_a_teacher_of_other_tokens_is_refused(tmp_path: Path, bases: dict[str, str]) -> None:
    given = gold_state(tmp_path, bases["causal"])
    other = with_other_tokens(bases["causal"], tmp_path / "other")
    with pytest.raises(BadInput, match=r"tokenizers of .* differ: of '.*', .*lacks it.*kd = 'none'"):
        TrainCausal(kd="forward", teacher=other, training=FAST).run(given)


def test_a_hosted_teacher_has_no_probabilities_but_those_it_told(tmp_path: Path, bases: dict[str, str]) -> None:
    given = Collect().run(state(tmp_path, bases["causal"]))
    with pytest.raises(BadInput, match="painter is no local model: name one"):
        TrainCausal(kd="forward", training=FAST).run(given)
    with pytest.raises(BadInput, match="has no log-probabilities: collect them"):
        TrainCausal(kd="stored", training=FAST).run(given)
    with pytest.raises(BadInput, match="expected objective = 'answer'"):
        TrainCausal(kd="forward", objective="label")


def test_told_probabilities_are_learned(tmp_path: Path, bases: dict[str, str]) -> None:
    """The teacher answers a or b with the odds it tells; a student that saw only the answer a gives b its share."""
    import math

    import torch
    from dstill.distill.students.coding import prompt_tokens
    from dstill.distill.students.formats import Format
    from dstill.distill.training.writers import Causal, Coded
    from transformers import AutoModelForCausalLM, AutoTokenizer

    given = state(tmp_path, bases["causal"], fakes.task(program=dspy.Predict("text -> colour")))
    tops = {"a": math.log(0.6), "b": math.log(0.4)}
    rows = tuple(
        Pair(str(n), {"text": f"t {n}"}, {"colour": "a"}, tokens=(("[", {"[": 0.0}), ("a", tops))) for n in range(16)
    )
    how = Training(epochs=15, batch=4, lr=3e-3)
    after = TrainCausal(kd="stored", kd_weight=1.0, training=how).run(replace(given, pairs={"self": rows}))
    folder = after.students["self"]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    form = Format.load(read_student(folder).facts["format"])
    a, b, bracket = (tokenizer(sign)["input_ids"][0] for sign in "ab[")
    with torch.no_grad():
        said = Causal(model).say(
            model, [Coded(tuple(prompt_tokens(tokenizer, form.prompt({"text": "t 50"}))), (bracket, a))]
        )
    chances = said.logits[1].softmax(-1)
    assert float(chances[b]) == pytest.approx(0.4, abs=0.12)
    assert float(chances[a]) == pytest.approx(0.6, abs=0.12)
    part = (replace(rows[0], tokens=(("[", {"[": 0.0}), ("\ufffd", {"\ufffd": 0.0}))), *rows[1:])
    again = TrainCausal(kd="stored", training=FAST).run(replace(given, pairs={"self": part}, folder=tmp_path / "part"))
    assert read_student(again.students["self"]).training["rows"] == 16  # of half a sign's token nothing was told
    broken = (replace(rows[0], tokens=(("no single token", {}),)),)
    with pytest.raises(BadInput, match=r"'no single token' \(row 0\) is not one token"):
        TrainCausal(kd="stored").run(replace(given, pairs={"self": broken}, folder=tmp_path / "x"))


class TestTrainInFourBits(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        given = Gold(dev=True).run(state(tmp_path, bases["causal"]))
        return TrainCausal(training=replace(FAST, accumulate=2), lora=Lora(rank=4, bits=4)), given


class TestTrainSeq2Seq(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        base = tmp_path / "t5"
        if not base.exists():
            tiny_models.seq2seq(base, text=tiny_models.PROMPT)
        given = state(tmp_path, str(base), reasoning_task(), reasoner())
        return TrainSeq2Seq(objective="step-by-step", training=FAST), Collect().run(given)


class TestTrainWithRationales(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        given = state(tmp_path, bases["encoder"], reasoning_task(), reasoner())
        stage = TrainEncoder(training=replace(FAST, heldout=0.2), rationale="align", robust="generalised")
        return stage, Collect().run(given)


class TestTrainTowardsAnEncoder(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        stage = TrainEncoder(training=FAST, hidden="mi", teacher=bases["encoder"], pooling="mean")
        return stage, Gold(dev=True).run(state(tmp_path, bases["encoder"]))

    def test_what_does_not_go_together(self, tmp_path: Path, bases: dict[str, str]) -> None:
        with pytest.raises(BadInput, match="expected one of them"):
            TrainEncoder(hidden="mse", rationale="words", teacher="x")
        with pytest.raises(BadInput, match="teacher = FOLDER"):
            TrainEncoder(hidden="mse")
        given = Gold().run(state(tmp_path, bases["encoder"]))
        with pytest.raises(BadInput, match="needs rationales"):
            TrainEncoder(rationale="words").run(given)
        with pytest.raises(BadInput, match="samples = 5"):
            TrainEncoder(robust="forward").run(given)


def test_words_of_rationales_and_corrections_by_votes_train(tmp_path: Path, bases: dict[str, str]) -> None:
    given = Collect(samples=2).run(state(tmp_path, bases["encoder"], reasoning_task(), reasoner()))
    stage = TrainEncoder(training=FAST, rationale="words", robust="forward", soft=True)
    after = stage.run(given)
    assert read_student(after.students["predict"]).training["settings"]["robust"] == "forward"


def test_a_students_course_is_kept_and_drawn(tmp_path: Path, bases: dict[str, str]) -> None:
    given = Gold(dev=True).run(state(tmp_path, bases["encoder"]))
    after = TrainEncoder(training=Training(epochs=3, batch=8, lr=1e-3)).run(given)
    folder = after.students["self"]
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    assert [line["step"] for line in history if "eval_loss" in line] == [5, 10, 15]
    picture = (folder / "curve.svg").read_text()
    assert picture.startswith("<svg") and picture.count("<circle") == 3
    (name,) = after.effects[-1].dev
    assert name == "dev loss of self"
    assert after.effects[-1].dev[name] == min(line["eval_loss"] for line in history if "eval_loss" in line)
    assert "dev loss of self" in after.effects[-1].score


def test_rows_kept_apart_leave_every_label_one(tmp_path: Path) -> None:
    from dstill.distill.stages.common import kept_apart

    rows = [Pair(str(n), {"text": str(n)}, {"colour": "red" if n else "blue"}) for n in range(20)]
    for seed in range(20):
        learn, apart = kept_apart(replace(state(tmp_path / str(seed)), seed=seed), "self", rows, 0.3)
        assert len(learn) + len(apart) == 20
        assert 5 <= len(apart) <= 6
        assert any(row.outputs["colour"] == "blue" for row in learn)


def test_labels_that_hardly_occur_are_told(tmp_path: Path, bases: dict[str, str]) -> None:
    given = Gold().run(state(tmp_path, bases["encoder"]))
    rows = [row for row in given.pairs["self"] if row.outputs["colour"] in ("red", "green")]
    lone = next(row for row in given.pairs["self"] if row.outputs["colour"] == "blue")
    after = TrainEncoder(training=FAST).run(replace(given, pairs={"self": (*rows, lone)}))
    assert "labels that no row has, and that it will hardly give: black" in after.effects[-1].notes[0]
    assert "labels with one row: blue" in after.effects[-1].notes[0]


def test_answers_that_the_tokenizer_cannot_write(tmp_path: Path, bases: dict[str, str]) -> None:
    import shutil

    base = tmp_path / "poor"
    shutil.copytree(bases["causal"], base)
    body = json.loads((base / "tokenizer.json").read_text())
    body["model"]["vocab"] = {t: n for t, n in body["model"]["vocab"].items() if t != "é"[0]}
    body["pre_tokenizer"], body["decoder"], body["model"]["merges"] = None, None, []
    (base / "tokenizer.json").write_text(json.dumps(body))
    given = state(tmp_path, str(base), fakes.task(program=dspy.Predict("text -> colour")))
    rows = tuple(Pair(str(n), {"text": "x"}, {"colour": "漢" if n < 2 else "red"}) for n in range(6))
    after = TrainCausal(style="bare", training=FAST).run(replace(given, pairs={"self": rows}))
    assert "2 rows left out whose answers the tokenizer cannot write ('漢')" in after.effects[-1].notes[0]
    with pytest.raises(BadInput, match="can write none of the answers: it has no token for '漢'"):
        TrainCausal(style="bare").run(replace(given, pairs={"self": rows[:2]}, folder=tmp_path / "x"))


def test_rows_without_the_reasoning_that_is_to_be_written(tmp_path: Path, bases: dict[str, str]) -> None:
    given = state(tmp_path, bases["causal"], reasoning_task(), reasoner())
    rows = tuple(Pair(str(n), {"text": "x"}, {"reasoning": "so" * (n > 1), "colour": "red"}) for n in range(6))
    after = TrainCausal(training=FAST).run(replace(given, pairs={"predict": rows}))
    assert "predict: 4 rows" in after.effects[-1].notes[0]
    assert "2 rows left out that have no reasoning to learn" in after.effects[-1].notes[0]
    with pytest.raises(BadInput, match=r"to write its reasoning, and no row has any.*objective = 'label'"):
        TrainCausal().run(replace(given, pairs={"predict": rows[:2]}, folder=tmp_path / "x"))


def test_several_settings_at_once_from_a_table() -> None:
    from dstill.distill import recipe_from_tables

    train = {"stage": "train-causal", "lora": {"rank": 8, "bits": 4}, "kd": "reverse"}
    made: Any = recipe_from_tables("x", [{"stage": "collect"}, train])
    assert made.stages[1].lora == Lora(rank=8, alpha=16, bits=4)
    with pytest.raises(BadInput, match="lora takes no 'ranks'"):
        recipe_from_tables("x", [{"stage": "train-causal", "lora": {"ranks": 8}}])
    with pytest.raises(BadInput, match="bits = 3; expected one of: 32, 4"):
        recipe_from_tables("x", [{"stage": "train-causal", "lora": {"bits": 3}}])


def test_a_program_is_compiled_for_a_local_model(tmp_path: Path, bases: dict[str, str]) -> None:
    made = compile(fakes.task(dev=4), f"local:{bases['causal']}", "zero-shot", run=tmp_path / "t")
    assert DistillState(fakes.task().compile_view, made, "", Session(), tmp_path).teacher.lm.door.engine.folder  # type: ignore[attr-defined]


def test_parts_of_a_batch_add_up_to_it_where_there_are_two_tasks(tmp_path: Path, bases: dict[str, str]) -> None:
    """Each task has a mean of its own; rationales are long and short."""
    given = state(tmp_path, bases["causal"], reasoning_task(), reasoner())
    rows = tuple(
        Pair(str(n), {"text": f"t {n}"}, {"reasoning": "so it is " * (1 + 5 * (n % 3)), "colour": fakes.COLOURS[n % 4]})
        for n in range(8)
    )
    told = []
    for parts in (1, 2, 4):
        stage = TrainCausal("step-by-step", training=Training(epochs=1, batch=8, accumulate=parts))
        after = stage.run(replace(given, pairs={"predict": rows}, folder=tmp_path / str(parts)))
        state_file = after.students["predict"] / "trainer_state.json"
        told.append(json.loads(state_file.read_text())["log_history"][0])
    for one in told[1:]:
        assert one["loss"] == pytest.approx(told[0]["loss"], rel=1e-5)
        assert one["grad_norm"] == pytest.approx(told[0]["grad_norm"], rel=1e-3)
