"""triage: a customer's message goes to one of six teams. 720 messages come with it; see ``data/triage.md``."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

import dspy

from .data import read_examples
from .metrics import exact
from .splits import split
from .task import Task

Team = Literal["billing", "delivery", "returns", "technical", "account", "sales"]


class Triage(dspy.Signature):
    """Choose the team that should answer the customer's message."""

    message: str = dspy.InputField(desc="what the customer wrote to the shop")
    team: Team = dspy.OutputField(desc="the team that should answer")


def task(*, train: int = 320, dev: int = 180, test: int = 220, seed: int = 0, data: str | Path | None = None) -> Task:
    """The task, split by seed with the teams in equal parts.

    Args:
        train, dev, test: how many messages each split holds, 720 at the most together.
        seed: which messages go where.
        data: another file of messages with the fields ``message`` and ``team``.
    """
    source = data or Path(str(files("dstill.programs") / "data" / "triage.jsonl"))
    messages = read_examples(source, inputs=["message"], outputs=["team"])
    parts = split(messages, {"train": train, "dev": dev, "test": test}, seed=seed, stratify="team")
    return Task("triage", dspy.Predict(Triage), parts["train"], parts["dev"], parts["test"], exact("team"))
