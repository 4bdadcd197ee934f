"""What the columns of a table of scores mean, by their names and by what stands in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...runtime.errors import BadInput
from .sample import NoScore, Reading, score_of

NAMES = {
    "id": ("id", "example_id", "sample_id", "question_id", "instance_id", "doc_id"),
    "system": ("system", "model"),
    "task": ("task", "dataset", "benchmark"),
    "split": ("split",),
    "metric": ("metric",),
    "score": ("score",),
    "scores": ("scores",),
    "repeat": ("sample", "epoch", "repeat", "trial"),
    "usd": ("usd", "cost", "cost_usd"),
    "seconds": ("seconds", "latency", "latency_s"),
    "milliseconds": ("latency_ms", "milliseconds"),
    "tokens_in": ("tokens_in", "prompt_tokens", "input_tokens"),
    "tokens_out": ("tokens_out", "completion_tokens", "output_tokens"),
    "error": ("error",),
    "feedback": ("feedback", "explanation"),
}
"""What a column is for, by the names that it may have, in any case."""
OUTPUTS = ("output", "outputs", "answer", "prediction", "response", "completion", "confidence")
METRICS = re.compile(
    r"(acc|accuracy|exact|exact_match|em|f1|bleu|sacrebleu|chrf\w*|rouge\w*|meteor|correct|success|precision|recall|mrr|"
    r"ndcg|auc|pass(@|_at_)?\d*|\w+_(acc|accuracy|f1|match|score)|score_\w+)(,[\w-]+)?",
    re.IGNORECASE,
)
"""Names that a column of a metric has, where nothing else tells whether columns are metrics or systems."""


@dataclass(frozen=True)
class Columns:
    """Which column is what."""

    roles: Mapping[str, str]
    """The column's name, by what it is for."""
    outputs: tuple[str, ...]
    metrics: tuple[str, ...]
    systems: tuple[str, ...]
    """Columns of scores that are named after systems: the wide form."""
    asked: tuple[str, ...]
    """The rest: fields of the example."""


def columns_of(heads: Sequence[str], rows: Sequence[Mapping[str, Any]], reading: Reading, where: str) -> Columns:
    """Tell columns apart.

    Args:
        heads: all names.
        rows: the first rows, by which columns of numbers are known.
        reading: may name the id, the metrics, and what columns of numbers are.
        where: the file, for errors.

    Raises:
        BadInput: for a table without an id or without scores.
    """
    roles = {role: head for role, names in NAMES.items() for head in heads if head.strip().lower() in names}
    if reading.id is not None:
        roles["id"] = reading.id
    if roles.get("id") not in heads:
        wanted = reading.id or NAMES["id"][0]
        raise BadInput(f"{where}: no column {wanted!r} to be the id; it has: {', '.join(map(repr, heads))}")
    outputs = tuple(head for head in heads if head.strip().lower() in OUTPUTS)
    free = [head for head in heads if head not in (*roles.values(), *outputs)]
    numbers = [head for head in free if _numbers(head, rows)]
    named = [head for head in free if reading.metrics and reading.name(head) in reading.metrics]
    metrics, systems = tuple(named), tuple[str, ...]()
    if not named and "score" not in roles and "scores" not in roles:
        if not numbers:
            raise BadInput(
                f"{where}: no column of scores; expected 'score', a column of numbers for each metric, or one for each "
                f"system; it has: {', '.join(map(repr, heads))}"
            )
        wide = reading.columns == "systems" or (
            reading.columns is None and not _of_one(numbers, roles, outputs, reading)
        )
        metrics, systems = ((), tuple(numbers)) if wide else (tuple(numbers), ())
    taken = {*roles.values(), *outputs, *metrics, *systems}
    return Columns(roles, outputs, metrics, systems, tuple(head for head in heads if head not in taken))


def _of_one(numbers: Sequence[str], roles: Mapping[str, str], outputs: Sequence[str], reading: Reading) -> bool:
    """Whether a row is of one system, so that columns of numbers are its metrics."""
    single = {"system", "usd", "seconds", "milliseconds", "tokens_in", "tokens_out", "error", "feedback", "repeat"}
    told = bool(outputs or single & roles.keys() or reading.system)
    return told or all(METRICS.fullmatch(head.strip()) for head in numbers)


def _numbers(head: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether there are numbers in a column, and nothing else but gaps."""
    found = False
    for row in rows:
        try:
            found |= score_of(row.get(head), (-1e300, 1e300)) is not None
        except NoScore:
            return False
    return found
