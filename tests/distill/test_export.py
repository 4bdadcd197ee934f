"""Exports are loaded back and answer the same; what cannot be written is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from dstill.distill import DistillState, Gold, TrainCausal, TrainEncoder
from dstill.distill.export import export_student
from dstill.runtime import BadInput
from students import FAST, state


def trained(folder: Path, base: str, kind: str = "encoder") -> Path:
    given: DistillState = Gold().run(state(folder, base))
    stage: Any = TrainEncoder(training=FAST) if kind == "encoder" else TrainCausal(training=FAST)
    return stage.run(given).students["self"]  # type: ignore[no-any-return]


def test_a_classifier_as_onnx_and_in_eight_bits(
    tmp_path: Path, bases: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    student = trained(tmp_path, bases["encoder"])
    here = tmp_path / "here"  # onnxruntime's shape inference leaves files where it is called from
    here.mkdir()
    monkeypatch.chdir(here)
    made = export_student(student, "onnx", tmp_path / "onnx")
    assert made.agree == 1.0 and made.difference < 1e-4 and made.compared >= 20
    assert json.loads((tmp_path / "onnx" / "export.json").read_text())["agree"] == 1.0
    probes = [{"text": f"thing number {n} " + "and more " * (n % 17)} for n in range(40)]
    small = export_student(student, "onnx-int8", tmp_path / "int8", probes=probes)
    assert small.agree >= 0.8 and 0 < small.difference < 1.0
    assert not (tmp_path / "int8" / "model.onnx").exists()
    assert list(here.iterdir()) == []
    from dstill.distill.export.onnx_file import OnnxEncoder

    runs = OnnxEncoder(small.path)
    ids = torch.randint(5, 300, (16, 32), generator=torch.Generator().manual_seed(0))
    feed = {name: ids if name == "input_ids" else torch.ones_like(ids) for name in runs.inputs}
    feed |= {name: torch.zeros_like(ids) for name in runs.inputs if name == "token_type_ids"}
    whole = runs(**feed).logits
    for row in (0, 7, 15):  # in other company the scales, and so the answer, are the same
        other = {name: torch.cat([t[row : row + 1], t.flip(0)[:15]]) for name, t in feed.items()}
        assert torch.equal(runs(**other).logits[0], whole[row])


@pytest.mark.parametrize("kind", ["llama", "lfm2"])
def test_a_causal_student_as_gguf(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("gguf")
    from dstill.distill.export.gguf_file import compare_tensors
    from transformers import AutoModelForCausalLM

    student = trained(tmp_path, str(tiny_models.causal(tmp_path / "base", kind, context=1024)), "causal")
    made = export_student(student, "gguf", tmp_path / "gguf")
    assert made.agree >= 0.8 and made.difference == 0.0  # of a model of noise, whose likeliest tokens are nearly tied
    text = (tmp_path / "gguf" / "Modelfile").read_text()
    assert "FROM ./model.gguf" in text and "<|user|>{{ .Prompt }}<|end|>" in text and 'stop "<|end|>"' in text
    small = export_student(student, "gguf-q8", tmp_path / "q8")
    assert 0 < small.difference < 0.05
    assert small.path.stat().st_size < 0.5 * made.path.stat().st_size
    model = AutoModelForCausalLM.from_pretrained(student)
    with torch.no_grad():
        next(p for n, p in model.named_parameters() if n.endswith("k_proj.weight"))[3] += 1
    assert compare_tensors(model, made.path)[0] == pytest.approx(1.0)


def test_a_folder_for_everybody(tmp_path: Path, bases: dict[str, str]) -> None:
    from transformers import AutoModelForSequenceClassification

    student = trained(tmp_path, bases["encoder"])
    made = export_student(student, "hf", tmp_path / "hf")
    assert made.agree == 1.0 and made.difference == 0.0
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "hf").config.num_labels == 4
    assert "weights compared" in str(made)
    for form, words in (("tflite", "expected one of: hf, onnx"), ("gguf", "of kind encoder cannot be written as gguf")):
        with pytest.raises(BadInput, match=words):
            export_student(student, form, tmp_path / "x")
    with pytest.raises(BadInput, match="no student"):
        export_student(tmp_path, "hf", tmp_path / "x")


def test_an_export_writes_over_an_earlier_export_alone(tmp_path: Path, bases: dict[str, str]) -> None:
    student, out = trained(tmp_path, bases["encoder"]), tmp_path / "out"
    before = {path.name: path.read_bytes() for path in student.iterdir()}
    export_student(student, "hf", out)
    (out / "config.json").write_text("{}")
    (student / "curve.svg").rename(tmp_path / "curve.svg")
    export_student(student, "hf", out)
    assert not (out / "curve.svg").exists()
    assert (out / "config.json").read_bytes() == before["config.json"]
    (out / "notes.md").write_text("mine")
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "model.safetensors").write_text("mine")
    for place, words in (
        (out, r"holds files that no export wrote \(notes.md\); expected a new folder"),
        (tmp_path / "others", r"no export wrote \(model.safetensors\)"), (student, "is the student's own folder"),
        (out / "notes.md", "notes.md is a file"), (out / "notes.md" / "below", "notes.md is a file"),
    ):  # fmt: skip
        with pytest.raises(BadInput, match=words):
            export_student(student, "hf", place)
    (tmp_path / "curve.svg").rename(student / "curve.svg")
    assert {path.name: path.read_bytes() for path in student.iterdir()} == before
    assert (tmp_path / "others" / "model.safetensors").read_text() == (out / "notes.md").read_text() == "mine"


def test_an_export_that_fails_leaves_the_earlier_one(
    tmp_path: Path, bases: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    student, out = trained(tmp_path, bases["encoder"]), tmp_path / "out"
    export_student(student, "hf", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    monkeypatch.setattr("dstill.runtime.engines.local.loading.load", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_student(student, "hf", out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize("probes", [[{"texts": "x"}], [{"text": 3}], ["text"], "text", {"text": "x"}, [None]])
def test_probes_that_are_no_inputs(tmp_path: Path, bases: dict[str, str], probes: Any) -> None:
    student = trained(tmp_path, bases["encoder"])
    with pytest.raises(BadInput, match=r"probes.*: expected a list of mappings .*\{'text': '...'\}"):
        export_student(student, "hf", tmp_path / "out", probes=probes)
    assert not (tmp_path / "out").exists()
