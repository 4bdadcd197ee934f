"""``dstill export`` of students, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

from commands import Cli
from dstill.distill import Gold, TrainCausal, TrainEncoder
from students import FAST, state


def test_students_are_exported_by_their_run_or_one_by_one(cli: Cli, tmp_path: Path, bases: dict[str, str]) -> None:
    folder = TrainEncoder(training=FAST).run(Gold().run(state(tmp_path, bases["encoder"]))).students["self"]
    code, out, err = cli("export", "run", "--to", "onnx", "--out", "written")
    assert (code, err) == (0, "")
    assert out.startswith("onnx in written/model.onnx: the same answer on 100.0 %")
    assert json.loads(Path("written/export.json").read_text())["format"] == "onnx"
    assert cli("export", folder, "--to", "hf", "--out", "plain")[0] == 0
    assert Path("plain/model.safetensors").is_file()
    code, _, err = cli("export", "run", "--to", "gguf", "--out", "no")
    assert code == 2
    assert "a student of kind encoder cannot be written as gguf; expected: hf, onnx, onnx-int8" in err


def test_several_students_have_folders_of_their_own(cli: Cli, tmp_path: Path, bases: dict[str, str]) -> None:
    made = TrainCausal(training=FAST).run(Gold().run(state(tmp_path, bases["causal"]))).students["self"]
    made.rename(made.with_name("first"))
    TrainEncoder(training=FAST).run(Gold().run(state(tmp_path / "b", bases["encoder"])))
    code, out, err = cli("export", "run", "b/run", "--to", "hf", "--out", "all")
    assert (code, err) == (0, "")
    assert [line.split(":")[0] for line in out.splitlines()] == ["hf in all/first", "hf in all/self"]
    code, _, err = cli("export", "b/run", "b/run", "--to", "hf", "--out", "twice")
    assert code == 2
    assert "several students are called self" in err
    code, _, err = cli("export", "all", "--to", "hf", "--out", "none")
    assert code == 2
    assert "no student in all; expected a distill run, or a student's folder" in err
