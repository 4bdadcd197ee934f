"""Student folders: safetensors, Hugging Face configuration and tokenizer, ``student.json``, and a model card.

``student.json`` is written last: a folder without it is a training that has not ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ...runtime.atomic import write_bytes, write_json
from ...runtime.canonical import digest
from ...runtime.engines.base import Engine
from ...runtime.engines.local.loading import weights_digest
from ...runtime.errors import BadInput, Damaged, ModelUnavailable
from .card import card

FORMAT = 1
FILE = "student.json"
CURVE = "curve.svg"
"""The picture of a training's course in a student's folder."""


class Newer(Damaged):
    """A student that a later dstill wrote."""


@dataclass(frozen=True)
class Student:
    """What stands in ``student.json``."""

    kind: str
    """``causal``, ``seq2seq``, ``encoder`` or ``matcher``."""
    key: str
    """Digest of everything that determined the weights: rows, base model, recipe, seed."""
    facts: Mapping[str, Any]
    """What the engine needs: the prompt's format, or fields and labels."""
    training: Mapping[str, Any]
    """What the card tells: recipe, rows, hyper-parameters, losses."""
    model: str = ""
    """Digest of the other files, as they were written; empty for a student that is being written."""


def training_key(**parts: Any) -> str:
    """The digest of everything that determines a student's weights."""
    return digest(parts)


def finished(folder: Path, key: str) -> bool:
    """Whether a folder holds the student of this key, trained to the end, and its files are what they were.

    Raises:
        Damaged: for one of a newer format.
    """
    try:
        student = read_student(folder)
        check_student(folder, student)
    except Newer:
        raise
    except (BadInput, Damaged):
        return False
    return student.key == key


def make_way(folder: Path) -> None:
    """Before other weights are written: until ``write_student`` ends, the folder holds no student."""
    (folder / FILE).unlink(missing_ok=True)


def write_student(folder: Path, student: Student) -> None:
    """Write the card and, last, ``student.json`` beside the saved model, whose files it vouches for."""
    write_card(folder, student, {})
    mode = (folder / "README.md").stat().st_mode
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(mode)  # safetensors lets nobody but the owner read what it writes, whatever the user's mask
    write_json(
        folder / FILE,
        {"format": FORMAT, "kind": student.kind, "key": student.key, "facts": dict(student.facts),
         "training": dict(student.training), "model": weights_digest(folder, but=FILE)},
    )  # fmt: skip


def write_card(folder: Path, student: Student, measured: Mapping[str, str]) -> None:
    """Write the card anew, with what has been measured since."""
    write_bytes(folder / "README.md", card(student.kind, student.facts, student.training, measured).encode())


def check_student(folder: Path, student: Student) -> None:
    """Refuse a student whose weights, configuration or tokenizer are not those that were written.

    Raises:
        Damaged: saying what to do.
    """
    try:
        same = student.model in ("", weights_digest(folder, but=FILE))
    except ModelUnavailable:
        same = False
    if not same:
        raise Damaged(
            f"the model in {folder} is not what was written at the end of its training: a file of it has changed or is "
            "missing. Carry out its distillation again, into the same run, which trains it anew; or bring the file back"
        )


def read_student(folder: Path) -> Student:
    """What a student folder holds.

    Raises:
        BadInput: for a folder that is no student.
        Damaged: for one that cannot be read or has a newer format.
    """
    try:
        body = orjson.loads((folder / FILE).read_bytes())
        if body["format"] > FORMAT:
            raise Newer(f"{folder} has student format {body['format']}, and this dstill reads up to {FORMAT}")
        return Student(body["kind"], body["key"], body["facts"], body["training"], body.get("model", ""))
    except FileNotFoundError:
        raise BadInput(f"{folder} is no student: it has no {FILE}") from None
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise Damaged(f"{folder / FILE} cannot be read: {type(error).__name__}: {error}") from None


def student_engine(folder: Path | str) -> Engine:
    """The engine of a student folder.

    Raises:
        BadInput: for a folder that is no student.
        Damaged: for one whose kind is not known here, or whose files are not what they were.
    """
    from .engines import EncoderStudent, WritingStudent
    from .formats import Format

    folder = Path(folder)
    student = read_student(folder)
    check_student(folder, student)
    if student.kind in ("causal", "seq2seq"):
        return WritingStudent(folder, Format.load(student.facts["format"]), student.facts["max_tokens"], student.kind)
    if student.kind == "encoder":
        return EncoderStudent(folder, student.facts)
    if student.kind == "matcher":
        from .matchers import MatcherStudent

        return MatcherStudent(folder, student.facts)
    raise Damaged(
        f"{folder} holds a student of kind {student.kind!r}; this dstill knows causal, seq2seq, encoder and matcher"
    )


def keeps_prompt(folder: Path) -> bool:
    """Whether a student is asked with the program's compiled instructions and demonstrations."""
    return bool(read_student(folder).facts.get("format", {}).get("style") == "program")


def student_digest(folder: Path) -> str:
    """Digest of weights, configuration, tokenizer and format."""
    return weights_digest(folder)
