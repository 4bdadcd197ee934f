"""One call for every format: write it, load it back, ask both the same, say how they differ."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...runtime.atomic import write_json
from ...runtime.errors import BadInput
from ..students import read_student
from .place import RECORD, beside, check_place, files_of, inputs_checked


@dataclass(frozen=True)
class Exported:
    """A file or folder that was written, and what came of asking it and the student the same."""

    format: str
    path: Path
    compared: int
    """Inputs that both were asked."""
    agree: float
    """Share of them with the same answer."""
    difference: float
    """Largest difference of a logit, a probability or a weight, whichever the format can be asked for."""
    note: str = ""

    def __str__(self) -> str:
        same = f"the same answer on {100 * self.agree:.1f} % of {self.compared} inputs"
        return f"{self.format} in {self.path}: {same}, largest difference {self.difference:.2g}" + (
            f"; {self.note}" if self.note else ""
        )


def export_student(
    folder: Path | str, form: str, out: Path | str, *, probes: Sequence[Mapping[str, str]] = ()
) -> Exported:
    """Write a student in another format and prove that it answers the same.

    Args:
        folder: the student's folder, in ``students`` of a run directory.
        form: ``hf`` (a plain Hugging Face folder), ``onnx`` and ``onnx-int8`` (classifiers), ``gguf`` and ``gguf-q8``
            (causal students, with an Ollama Modelfile).
        out: where to write: a new folder, or that of an earlier export, which it takes the place of.
        probes: inputs of the predictor to compare on, and for ``onnx-int8`` to calibrate on; a few made-up ones where
            there are none.

    Returns:
        what was written, with the measured difference; it also stands in ``export.json`` beside the files.

    Raises:
        BadInput: for a folder that is no student, a format that its kind has not, a library that is missing, probes
            without the student's inputs, or an ``out`` that holds other files.
    """
    from .gguf_file import export_gguf
    from .onnx_file import export_onnx

    folder, out = Path(folder), Path(out)
    student = read_student(folder)
    writers: dict[str, tuple[tuple[str, ...], Callable[..., Exported]]] = {
        "hf": (("causal", "seq2seq", "encoder", "matcher"), _export_hf),
        "onnx": (("encoder",), lambda *a: export_onnx(*a, int8=False)),
        "onnx-int8": (("encoder",), lambda *a: export_onnx(*a, int8=True)),
        "gguf": (("causal",), lambda *a: export_gguf(*a, eight=False)),
        "gguf-q8": (("causal",), lambda *a: export_gguf(*a, eight=True)),
    }
    if form not in writers:
        raise BadInput(f"format {form!r}: expected one of: {', '.join(FORMATS)}")
    kinds, write = writers[form]
    if student.kind not in kinds:
        fitting = [name for name, (fits, _) in writers.items() if student.kind in fits]
        raise BadInput(f"a student of kind {student.kind} cannot be written as {form}; expected: {', '.join(fitting)}")
    check_place(out, folder)
    asked = inputs_checked(probes, inputs_of(student.facts)) or made_up(student.facts)
    with beside(out) as fresh:
        made = write(folder, student, fresh, asked)
        made = replace(made, path=out / made.path.relative_to(fresh))
        write_json(
            fresh / RECORD,
            {"format": made.format, "compared": made.compared, "agree": made.agree, "difference": made.difference,
             "note": made.note, "student": student.key, "files": files_of(fresh)},
        )  # fmt: skip
    return made


FORMATS = ("hf", "onnx", "onnx-int8", "gguf", "gguf-q8")
"""What a student can be written as."""


def inputs_of(facts: Mapping[str, Any]) -> Sequence[str]:
    """The names of a student's inputs."""
    names: Sequence[str] = facts["inputs"] if "inputs" in facts else facts["format"]["inputs"]
    return names


def made_up(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """Inputs for a predictor whose real ones are not at hand."""
    names = inputs_of(facts)
    texts = ["the quick brown fox", "Where is my parcel?", "A man plays a guitar on a stage.", "no", "7 plus 5 is 12"]
    return [
        {name: f"{texts[(n + k) % len(texts)]} {'and more ' * (n // 5)}" for k, name in enumerate(names)}
        for n in range(20)
    ]


def _export_hf(folder: Path, student: Any, out: Path, probes: Sequence[Mapping[str, str]]) -> Exported:
    """Merged weights, configuration, tokenizer and card; loaded back with transformers alone."""
    import torch

    from ...runtime.engines.local.loading import load
    from ..students import LOADERS

    for path in sorted(folder.iterdir()):
        if path.is_file():
            shutil.copy2(path, out / path.name)
    kind = "" if student.facts.get("pooling") == "mean" else LOADERS[student.kind]
    ours, _ = load(kind, folder, dtype="float32")
    theirs, _ = load(kind, out, dtype="float32")
    pairs = zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
    worst = max((float((a - b).abs().max()) for a, b in pairs if a.dtype.is_floating_point), default=0.0)
    same = all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True))
    return Exported("hf", out, len(ours.state_dict()), float(same), worst, "weights compared, tensor by tensor")
