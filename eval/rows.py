"""A row: what became of one example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import dspy

from ..runtime.canonical import as_json
from ..runtime.errors import StudentFailed, causes
from ..runtime.internals import AdapterParseError, ContextWindowExceededError, LMError
from ..runtime.secrets import redact

Status = Literal["scored", "failed", "unscored"]
"""``scored``: the metric gave a number. ``failed``: the program brought no prediction, which counts as 0.
``unscored``: it is not the program's fault (an engine's failure, or the metric abstained), and it does not count."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no prediction: ``parse``, ``context`` or ``program`` (the system's), ``lm`` (the engine's)."""

    kind: Literal["parse", "context", "program", "lm", "abstained", "error"]
    type: str
    message: str


@dataclass(frozen=True, slots=True)
class Scoring:
    """What the metric itself asked of models, such as a judge; it is in no figure of the system."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0

    def __add__(self, other: Scoring) -> Scoring:
        return Scoring(*(getattr(self, name) + getattr(other, name) for name in Scoring.__slots__))

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in Scoring.__slots__} | {"usd": round(self.usd, 12)}


@dataclass(frozen=True, slots=True)
class Row:
    """One example's outcome, as it stands in ``rows.jsonl``."""

    index: int
    id: str
    """The example's own id, or its place in the split."""
    status: Status
    score: float | None
    """In [0, 1]; 0 for a failure, ``None`` where unscored."""
    feedback: str
    outputs: dict[str, Any]
    """The prediction's fields, as JSON."""
    failure: Failure | None
    calls: int
    tokens_in: int
    tokens_out: int
    usd: float
    seconds: float
    """Time in engines, as it was when the calls were paid for."""
    samples: tuple[float | None, ...] = ()
    """The score of each of several answers, whose mean the score is; ``None`` where one could not be scored. Calls,
    tokens, dollars and seconds are then the mean of one answer, and outputs hold a list for each field."""
    cluster: str | None = None
    """What the example shares with others, e.g. the document that several questions are about; ``None`` for one that
    stands alone."""
    scoring: Scoring = Scoring()
    """What the metric asked of models, over all answers together."""

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        body: dict[str, Any] = {name: getattr(self, name) for name in Row.__slots__}
        if not self.samples:  # rows of one answer have no word of it
            del body["samples"]
        if self.cluster is None:
            del body["cluster"]
        if self.scoring.calls:
            body["scoring"] = self.scoring.dump()
        else:  # nor rows of metrics that ask nobody
            del body["scoring"]
        if self.failure is not None:
            body["failure"] = {name: getattr(self.failure, name) for name in Failure.__slots__}
        return body

    @classmethod
    def load(cls, body: dict[str, Any]) -> Row:
        """The inverse of ``dump``."""
        failure = body["failure"]
        samples = {"samples": tuple(body["samples"])} if "samples" in body else {}
        scoring = {"scoring": Scoring(**body["scoring"])} if "scoring" in body else {}
        return cls(**{**body, "failure": None if failure is None else Failure(**failure), **samples, **scoring})


def failure_of(error: Exception) -> Failure:
    """Whose fault an error is, with a message of one line and without credentials."""
    if isinstance(error, AdapterParseError):
        shown = " ".join(str(error.lm_response).split())[:160]
        return Failure("parse", "AdapterParseError", redact(f"the answer could not be read: {shown!r}"))
    kind: Literal["context", "lm", "program"] = "program"
    if isinstance(error, ContextWindowExceededError):
        kind = "context"
    elif isinstance(error, LMError):
        kind = "lm"
        if failed := next((one for one in causes(error) if isinstance(one, StudentFailed)), None):
            kind, error = "program", failed
    lines = redact(str(error)).strip().splitlines()
    return Failure(kind, type(error).__name__, lines[0][:300] if lines else "")


def outputs_of(prediction: Any) -> dict[str, Any]:
    """A prediction's fields as JSON; what is not JSON becomes text."""
    if not isinstance(prediction, dspy.Example):
        return {"prediction": str(prediction)}
    return {str(name): as_json(value) for name, value in prediction.items()}


def fields_of(example: Mapping[str, Any] | dspy.Example) -> dict[str, Any]:
    """An example's fields as JSON, in their order."""
    return {str(name): as_json(value) for name, value in example.items()}
