"""Several answers to each example: how they are asked for, and how they become one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from ..runtime.errors import BadInput
from ..runtime.lm import LM, MOST_SAMPLES
from .rows import Row, Scoring, Status
from .statistics.values import Scores, as_scores


@dataclass(frozen=True, slots=True)
class Samples:
    """How often each example is answered.

    The samples are draws of their own and alike: none is the greedy answer. Each is in the journal under its number,
    so more samples later pay for the new ones only.
    """

    count: int = 1
    """Answers to each example."""
    temperature: float | None = None
    """Of every predictor; that of the program and its models where it is ``None``."""

    def __post_init__(self) -> None:
        whole = isinstance(self.count, int) and not isinstance(self.count, bool)
        if not whole or not 1 <= self.count <= MOST_SAMPLES:
            raise BadInput(f"samples={self.count!r}: expected a whole number of answers, from 1 to {MOST_SAMPLES:,}")
        warm: Any = self.temperature
        if warm is not None and (not isinstance(warm, int | float) or not 0 <= warm <= 2):
            raise BadInput(f"temperature={warm!r}: expected a number from 0 to 2")

    @property
    def note(self) -> str:
        """What a reader of the rows should know, where it is not ``ONE``."""
        heat = "" if self.temperature is None else f" at temperature {self.temperature:g}"
        if self.count == 1:
            return f"answered{heat}"
        return (
            f"{self.count} answers to each example{heat}: a row's score is their mean, and its calls, tokens, dollars "
            "and seconds are the mean of one answer"
        )

    def prepare(self, name: str, program: dspy.Module, lm: LM | None) -> None:
        """Set the temperature in a program, a copy of one's own.

        Raises:
            BadInput: for several samples where nothing is left to chance.
        """
        for predictor in program.predictors() if self.temperature is not None else ():
            predictor.config = {**predictor.config, "temperature": self.temperature}
        if self.count > 1 and not _draws(program, lm):
            raise BadInput(
                f"samples={self.count}: {name} answers at temperature 0, where another answer to the same example says "
                f"nothing new; set one, e.g. samples=Samples({self.count}, temperature=0.7), on the command line "
                "--temperature 0.7"
            )


ONE = Samples()
"""A single answer to each example, as the program gives it."""


def samples_of(asked: int | Samples) -> Samples:
    """What a public call takes for samples."""
    return asked if isinstance(asked, Samples) else Samples(asked)


def merged(rows: Sequence[Row]) -> Row:
    """The row of an example that was answered several times: the mean of the scored answers, and means of costs and
    times. It has failed if every answer has, and is unscored if none is scored."""
    first = rows[0]
    if len(rows) == 1:
        return first
    values = [row.score for row in rows if row.score is not None]
    score = sum(values) / len(values) if values else None
    failures = [row.failure for row in rows]
    status: Status = "unscored" if score is None else "scored"
    if score == 0 and all(failures):
        status = "failed"
    names = dict.fromkeys(name for row in rows for name in row.outputs)
    return Row(
        first.index,
        first.id,
        status,
        score,
        next((row.feedback for row in rows if row.feedback), ""),
        {name: [row.outputs.get(name) for row in rows] for name in names},
        None if status == "scored" else next((failure for failure in failures if failure is not None), None),
        round(_mean([row.calls for row in rows])),
        round(_mean([row.tokens_in for row in rows])),
        round(_mean([row.tokens_out for row in rows])),
        _mean([row.usd for row in rows]),
        round(_mean([row.seconds for row in rows]), 6),
        tuple(row.score for row in rows),
        scoring=sum((row.scoring for row in rows), Scoring()),
    )


def failing(failures: Mapping[tuple[Status, str], int], answers: int) -> list[str]:
    """A note on how many of the answers to all examples failed, and how; none where none did."""
    if not failures:
        return []
    counts = {status: sum(n for (one, _), n in failures.items() if one == status) for status in ("failed", "unscored")}
    kinds = ", ".join(f"{count} {kind}" for (_, kind), count in sorted(failures.items()))
    return [f"of {answers:,} answers {counts['failed']} failed (count as 0), {counts['unscored']} unscored ({kinds})"]


def gaps(rows: Sequence[Row]) -> list[str]:
    """A note on answers without a score to examples that have one; none where there are none."""
    count = sum(row.samples.count(None) for row in rows if row.score is not None)
    return [f"{count} answers have no score and do not count, where others to the same example have one"][: bool(count)]


def is_mean(row: Row) -> bool:
    """Whether a row's score is the mean of its answers' scores, all in [0, 1]; always for a row of one answer."""
    there = [score for score in row.samples if score is not None]
    if not there or row.score is None:
        return not there and (row.score is None or not row.samples)
    return all(0 <= score <= 1 for score in there) and abs(sum(there) / len(there) - row.score) <= 1e-9


def tries(rows: Sequence[Row]) -> Scores:
    """Every answer's score, ``(rows, samples)``; nan where unscored, and where an example has fewer answers."""
    lines = [row.samples or (row.score,) for row in rows]
    most = max(map(len, lines), default=0)
    return as_scores([(*line, *[None] * (most - len(line))) for line in lines], dims=2)


def _draws(program: dspy.Module, lm: LM | None) -> bool:
    """Whether anything in a program is asked at a temperature above 0.

    A model without one draws by its provider's default, and ours are greedy then. DSPy's BestOfN and Refine set 1.
    """
    if any(isinstance(module, dspy.BestOfN | dspy.Refine) for _, module in program.named_sub_modules()):
        return True
    for predictor in program.predictors():
        own = predictor.lm or lm
        heat = predictor.config.get("temperature", None if own is None else own.kwargs.get("temperature"))
        if heat or (heat is None and own is not None and not own.door.engine.repeatable):
            return True
    return False


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
