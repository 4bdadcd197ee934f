"""nli: does a premise entail a hypothesis? With reasoning. Reads e-SNLI or ANLI with a recorded teacher's answers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import dspy

from .data import read_examples
from .folders import find_file
from .metrics import exact
from .task import Task

Label = Literal["entailment", "neutral", "contradiction"]


class Entailment(dspy.Signature):
    """Say whether the premise entails the hypothesis, contradicts it, or neither (neutral)."""

    premise: str = dspy.InputField()
    hypothesis: str = dspy.InputField()
    label: Label = dspy.OutputField()


def task(
    data: str | Path,
    *,
    name: str = "esnli",
    train: int | None = None,
    dev: int | None = None,
    test: int | None = None,
    gold: bool = True,
) -> Task:
    """The task on a folder of data files, ``<data>/<name>/{train,dev,test}.jsonl`` or ``.jsonl.gz``.

    Args:
        data: the folder.
        name: ``esnli`` or ``anli1``, or any other with the fields ``premise``, ``hypothesis`` and ``label``.
        train, dev, test: take only so many rows of each file.
        gold: whether training rows keep their gold labels; without them only a teacher's answers can teach.
    """
    folder = Path(data) / name
    inputs = ["premise", "hypothesis"]
    rows = read_examples(find_file(folder, "train"), inputs=inputs, limit=train)
    if not gold:
        rows = [row.without("label") if "label" in row else row for row in rows]
    return Task(
        name,
        dspy.ChainOfThought(Entailment),
        train=rows,
        dev=read_examples(find_file(folder, "dev"), inputs=inputs, outputs=["label"], limit=dev),
        test=read_examples(find_file(folder, "test"), inputs=inputs, outputs=["label"], limit=test),
        metric=exact("label"),
    )
