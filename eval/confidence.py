"""How sure a program says it is, against how often it is right: confidences are read from rows, and none is lost."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..runtime.atomic import writing
from ..runtime.errors import BadInput
from . import diagram
from .statistics.calibration import Calibration, calibration
from .statistics.intervals import Interval

if TYPE_CHECKING:
    from .report import Report

_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(%?)\s*")


@dataclass(frozen=True)
class Stated:
    """How a report's confidences are read."""

    source: str | Sequence[Any]
    """A field of the outputs, or of the examples where no output has it; or a value for each row."""
    certain: float = 1.0
    """The number that means certain: 1, or 100 where percentages are written without their sign."""
    passing: float | None = None
    """The score from which on an answer is right; may be left out where all are 0 or 1."""

    def __post_init__(self) -> None:
        if not 0 < self.certain < math.inf:
            raise BadInput(f"certain={self.certain!r}: expected the number that means certain, such as 1 or 100")

    @property
    def name(self) -> str:
        """What the confidences are called."""
        return self.source if isinstance(self.source, str) else "the confidences given"


@dataclass(frozen=True)
class Calibrated:
    """Whether a system's confidences mean what they say; a notebook shows the reliability diagram."""

    system: str
    confidence: str
    """Where the confidences come from."""
    figures: Calibration
    missing: int
    """Answers that count but state no confidence, such as failed ones; left out of the figures."""
    unreadable: tuple[str, ...]
    """What was stated where that is no number, for each such answer; left out of the figures."""
    unscored: int
    """Answers that do not count."""

    def __str__(self) -> str:
        found, over = self.figures, self.figures.overconfidence
        way = "over" if over.value >= 0 else "under"
        size = over if over.value >= 0 else Interval(-over.value, -over.high, -over.low, over.level)
        parts = (
            f"reliability {found.reliability:.3f} - resolution {found.resolution:.3f} + uncertainty "
            f"{found.uncertainty:.3f} + within bins {found.within:.3f}"
        )
        return "\n".join(
            [
                f"calibration of {self.system} by {self.confidence}: error (ECE) {found.ece}, {way}confident by {size} "
                f"(n={found.n})",
                f"Brier score {_share(found.brier)} = {parts}",
                *self.left_out,
                *table(found),
            ]
        )

    @property
    def left_out(self) -> tuple[str, ...]:
        """A line on the answers that the figures know nothing of; none where there are none."""
        said = []
        if self.missing:
            said.append(f"{self.missing} without a confidence")
        if self.unreadable:
            said.append(f"{len(self.unreadable)} whose confidence is no number, such as {self.unreadable[0][:60]!r}")
        if self.unscored:
            said.append(f"{self.unscored} unscored")
        return (f"left out: {', '.join(said)}",) if said else ()

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "system": self.system, "confidence": self.confidence, "missing": self.missing,
            "unreadable": list(self.unreadable), **self.figures.dump(), "unscored": self.unscored,
        }  # fmt: skip

    def svg(self) -> str:
        """The reliability diagram."""
        return diagram.svg(self.figures, f"{self.system}: stated and true")

    def save(self, path: Path | str) -> Path:
        """Write the reliability diagram to a file."""
        with writing(Path(path)) as file:
            file.write(self.svg().encode() + b"\n")
        return Path(path)

    def _repr_html_(self) -> str:
        return f"{self.svg()}<pre>{html.escape(str(self))}</pre>"


def calibrated(
    report: Report, stated: Stated, *, bins: int, kind: Literal["width", "mass"], level: float, seed: int
) -> Calibrated:
    """See ``Report.calibration``."""
    answers = list(_answers(report, stated))
    scores = [score for _, _, score in answers if score is not None]
    if stated.passing is None and not all(score in (0, 1) for score in scores):
        raise BadInput(
            f"the scores of {report.system} by {report.metric} are graded: say from which on an answer is right, e.g. "
            f"calibration({stated.name!r}, passing=1), on the command line --passing 1"
        )
    least = 1.0 if stated.passing is None else stated.passing
    read = [_read(value, stated, id) for id, value, _ in answers]
    counted = [score is not None for _, _, score in answers]
    missing = sum(count and value is None for count, value in zip(counted, read, strict=True))
    unreadable = tuple(value for count, value in zip(counted, read, strict=True) if count and isinstance(value, str))
    confidence = [value if isinstance(value, float) else None for value in read]
    if not any(count and value is not None for count, value in zip(counted, confidence, strict=True)):
        seen = f"such as {unreadable[0][:60]!r}; " if unreadable else ""
        raise BadInput(
            f"{stated.name} of {report.system}: none of {sum(counted)} scored answers has a confidence that is a "
            f"number; {seen}expected {_expected(stated)}"
        )
    own: Sequence[Hashable] = report.clusters or [row.id for row in report.rows]
    together = [group for group, row in zip(own, report.rows, strict=True) for _ in row.samples or (row.score,)]
    figures = calibration(
        confidence, [None if score is None else float(score >= least) for _, _, score in answers], bins=bins,
        kind=kind, level=level, groups=together if report.samples > 1 or report.clusters else None, seed=seed,
    )  # fmt: skip
    return Calibrated(report.system, stated.name, figures, missing, unreadable, counted.count(False))


def table(found: Calibration) -> list[str]:
    """The bins as lines: what was stated, the share that is right, and answers."""
    ends = zip(found.accuracy, found.low, found.high, strict=True)
    right = [str(Interval(float(o), float(low), float(high))) for o, low, high in ends]
    width = max(map(len, right))
    rows = zip(found.confidence, right, found.count, strict=True)
    lines = [f"{100 * f:>7.1f}  {said:<{width}}  {n:>7,}" for f, said, n in rows]
    return [f"{'stated':>7}  {'right':<{width}}  {'answers':>7}", *lines]


def _answers(report: Report, stated: Stated) -> Iterator[tuple[str, Any, float | None]]:
    """(example's id, what was stated, score) of every answer."""
    values = _values(report, stated)
    for row, value in zip(report.rows, values, strict=True):
        if not row.samples:
            yield row.id, value, row.score
            continue
        each = value if isinstance(value, list | tuple) and len(value) == len(row.samples) else None
        for place, score in enumerate(row.samples):
            yield row.id, value if each is None else each[place], score


def _values(report: Report, stated: Stated) -> Sequence[Any]:
    """What was stated in every row."""
    field = stated.source
    if not isinstance(field, str):
        if len(field) != len(report.rows):
            raise BadInput(
                f"{len(field)} confidences for {len(report.rows)} rows of {report.system}: expected one each"
            )
        return list(field)
    if any(field in row.outputs for row in report.rows):
        return [row.outputs.get(field) for row in report.rows]
    if report.examples is not None and any(field in example for example in report.examples):
        return [example.get(field) for example in report.examples]
    names = dict.fromkeys(name for row in report.rows for name in row.outputs)
    there = ", ".join(map(repr, names)) or "no field at all"
    raise BadInput(f"no answer of {report.system} has a field {field!r}: its outputs have {there}")


def _read(value: Any, stated: Stated, id: str) -> float | str | None:
    """A probability; ``None`` where nothing was stated, the text where it is no number."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    found, whole = None, stated.certain
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        if match is not None:
            found, whole = float(match[1]), 100.0 if match[2] else stated.certain
    elif not isinstance(value, bool) and hasattr(value, "__float__"):
        found = float(value)
    if found is None:
        return str(value)
    if math.isnan(found):
        return None
    share = found / whole
    if not -1e-6 <= share <= 1 + 1e-6:  # probabilities that were added up may be off by a rounding
        raise BadInput(
            f"{stated.name} of the example {id!r} is {value!r}: expected {_expected(stated)}; where another number "
            "means certain, say so, e.g. certain=100, on the command line --certain 100"
        )
    return min(1.0, max(0.0, share))


def _expected(stated: Stated) -> str:
    return f"a number from 0 to {stated.certain:g}, or a text such as '85 %'"


def _share(found: Interval) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
