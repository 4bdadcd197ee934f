"""What has changed behind our back is noticed, told with what to do, and mended where it can be."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import dspy
import fakes
import pytest
from dstill.distill import Gold, TrainEncoder, distill, load_distilled, student_engine
from dstill.distill.stages.common import base_digest
from dstill.optimizers import compile, load_program
from dstill.programs import Task, metrics
from dstill.runtime import BadInput, Damaged, ModelUnavailable
from students import FAST, state, teacher

from dstill.saved import teacher_of


def _flip(folder: Path) -> None:
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x55
    file.write_bytes(data)


def _lose(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _unread(folder: Path) -> None:
    (folder / "student.json").write_text("[]")


@pytest.mark.parametrize("harm", [_flip, _lose, _unread])
def test_a_damaged_student_is_not_loaded_and_is_trained_anew(
    tmp_path: Path, bases: dict[str, str], harm: Callable[[Path], None]
) -> None:
    given = Gold().run(state(tmp_path, bases["encoder"]))
    stage = TrainEncoder(training=FAST)
    folder = stage.run(given).students["self"]
    whole = {name: (folder / name).read_bytes() for name in ("model.safetensors", "student.json")}
    student_engine(folder)
    harm(folder)
    with pytest.raises(Damaged, match=r"trains it anew|student.json cannot be read"):
        student_engine(folder)
    stage.run(given)
    assert {name: (folder / name).read_bytes() for name in whole} == whole
    student_engine(folder)


def test_a_student_of_a_later_format_is_left_alone(tmp_path: Path, bases: dict[str, str]) -> None:
    given = Gold().run(state(tmp_path, bases["encoder"]))
    stage = TrainEncoder(training=FAST)
    file = stage.run(given).students["self"] / "student.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 9').replace('"format":1', '"format":9'))
    before = file.read_bytes()
    with pytest.raises(Damaged, match="student format 9"):
        stage.run(given)
    assert file.read_bytes() == before


def test_a_base_that_changes_is_another_base(tmp_path: Path, bases: dict[str, str]) -> None:
    base = tmp_path / "base"
    shutil.copytree(bases["encoder"], base)
    before = base_digest(str(base))
    assert base_digest(str(base)) == before
    _flip(base)
    assert base_digest(str(base)) != before


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_broken_configuration_is_told(tmp_path: Path, bases: dict[str, str], text: str) -> None:
    base = tmp_path / "base"
    shutil.copytree(bases["encoder"], base)
    (base / "config.json").write_text(text)
    with pytest.raises(ModelUnavailable, match=r"config.json .*(cannot be read|expected a model's configuration)"):
        distill(teacher(tmp_path), fakes.task(), str(base), "labels", run=tmp_path / "run")


def test_a_distilled_program_is_no_teacher(tmp_path: Path, bases: dict[str, str]) -> None:
    task = fakes.task()
    made = compile(task, "embedded", "zero-shot", run=tmp_path / "teacher")
    distill(made, task, bases["encoder"], [Gold(), TrainEncoder(training=FAST)], run=tmp_path / "run")
    with pytest.raises(BadInput, match="is a distilled program, and students learn from a compiled one"):
        teacher_of(tmp_path / "run", task.program)
    assert teacher_of(tmp_path / "teacher", task.program).candidate
    (tmp_path / "run" / "report.json").write_text("{")
    with pytest.raises(Damaged, match=r"report.json has changed"):
        load_distilled(tmp_path / "run", task.program)


def test_a_broken_report_without_its_manifest_is_told(tmp_path: Path) -> None:
    made = compile(fakes.task(), "embedded", "zero-shot", run=tmp_path / "teacher")
    (alone := tmp_path / "alone").mkdir()
    shutil.copy(tmp_path / "teacher" / "program.json", alone)
    assert load_program(alone, fakes.task().program).candidate == made.candidate
    (alone / "report.json").write_text("{")
    with pytest.raises(Damaged, match="report.json cannot be read"):
        load_program(alone, fakes.task().program)


def test_a_teacher_of_another_task_is_refused(tmp_path: Path, bases: dict[str, str]) -> None:
    rows = [dspy.Example(q=f"{n}", a="x").with_inputs("q") for n in range(30)]
    other = Task("other", dspy.Predict("q -> a"), rows[:10], rows[10:20], rows[20:], metrics.exact("a"))
    with pytest.raises(BadInput, match=r"other predictors .*self\(text -> colour\); expected one of: self\(q -> a\)"):
        distill(teacher(tmp_path), other, bases["encoder"], "labels", run=tmp_path / "run")


def test_a_program_of_other_fields_is_not_what_was_saved(tmp_path: Path) -> None:
    compile(fakes.task(), "embedded", "zero-shot", run=tmp_path / "run")
    with pytest.raises(
        BadInput, match=r"is of another program: its predictor self has the fields Text: Colour:, that of"
    ):
        load_program(tmp_path / "run", dspy.Predict("q -> a"))
