"""An evaluation against a baseline that stops as soon as it is decided, and asks for no answer after that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import dspy
import numpy as np

from ..programs.task import Task
from ..runtime.derive import derive
from ..runtime.errors import BadInput
from ..runtime.models import Model
from ..runtime.session import Session
from .compare import on_others
from .evaluate import Artifact, check_answers, report_of_rows, system_on
from .gate import Decision, in_words
from .measuring import Measuring, Split, System
from .report import Report
from .rows import Row
from .runner import id_of
from .samples import Samples, samples_of
from .statistics.intervals import Interval
from .statistics.monitor import anytime_interval, decisions
from .statistics.power import examples_needed
from .statistics.values import Scores

BLOCK = 32
"""Examples before the first look; each block after it has an eighth of what was met before, and as many at least."""
DECISIONS: dict[int, Decision] = {2: "better", 1: "not worse", -1: "worse", 0: "undecided"}


@dataclass(frozen=True)
class Until:
    """When an evaluation has seen enough."""

    baseline: Report
    """Of the same examples, in any order."""
    margin: float = 0.01
    """What may be lost against it, in score."""
    better: bool = False
    """Whether not to be worse is not enough: it goes on until better or worse."""
    seed: int = 0
    """The order of the examples follows from it."""

    def __post_init__(self) -> None:
        if not 0 < self.margin < 1:
            raise BadInput(
                f"margin={self.margin!r}: expected a share of the score between 0 and 1, e.g. 0.01 for one point"
            )


@dataclass(frozen=True, slots=True)
class Stopped:
    """What was established when the evaluation ended; ``dstill.eval.statistics.decisions`` has the rules."""

    decision: Decision
    difference: Interval
    """The mean gain, with an interval that holds at any time."""
    n: int
    """Examples scored for both."""
    met: int
    """Examples that were answered."""
    of: int
    """Examples of the split."""
    margin: float
    needed: int | None
    """Examples at which a gate that looks once would decide in four of five trials; ``None`` where it is decided, and
    where no example tells the two apart."""
    names: tuple[str, str]
    """The system and the baseline."""

    def __str__(self) -> str:
        said = in_words(self.decision, self.names, self.difference, self.n, self.margin)
        if self.met < self.of:
            return f"{said}; stopped when decided, after {self.met:,} of {self.of:,} examples"
        end = f"; all {self.of:,} examples were met"
        if self.decision != "undecided":
            return said + end
        return said + end + (f"; a gate that looks once would need some {self.needed:,}" if self.needed else "")


def evaluate_until(
    task: Task,
    program: dspy.Module | Artifact | System,
    until: Until,
    split: str = "test",
    *,
    lm: Model | None = None,
    name: str | None = None,
    session: Session | None = None,
    concurrency: int | None = None,
    samples: int | Samples = 1,
) -> tuple[Report, Stopped]:
    """Score a program on a split of a task, examples in random order, until it is decided against a baseline.

    Where it stops does not depend on the concurrency. The report covers the examples that were met and says so: its
    score has an interval that holds at any time, and boards do not take it for one of all examples.

    Args:
        task, program, split, lm, name, session, concurrency, samples: as for ``evaluate_on``.
        until: the baseline, and what is to be decided.

    Raises:
        BadInput: as ``evaluate``, for a baseline of other examples than the split's, or if not one example brought a
            readable answer.
        Stop: if a budget, the journal, the model or the metric ended the run.
    """
    system = system_on(task, program, lm, name, session)
    on, asked = Split(split, task.split(split), task.metric), samples_of(samples)
    base = _baseline(system.name, on, until.baseline)
    order = list(range(len(on.examples)))
    derive(until.seed, "until decided").shuffle(order)
    met: list[Row] = []
    with Measuring(system, on, asked, concurrency).watched(None) as measuring:
        for look in looks(len(order)):
            met += measuring.rows(order[len(met) : look])
            found = judged(_differences(met, base), until, (system.name, until.baseline.system), len(met), len(order))
            if _enough(found, until):
                break
    check_answers(system.name, met)
    report = report_of_rows(system, on, asked, sorted(met, key=lambda row: row.index), measuring.failures)
    planned, notes = None, [f"{found}; in random order (seed {until.seed}), by intervals that hold at any time"]
    if len(met) < len(order):
        planned = len(order)
        notes.append("ranks and gains on a board take the number of examples for one that was fixed beforehand")
    return replace(report, task=task.name, notes=(*report.notes, *notes), planned=planned), found


def looks(n: int) -> Iterator[int]:
    """How many of ``n`` examples have been met at each look."""
    met = 0
    while met < n:
        met = min(n, met + max(BLOCK, met // 8))
        yield met


def judged(apart: Scores, until: Until, names: tuple[str, str], met: int, of: int) -> Stopped:
    """A look at the differences of the examples met so far."""
    code = int(decisions(apart, margin=until.margin)[-1]) if apart.size else 0
    needed = examples_needed(float(np.mean(apart**2)), until.margin) if apart.size and code == 0 else None
    return Stopped(DECISIONS[code], anytime_interval(apart), apart.size, met, of, until.margin, needed, names)


def _enough(found: Stopped, until: Until) -> bool:
    if until.better:  # one that is worse by less than the margin is not worse, and will not be better
        return found.decision in ("better", "worse") or found.difference.high < 0
    return found.decision != "undecided"


def _baseline(name: str, split: Split, baseline: Report) -> dict[str, float | None]:
    """The baseline's scores by id."""
    baseline.check()
    ids = [id_of(example, split.name, place) for place, example in enumerate(split.examples)]
    theirs = [row.id for row in baseline.rows]
    if sorted(ids) != sorted(theirs):
        raise BadInput(f"{on_others((name, ids), (baseline.system, theirs))}; evaluate both on the same split")
    return {row.id: row.score for row in baseline.rows}


def _differences(met: Sequence[Row], base: dict[str, float | None]) -> Scores:
    """Of the examples scored for both, in the order in which they were met."""
    pairs = [(row.score, base[row.id]) for row in met]
    return np.array([ours - theirs for ours, theirs in pairs if ours is not None and theirs is not None])
