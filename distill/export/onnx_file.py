"""Classifiers as ONNX, in float32 or with eight-bit products, and an encoder that runs such a file.

Eight-bit products take scales that were calibrated beforehand ("static"), not from the batch at hand: so an answer does
not depend on its batch here either.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from ...runtime.errors import BadInput
from .export import Exported

FILES = {False: "model.onnx", True: "model.int8.onnx"}
SLOW = ("SkipLayerNormFusion",)
"""Rewritings of a graph that onnxruntime would make when it loads a file, but that run slower on a CPU than what they
replace: the fused norm takes ten times as long as a sum and a norm, a fifth of all the time of a small classifier."""


class OnnxEncoder:
    """A classifier from an ONNX file: token tensors to logits, like the model that it was made from."""

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        runtime = needed("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        self._session = runtime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=list(SLOW)
        )
        self.inputs = tuple(one.name for one in self._session.get_inputs())

    def __call__(self, **feed: torch.Tensor) -> SimpleNamespace:
        """Logits [rows, labels] in ``.logits``, from int64 tensors [rows, tokens]."""
        given = {name: feed[name].numpy() for name in self.inputs}
        return SimpleNamespace(logits=torch.from_numpy(self._session.run(["logits"], given)[0]))


class _Logits(nn.Module):
    """A classifier whose inputs have places and whose output is its logits alone."""

    def __init__(self, model: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self._names = model, tuple(names)

    def forward(self, *given: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.model(**dict(zip(self._names, given, strict=True))).logits
        return made


def write_onnx(model: Any, example: Mapping[str, torch.Tensor], path: Path) -> None:
    """A classifier as ONNX, for any number of rows and tokens.

    Args:
        model: takes the example's tensors by name; its output has ``.logits``.
        example: int64 tensors [rows, tokens], two rows or more.
    """
    needed("onnx")
    needed("onnxscript")
    most = getattr(model.config, "max_position_embeddings", 512)
    shape = {0: torch.export.Dim("rows", min=1, max=65536), 1: torch.export.Dim("tokens", min=2, max=most)}
    with _quiet():
        program = torch.onnx.export(
            _Logits(model, list(example)), tuple(example.values()), input_names=list(example), output_names=["logits"],
            dynamic_shapes=(tuple(shape for _ in example),), dynamo=True, verbose=False,
        )  # fmt: skip
        program.save(str(path))


def quantise_onnx(source: Path, target: Path, feeds: Sequence[Mapping[str, torch.Tensor]]) -> None:
    """Products with weights in eight bits, weights by channel, activations by the range that the feeds show.

    Products of two activations, the attention's, stay in float32: they are few, and eight bits make them slower.
    """
    onnx, quantization = needed("onnx"), needed("onnxruntime.quantization")
    waiting = iter([{name: tensor.numpy() for name, tensor in feed.items()} for feed in feeds])

    class Reader(quantization.CalibrationDataReader):  # type: ignore[name-defined]
        def get_next(self) -> Any:
            return next(waiting, None)

    with _quiet(), tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.onnx"
        needed("onnxruntime.quantization.shape_inference").quant_pre_process(
            str(source), str(ready), skip_symbolic_shape=True
        )
        graph = onnx.load(str(ready)).graph
        fixed = {tensor.name for tensor in graph.initializer}
        unweighted = [node.name for node in graph.node if node.op_type == "MatMul" and fixed.isdisjoint(node.input)]
        quantization.quantize_static(
            str(ready), str(target), Reader(), quant_format=quantization.QuantFormat.QDQ, per_channel=True,
            op_types_to_quantize=["MatMul", "Gemm"], activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8, nodes_to_exclude=unweighted,
            extra_options={"ActivationSymmetric": False},
        )  # fmt: skip


def export_onnx(folder: Path, student: Any, out: Path, probes: Sequence[Mapping[str, str]], *, int8: bool) -> Exported:
    """A student's classifier as ONNX; asked with the probes, it must say what the student says."""
    from ..students.encoding import collate, encode
    from ..students.engines import ROWS, STRIDE, EncoderStudent

    engine = EncoderStudent(folder, student.facts)
    model, tokenizer = engine.loaded
    names, most = student.facts["inputs"], student.facts["max_length"]
    rows = [encode(tokenizer, dict(probe), names, most) for probe in probes]

    order = sorted(rows, key=lambda row: len(row["input_ids"]))
    parts = [order[start : start + ROWS] for start in range(0, len(order), ROWS)]
    feeds = []
    for part in parts:
        width = -(-max(len(row["input_ids"]) for row in part) // STRIDE) * STRIDE
        feeds.append(collate(part, tokenizer, count=max(2, len(part)), width=min(width, most)))
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in (".json", ".md", ".jinja", ".txt", ".model"):
            (out / path.name).write_bytes(path.read_bytes())
    plain = out / FILES[False]
    write_onnx(model, feeds[0], plain)
    if int8:
        quantise_onnx(plain, out / FILES[True], feeds)
        plain.unlink()
        for more in out.glob("model.onnx.data"):
            more.unlink()
    back = OnnxEncoder(out / FILES[int8])
    agree, worst, count = 0, 0.0, 0
    with torch.inference_mode():
        for part, feed in zip(parts, feeds, strict=True):  # a lone row has an empty one beside it
            ours, theirs = (one(**feed).logits[: len(part)] for one in (model, back))
            agree += int((ours.argmax(-1) == theirs.argmax(-1)).sum())
            count += len(ours)
            worst = max(worst, float((ours - theirs).abs().max()))
    engine.close()
    return Exported("onnx-int8" if int8 else "onnx", out / FILES[int8], count, agree / count, worst, "logit")


def needed(name: str) -> Any:
    """A library of the ``export`` extra.

    Raises:
        BadInput: where it is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        raise BadInput(f"this export needs {name.partition('.')[0]}: pip install 'dstill[export]'") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporters talk; what matters is measured afterwards."""
    import logging

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
