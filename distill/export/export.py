"""One call for every format: write it, load it back, compare answers or weights, say how they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ...runtime.atomic import write_json
from ...runtime.errors import BadInput
from ..students import read_student
from .place import RECORD, beside, check_place, files_of, inputs_checked


@dataclass(frozen=True)
class Exported:
    """A file or folder that was written, and how it differs from the student."""

    format: str
    path: Path
    compared: int
    """Inputs that both were asked; where no answers were compared, tensors."""
    agree: float | None
    """Share of the inputs with the same answer; ``None`` where no answers were compared."""
    difference: float
    """The largest difference."""
    of: Literal["logit", "probability", "weight"]
    """What differs so."""
    note: str = ""

    def __str__(self) -> str:
        largest = f"largest difference of a {self.of} {self.difference:.2g}"
        if self.agree is None:
            said = f"{self.compared} tensors compared and no answers, {largest}"
        else:
            said = f"the same answer on {100 * self.agree:.1f} % of {self.compared} inputs, {largest}"
        return f"{self.format} in {self.path}: {said}" + (f"; {self.note}" if self.note else "")

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        counted = "tensors" if self.agree is None else "inputs"
        return {
            "format": self.format, counted: self.compared, **({} if self.agree is None else {"agree": self.agree}),
            "difference": self.difference, "difference_of": self.of, "note": self.note,
        }  # fmt: skip


def export_student(
    folder: Path | str, form: str, out: Path | str, *, probes: Sequence[Mapping[str, str]] = ()
) -> Exported:
    """Write a student in another format, load it back and measure how it differs from the student.

    Args:
        folder: the student's folder, in ``students`` of a run directory.
        form: ``hf`` (a plain Hugging Face folder), ``onnx`` and ``onnx-int8`` (classifiers), ``gguf`` and ``gguf-q8``
            (causal students, with an Ollama Modelfile).
        out: where to write: a new folder, or that of an earlier export, which it takes the place of.
        probes: inputs of the predictor to compare on, and for ``onnx-int8`` to calibrate on; a few made-up ones where
            there are none.

    Returns:
        what was written and what was compared, answers or weights alone; it also stands in ``export.json`` beside the
        files.

    Raises:
        BadInput: for a folder that is no student, a format that its kind has not, a library that is missing, probes
            without the student's inputs, or an ``out`` that holds other files.
    """
    from .gguf_file import export_gguf
    from .hf_file import export_hf
    from .onnx_file import export_onnx

    folder, out = Path(folder), Path(out)
    student = read_student(folder)
    writers: dict[str, tuple[tuple[str, ...], Callable[..., Exported]]] = {
        "hf": (("causal", "seq2seq", "encoder", "matcher"), export_hf),
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
        write_json(fresh / RECORD, {**made.dump(), "student": student.key, "files": files_of(fresh)})
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
