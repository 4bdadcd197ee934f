"""math_word: a word problem and its number, by chain of thought. Reads SVAMP or GSM8K."""

from __future__ import annotations

from pathlib import Path

import dspy

from .data import read_examples
from .folders import find_file
from .metrics import numeric
from .task import Task


class WordProblem(dspy.Signature):
    """Solve the word problem. Answer with the number alone."""

    question: str = dspy.InputField()
    answer: str = dspy.OutputField(desc="the number, without units")


def task(
    data: str | Path, *, name: str = "svamp", train: int | None = None, dev: int | None = None, test: int | None = None
) -> Task:
    """The task on a folder of data files, ``<data>/<name>/{train,dev,test}.jsonl`` or ``.jsonl.gz``.

    Args:
        data: the folder.
        name: ``svamp`` or ``gsm8k``, or any other with the fields ``question`` and ``answer``.
        train, dev, test: take only so many rows of each file.
    """
    parts = {
        part: read_examples(find_file(Path(data) / name, part), inputs=["question"], outputs=["answer"], limit=limit)
        for part, limit in (("train", train), ("dev", dev), ("test", test))
    }
    program = dspy.ChainOfThought(WordProblem)
    return Task(name, program, parts["train"], parts["dev"], parts["test"], numeric("answer"))
