"""Exports are loaded back and answer the same; what cannot be written is refused."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dspy
import pytest
import tiny_models
import torch
from dstill.distill import DistillState, Gold, TrainCausal, TrainEncoder, Training
from dstill.distill.export import export_student
from dstill.distill.students import student_engine
from dstill.runtime import BadInput
from safetensors.torch import load_file, save
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
    assert made.agree == 1.0 and made.difference < 1e-4 and made.of == "logit" and made.compared >= 20
    assert json.loads((tmp_path / "onnx" / "export.json").read_text())["agree"] == 1.0
    probes = [{"text": f"thing number {n} " + "and more " * (n % 17)} for n in range(40)]
    small = export_student(student, "onnx-int8", tmp_path / "int8", probes=probes)
    assert small.agree is not None and small.agree >= 0.8 and 0 < small.difference < 1.0
    assert not (tmp_path / "int8" / "model.onnx").exists()
    assert list(here.iterdir()) == []
    import onnx

    graph = onnx.load(str(small.path)).graph
    exact = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    plain = [node for node in graph.node if node.op_type == "MatMul" and exact.isdisjoint(node.input)]
    layers = json.loads((student / "config.json").read_text())["num_hidden_layers"]
    assert len(plain) == 2 * layers  # of the attention: no weights are in them
    from dstill.distill.export.onnx_file import OnnxEncoder

    runs = OnnxEncoder(small.path)
    ids = torch.randint(5, 300, (16, 32), generator=torch.Generator().manual_seed(0))
    feed = {name: ids if name == "input_ids" else torch.ones_like(ids) for name in runs.inputs}
    feed |= {name: torch.zeros_like(ids) for name in runs.inputs if name == "token_type_ids"}
    whole = runs(**feed).logits
    for row in (0, 7, 15):  # in other company the scales, and so the answer, are the same
        other = {name: torch.cat([t[row : row + 1], t.flip(0)[:15]]) for name, t in feed.items()}
        assert torch.equal(runs(**other).logits[0], whole[row])


@pytest.mark.parametrize("form", ["onnx", "onnx-int8"])
def test_a_lone_long_input_of_a_base_with_odd_positions(tmp_path: Path, form: str) -> None:
    """It is as wide as the model reads, which is no multiple of the widths of batches, and it counts once."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    import transformers as tf

    size = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    base = tiny_models.save(
        tf.BertModel(tf.BertConfig(vocab_size=400, max_position_embeddings=40, **size)), tmp_path / "base", None
    )
    student = trained(tmp_path, str(base))
    made = export_student(student, form, tmp_path / form, probes=[{"text": "loud " * 60}])
    assert made.compared == 1 and made.agree == 1.0


@pytest.mark.parametrize("kind", ["llama", "lfm2"])
def test_a_causal_student_as_gguf(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("gguf")
    from dstill.distill.export.gguf_file import compare_tensors
    from transformers import AutoModelForCausalLM

    student = trained(tmp_path, str(tiny_models.causal(tmp_path / "base", kind, context=1024)), "causal")
    made = export_student(student, "gguf", tmp_path / "gguf")
    assert made.difference == 0.0
    record = json.loads((tmp_path / "gguf" / "export.json").read_text())
    if find_spec("llama_cpp") is None:
        assert made.agree is None and "agree" not in record and record["tensors"] == made.compared > 10
        assert "tensors compared and no answers, largest difference of a weight 0; install llama" in str(made)
    else:
        assert made.agree is not None and made.agree >= 0.8  # a model of noise, whose likeliest tokens are nearly tied
        assert record["agree"] == made.agree
    text = (tmp_path / "gguf" / "Modelfile").read_text()
    assert "FROM ./model.gguf" in text and "<|user|>{{ .Prompt }}<|end|>" in text and 'stop "<|end|>"' in text
    small = export_student(student, "gguf-q8", tmp_path / "q8")
    assert 0 < small.difference < 0.05
    assert small.path.stat().st_size < 0.5 * made.path.stat().st_size
    model = AutoModelForCausalLM.from_pretrained(student)
    with torch.no_grad():
        next(p for n, p in model.named_parameters() if n.endswith("k_proj.weight"))[3] += 1
    assert compare_tensors(model, made.path)[0] == pytest.approx(1.0)


def as_the_card_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], str]:
    """The function in the card's code, which is carried out where the card lies."""
    code = (folder / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    assert "dstill" not in code
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(code, names)
    return names["answer"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("pooling", "program"),
    [
        ("first", "text -> colour"), ("mean", "text -> colour"), ("mean", "text, more -> colour"),
        ("mean", "text, more, most -> colour"),
    ],
)  # fmt: skip
def test_a_classifier_for_everybody_answers_as_its_card_says(
    tmp_path: Path, bases: dict[str, str], monkeypatch: pytest.MonkeyPatch, pooling: Any, program: str
) -> None:
    given: DistillState = Gold().run(state(tmp_path, bases["encoder"]))
    names = list(dspy.Signature(program).input_fields)
    rows = tuple(replace(r, inputs={n: f"{n} {r.inputs['text']}" for n in names}) for r in given.pairs["self"])
    task = replace(given.task, program=dspy.Predict(program))
    fast = Training(epochs=4, batch=8, lr=3e-3)
    stage: Any = TrainEncoder(training=fast, pooling=pooling)
    student = stage.run(replace(given, task=task, pairs={"self": rows})).students["self"]
    probes = [dict(row.inputs) for row in rows]
    made = export_student(student, "hf", tmp_path / "hf", probes=probes)
    assert made.agree == 1.0 and made.difference < 1e-5 and made.compared == len(probes)
    assert f"the same answer on 100.0 % of {len(probes)} inputs, largest difference of a probability" in str(made)
    engine: Any = student_engine(student)
    mine = [engine._labels[int(row.argmax())] for row in engine.probabilities(probes)]
    engine.close()
    answer = as_the_card_says(tmp_path / "hf", monkeypatch)
    assert [answer(probe) for probe in probes] == mine
    assert [answer({name: f"\n\n{text} \t  " for name, text in probe.items()}) for probe in probes] == mine
    weights = tmp_path / "hf" / ("head.safetensors" if pooling == "mean" else "model.safetensors")
    turned = {n: -t if pooling == "mean" or n.startswith("classifier.") else t for n, t in load_file(weights).items()}
    weights.write_bytes(save(turned, metadata={"format": "pt"}))
    answer = as_the_card_says(tmp_path / "hf", monkeypatch)
    assert all(answer(probe) != said for probe, said in zip(probes, mine, strict=True))
    copy = shutil.copyfile
    monkeypatch.setattr(shutil, "copy2", lambda a, b: copy(weights if Path(a).name == weights.name else a, b))
    assert export_student(student, "hf", tmp_path / "other", probes=probes).agree == 0.0


def test_of_writing_students_weights_are_compared(tmp_path: Path, bases: dict[str, str]) -> None:
    made = export_student(trained(tmp_path, bases["causal"], "causal"), "hf", tmp_path / "hf")
    assert made.agree is None and made.difference == 0.0 and made.compared > 10
    assert "tensors compared and no answers, largest difference of a weight 0" in str(made)
    assert "agree" not in json.loads((tmp_path / "hf" / "export.json").read_text())


def test_what_cannot_be_written(tmp_path: Path, bases: dict[str, str]) -> None:
    student = trained(tmp_path, bases["encoder"])
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
    monkeypatch.setattr("dstill.distill.students.engines.EncoderStudent.probabilities", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_student(student, "hf", out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize("probes", [[{"texts": "x"}], [{"text": 3}], ["text"], "text", {"text": "x"}, [None]])
def test_probes_that_are_no_inputs(tmp_path: Path, bases: dict[str, str], probes: Any) -> None:
    student = trained(tmp_path, bases["encoder"])
    with pytest.raises(BadInput, match=r"probes.*: expected a list of mappings .*\{'text': '...'\}"):
        export_student(student, "hf", tmp_path / "out", probes=probes)
    assert not (tmp_path / "out").exists()


def test_scaled_angles_and_cuts_of_texts_are_written(tmp_path: Path) -> None:
    """Llama 3's scaling by the formula of its paper's code, and a scaling that GGUF would lose is refused."""
    gguf = pytest.importorskip("gguf")
    from dstill.distill.export.gguf_file import CUTS, write_gguf
    from tokenizers import Regex, pre_tokenizers
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(tiny_models.causal(tmp_path / "base", "llama"))
    size = {"hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 1}

    def written(**rope: Any) -> Any:
        model = LlamaForCausalLM(LlamaConfig(vocab_size=400, rope_parameters={"rope_theta": 500000.0, **rope}, **size))
        write_gguf(model, tokenizer, tmp_path / "model.gguf")
        return gguf.GGUFReader(str(tmp_path / "model.gguf"))

    def told(file: Any, key: str) -> Any:
        return file.fields[key].contents()

    scaled = written(rope_type="llama3", factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0,
                     original_max_position_embeddings=8192)  # fmt: skip
    (factors,) = (tensor.data for tensor in scaled.tensors if tensor.name == "rope_freqs.weight")
    expected = []
    for pair in range(16):
        wave = 2 * math.pi * 500000.0 ** (pair / 16)
        part = (8192 / wave - 1.0) / (4.0 - 1.0)
        expected.append(1.0 if wave < 8192 / 4 else 32.0 if wave > 8192 else 1 / ((1 - part) / 32.0 + part))
    assert factors.tolist() == pytest.approx(expected, rel=1e-5)
    assert told(scaled, "tokenizer.ggml.pre") == "gpt-2"
    line = written(rope_type="linear", factor=4.0)
    assert (told(line, "llama.rope.scaling.type"), told(line, "llama.rope.scaling.factor")) == ("linear", 4.0)
    assert not any(tensor.name == "rope_freqs.weight" for tensor in written(rope_type="default").tensors)
    with pytest.raises(BadInput, match="scaled by 'yarn' cannot be written as GGUF; expected 'default'"):
        written(rope_type="yarn", factor=4.0, original_max_position_embeddings=64)
    for pattern, name in ((next(cut for cut in CUTS if CUTS[cut] == "llama-bpe"), "llama-bpe"), ("x+", "")):
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(use_regex=False)]
        )
        if name:
            assert told(written(), "tokenizer.ggml.pre") == name
        else:
            with pytest.raises(BadInput, match=r"cuts texts by x\+ cannot be written as GGUF"):
                written()
