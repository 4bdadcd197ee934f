"""The front that a search for several objectives leaves: programs of which none is better in everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from ..eval.statistics.intervals import Interval, mean_interval
from ..runtime.errors import BadInput, Damaged
from ..runtime.rundir import check_files
from .candidate import Candidate
from .confirming import Confirmed
from .history import History, Trial, table
from .objective import SCORE, check_limits, measured
from .pareto import hypervolume, nondominated

LEVEL = 0.95
"""With which the gains of all points together are held by their intervals (Bonferroni)."""


@dataclass(frozen=True)
class Point:
    """One program of a front."""

    trial: int
    candidate: Candidate
    score: Interval
    """With its own 95 % interval."""
    gain: Interval | None
    """Over the declared program; ``None`` for that program itself, and where nothing was confirmed."""
    values: Mapping[str, float]
    """The mean for an example of every objective that was asked for, the score among them."""

    def dump(self) -> dict[str, Any]:
        """As JSON; the candidate stands in ``trials.jsonl``."""
        gain = None if self.gain is None else self.gain.dump()
        return {"trial": self.trial, "score": self.score.dump(), "gain": gain, "values": dict(self.values)}


@dataclass(frozen=True)
class Front:
    """The points of a front, the highest score first. ``print`` it, or display it in a notebook."""

    points: tuple[Point, ...]
    names: tuple[str, ...]
    """The objectives."""
    n: int
    """Dev rows apart from selection that the values come from; 0 where they come from the rows that chose."""
    worst: Mapping[str, float]
    """The largest mean that any trial had in each objective but the score."""

    def __iter__(self) -> Iterator[Point]:
        return iter(self.points)

    def __len__(self) -> int:
        return len(self.points)

    @property
    def hypervolume(self) -> float:
        """The share of all that could be, from 0 at score 0 and the worst of the rest to 1 at full score for nothing.

        To be compared between runs only where ``worst`` is the same.
        """
        return hypervolume([[p.values[SCORE], *(self._spared(p, name) for name in self.names[1:])] for p in self])

    def pick(self, trial: int | None = None, **limits: float) -> Point:
        """The point of a trial, or the best within limits: the least ``score``, the most of the other objectives.

        Of several it is the one of highest score; where the score has a limit, the one least in the first of the other
        objectives.

        Raises:
            BadInput: where no point is meant, or for limits of what is no objective.
        """
        asked = {**limits, **({} if trial is None else {"trial": trial})}
        check_limits(self.names, asked)
        found = [point for point in self if self._within(point, asked)]
        if not found:
            wanted = ", ".join(f"{name}={value:g}" for name, value in asked.items())
            there = [f"trial {p.trial} ({', '.join(f'{k}={v:.4g}' for k, v in p.values.items())})" for p in self]
            raise BadInput(f"the front has no point within {wanted}; it has: {', '.join(there)}")
        if SCORE in limits:
            return min(found, key=lambda point: (point.values[self.names[1]], -point.values[SCORE]))
        return found[0]

    def verdict(self, point: Point) -> str:
        """What may be claimed of a point, in a sentence."""
        if point.gain is None:
            return f"trial {point.trial} of a front of {len(self)}; its gain was not measured"
        gain = signed(point.gain)
        where = f"over the declared program on {self.n} dev rows kept apart from selection"
        return f"trial {point.trial} of a front of {len(self)}: {gain} points {where}, with the others' at once"

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "objectives": list(self.names), "n": self.n, "hypervolume": self.hypervolume, "worst": dict(self.worst),
            "points": [point.dump() for point in self],
        }  # fmt: skip

    @classmethod
    def load(cls, body: Mapping[str, Any], trials: Sequence[Trial]) -> Front:
        """The inverse of ``dump``, with the candidates from the run's trials."""
        points = tuple(
            Point(
                p["trial"], trials[p["trial"]].candidate, Interval(**p["score"]),
                None if p["gain"] is None else Interval(**p["gain"]), dict(p["values"]),
            )
            for p in body["points"]
        )  # fmt: skip
        return cls(points, tuple(body["objectives"]), body["n"], dict(body["worst"]))

    def __str__(self) -> str:
        from .front_view import text

        return text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from .front_view import fragment

        return fragment(self)

    def _within(self, point: Point, asked: Mapping[str, float]) -> bool:
        return all(
            point.trial == value if name == "trial"
            else point.values[name] >= value if name == SCORE
            else point.values[name] <= value
            for name, value in asked.items()
        )  # fmt: skip

    def _spared(self, point: Point, name: str) -> float:
        return 1 - point.values[name] / self.worst[name] if self.worst[name] > 0 else 1.0


def read_front(folder: Path) -> Front | None:
    """The front of the run in a folder; ``None`` where it has none."""
    report = folder / "report.json"
    if not report.is_file():
        return None
    check_files(folder, "report.json", "trials.jsonl")
    try:
        body = orjson.loads(report.read_bytes())
    except orjson.JSONDecodeError as error:
        raise Damaged(f"{report} cannot be read: {error}") from None
    if "front" not in body:
        return None
    lines = (folder / "trials.jsonl").read_bytes().splitlines()
    return Front.load(body["front"], [Trial.load(orjson.loads(line)) for line in lines])


def signed(gain: Interval) -> str:
    """A gain in points."""
    return f"{100 * gain.value:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"


def front_of(history: History, trials: Sequence[Trial], confirmed: Sequence[Confirmed]) -> Front:
    """The front among trials that were chosen, by the rows kept apart; by those that chose where there are none.

    Args:
        confirmed: of each of the trials, in order.
    """
    names = history.objectives
    means = [_means(trial, names) for trial in history.trials if trial.scores]
    rows = min((sum(row.score is not None for row in said.rows) for said in confirmed), default=0)
    seen = [_as_met(t, said, names) if rows else t for t, said in zip(trials, confirmed, strict=True)]
    keep = nondominated([table(seen, name) if name == SCORE else -table(seen, name) for name in names])
    points = []
    for trial, said, kept in zip(seen, confirmed, keep, strict=True):
        if kept:
            values = _means(trial, names)
            gain = said.gain.difference if said.gain is not None and trial.number else None
            points.append(
                Point(trial.number, trial.candidate, mean_interval(list(trial.scores.values())), gain, values)
            )
            means.append(values)
    points.sort(key=lambda point: (-point.values[SCORE], *(point.values[name] for name in names[1:]), point.trial))
    worst = {name: max(found[name] for found in means) for name in names[1:]}
    return Front(tuple(points), names, rows, worst)


def _means(trial: Trial, names: tuple[str, ...]) -> dict[str, float]:
    return {name: float(np.nanmean(table([trial], name))) for name in names}


def _as_met(trial: Trial, said: Confirmed, names: tuple[str, ...]) -> Trial:
    """A trial as if the rows kept apart had been its only ones."""
    scored = {place: row for place, row in enumerate(said.rows) if row.score is not None}
    others = {place: measured(row, names) for place, row in scored.items()}
    return replace(
        trial,
        met=len(said.rows),
        scores={place: row.score or 0.0 for place, row in scored.items()},
        measures={name: {place: others[place][name] for place in scored} for name in names[1:]},
    )
