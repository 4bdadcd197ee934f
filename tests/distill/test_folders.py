"""What lies in a run directory before a run begins: its models and the user's files are not written over."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
import pytest
import tiny_models
from dstill.distill import (
    Alternation,
    Gate,
    Gold,
    Ladder,
    Lora,
    TrainCausal,
    TrainEncoder,
    TrainMatcher,
    TrainSeq2Seq,
    alternate,
    distill,
    recipe_of,
)
from dstill.distill.export import export_student
from dstill.optimizers import Where, compile
from dstill.runtime import BadInput, RunDir
from students import FAST, state, teacher


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_run_does_not_replace_the_models_that_it_reads(tmp_path: Path, bases: dict[str, str]) -> None:
    task, base, run = fakes.task(), bases["encoder"], tmp_path / "run"
    made, train = teacher(tmp_path, task), TrainEncoder(training=FAST)
    distill(made, task, base, [Gold(), train, Gate()], run=run)
    mine, writer = str(run / "students" / "self"), run / "students" / "writer"
    shutil.copytree(bases["causal"], writer)
    before = bytes_in(run)
    led: list[Any] = [Gold(), replace(train, hidden="mse", teacher=mine), Gate()]
    writing: list[Any] = [Gold(), TrainCausal(kd="forward", teacher=f"local:{writer}", training=FAST)]
    cases: list[tuple[str, Any]] = [
        (mine, [Gold(), train, Gate()]), (f"local:{mine}", [Gold(), train]), (base, led), (bases["causal"], writing),
        (base, [Gold(), Ladder(rungs=(mine,), training=FAST)]),
    ]  # fmt: skip
    for student, recipe in cases:
        with pytest.raises(BadInput, match=r"students/(self|writer) lies in the run directory .*: choose another run"):
            distill(made, task, student, recipe, run=Where(run, replace=True))
        assert bytes_in(run) == before
    local: Any = fakes.painter()
    local.folder = Path(mine)  # as engines of local models have one
    taught = compile(task, local, "zero-shot", run=tmp_path / "taught")
    with pytest.raises(BadInput, match="lies in the run directory"):
        distill(taught, task, base, [Gold(), train], run=Where(run, replace=True))
    assert bytes_in(run) == before
    how = Alternation(recipe=recipe_of([Gold(), train]))
    with pytest.raises(BadInput, match="lies in the run directory"):
        alternate(task, fakes.painter(), mine, how, run=Where(run, replace=True))
    distill(made, task, mine, [Gold(), train, Gate()], run=tmp_path / "next")
    assert bytes_in(run) == before


@pytest.mark.parametrize("kind", ["encoder", "mean", "matcher", "causal", "lora", "seq2seq"])
def test_half_a_distillation_may_be_replaced_but_not_what_was_added(
    tmp_path: Path, bases: dict[str, str], kind: str
) -> None:
    encoder, causal = TrainEncoder(training=FAST), TrainCausal(training=FAST)
    stages: dict[str, tuple[Any, str]] = {
        "encoder": (encoder, "encoder"), "mean": (replace(encoder, pooling="mean"), "encoder"),
        "matcher": (TrainMatcher(training=FAST), "encoder"), "causal": (causal, "causal"),
        "lora": (replace(causal, lora=Lora(rank=2)), "causal"), "seq2seq": (TrainSeq2Seq(training=FAST), "seq2seq"),
    }  # fmt: skip
    stage, base = stages[kind]
    run, named = tmp_path / "run", bases.get(base) or str(tiny_models.seq2seq(tmp_path / "t5"))
    stage.run(Gold().run(state(tmp_path, named)))  # the students are there, the run has not ended
    (run / "config.json").write_text('{"kind": "distill", "seed": 0}')
    (run / "students" / "self" / "notes.md").write_text("mine")
    with pytest.raises(BadInput, match=r"did not write \(students/self/notes.md\)"):
        RunDir(run, kind="distill", config={"seed": 1}, replace=True)
    (run / "students" / "self" / "notes.md").unlink()
    RunDir(run, kind="distill", config={"seed": 1}, replace=True).close()
    assert [path for path in (run / "students").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("kind", ["encoder", "causal"])
def test_all_files_of_a_student_and_of_its_export_may_be_read(tmp_path: Path, bases: dict[str, str], kind: str) -> None:
    stage: Any = TrainEncoder(training=FAST) if kind == "encoder" else TrainCausal(training=FAST, lora=Lora(rank=2))
    student = stage.run(Gold().run(state(tmp_path, bases[kind]))).students["self"]
    assert oct((student / "model.safetensors").stat().st_mode & 0o777) == "0o644"
    (student / "tokenizer.json").chmod(0o600)
    export_student(student, "hf", tmp_path / "hf")
    (student / "tokenizer.json").chmod(0o644)
    files = [path for folder in (student, tmp_path / "hf") for path in folder.rglob("*") if path.is_file()]
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in files} == {path.name: "0o644" for path in files}
