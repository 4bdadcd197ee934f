"""Several boards at once: mean ranks over the tasks, with intervals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..statistics.intervals import Interval
from ..statistics.resample import resampled_means
from ..statistics.slices import combined
from ..statistics.values import places_of
from .figures import Board
from .standing import LEVEL
from .text import NONE, points

RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Place:
    """A system over all tasks."""

    system: str
    rank: Interval | None
    """Mean of its ranks on the tasks, 1 the best; ``None`` for a system that is not scored on all of them."""
    average: Interval | None
    """Mean of its scores on the tasks, each task counting alike."""


@dataclass(frozen=True, slots=True)
class Overall:
    """The systems by mean rank; those that lack a task stand last, by name."""

    boards: tuple[Board, ...]
    labels: tuple[str, ...]
    """What the boards are called."""
    places: tuple[Place, ...]

    @property
    def lines(self) -> list[dict[str, str]]:
        """Cells as text, by column: mean rank, average score, and the rank interval on every task."""
        ranks = [{entry.report.system: str(entry.rank or NONE) for entry in board.entries} for board in self.boards]
        return [
            {
                "mean rank": NONE if place.rank is None else _plain(place.rank),
                "system": place.system,
                "average": points(place.average),
                **{
                    f"rank: {label}": found.get(place.system, NONE)
                    for label, found in zip(self.labels, ranks, strict=True)
                },
            }
            for place in self.places
        ]

    @property
    def headline(self) -> str:
        """What the table says, in a sentence or two."""
        ranked = [place for place in self.places if place.rank is not None]
        if not ranked:
            return "No system is scored on every task, so there is no mean rank."
        best = ranked[0].rank
        assert best is not None
        *others, last = [place.system for place in ranked if place.rank is not None and place.rank.value == best.value]
        # Systems that are level in their ranks need not be so in how sure these are.
        who = f"{', '.join(others)} and {last} have the best mean rank, {best.value:.1f}" if others else (
            f"{last} has the best mean rank, {_plain(best)}"
        )  # fmt: skip
        rest = len(self.places) - len(ranked)
        systems = "1 system" if len(ranked) == 1 else f"{len(ranked)} systems"
        missing = f" {rest} are not on every task and have no mean rank." if rest else ""
        return f"{who}, among {systems} on all {len(self.boards)} tasks.{missing}"

    @property
    def notes(self) -> list[str]:
        """What stands behind the columns."""
        return [
            "mean rank: over the tasks, among the systems that are on all of them, ties sharing a rank; its 95 % "
            f"interval from {RESAMPLES:,} bootstrap samples of the examples of each task, or of its clusters, the same "
            "for all systems. average: of the scores, each task counting alike, its interval put together from theirs. "
            "Both hold for more examples of these tasks, not for other tasks.",
        ]

    def dump(self) -> list[dict[str, Any]]:
        """As JSON."""
        return [
            {
                "system": place.system,
                "mean_rank": place.rank and place.rank.dump(),
                "average": place.average and place.average.dump(),
            }
            for place in self.places
        ]


def overall(boards: Sequence[Board], labels: Sequence[str], *, seed: int = 0) -> Overall:
    """Mean ranks and average scores over boards.

    Ranks: the percentile bootstrap over examples, stratified by task (Efron and Tibshirani, An Introduction to the
    Bootstrap, 1993, ch. 8): every resample draws the examples of each task anew, ranks all systems on each, and takes
    the mean. The tasks themselves are taken as given. Where many systems are close, intervals of ranks are too narrow
    (Hall and Miller, "Using the bootstrap to quantify the authority of an empirical ranking", Ann. Stat. 37, 2009).

    Averages: the intervals of the scores on each task, combined by their distances from the scores as for strata
    (``stratified_mean``), of equal weight. A bootstrap would have no width where all answers are right.
    """
    names = [entry.report.system for board in boards for entry in board.entries]
    scored = [{e.report.system for e in board.entries if e.report.score is not None} for board in boards]
    everywhere = [name for name in dict.fromkeys(names) if all(name in found for found in scored)]
    rest = sorted(set(names) - set(everywhere))
    places = _places(boards, everywhere, seed) if everywhere else []
    places += [Place(name, None, None) for name in rest]
    return Overall(tuple(boards), tuple(labels), tuple(places))


def _places(boards: Sequence[Board], names: Sequence[str], seed: int) -> list[Place]:
    drawn, seen, scored = [], [], []
    for number, board in enumerate(boards):
        reports = {entry.report.system: entry.report for entry in board.entries}
        scores = np.array([[np.nan if r.score is None else r.score for r in reports[name].rows] for name in names])
        clusters = places_of(reports[names[0]].clusters, scores.shape[1])
        drawn.append(resampled_means(scores, RESAMPLES, seed=seed, stream=f"overall {number}", clusters=clusters).T)
        seen.append(np.nanmean(scores, axis=1)[:, None])
        scored.append([reports[name].score for name in names])
    ranks, rank_draws = _ranks(seen)[:, 0], _ranks(drawn)
    asked = [(board.task, board.split) for board in boards]
    means = [_average([own[i] for own in scored], asked) for i in range(len(names))]
    found = [Place(name, _interval(float(ranks[i]), rank_draws[i]), means[i]) for i, name in enumerate(names)]
    return [found[i] for i in sorted(range(len(names)), key=lambda i: (ranks[i], -means[i].value))]


def _average(scores: Sequence[Interval | None], asked: Sequence[Hashable]) -> Interval:
    """The mean of a system's scores.

    Args:
        asked: for each of them which examples it is of. Scores of the same examples by several metrics may err
            together, so their distances are averaged as they are.
    """
    groups: dict[Hashable, list[Interval]] = {}
    for score, examples in zip(scores, asked, strict=True):
        assert score is not None, "the system is scored on every task"
        groups.setdefault(examples, []).append(score)
    parts = []
    for own in groups.values():
        value, low, high = np.mean([(one.value, one.low, one.high) for one in own], axis=0).tolist()
        parts.append(Interval(value, low, high, LEVEL))
    return combined(parts, [len(own) / len(scores) for own in groups.values()])


def _ranks(scores: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Mean ranks, (S, R), of scores (S, R) on each task; equal scores share the middle of their ranks."""
    total = np.zeros_like(scores[0])
    for task in scores:
        rounded = np.round(task, 12)
        for i, row in enumerate(rounded):
            total[i] += 0.5 + (rounded > row).sum(axis=0) + 0.5 * (rounded == row).sum(axis=0)
    return total / len(scores)


def _interval(value: float, draws: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(draws, (0.5 - LEVEL / 2, 0.5 + LEVEL / 2))
    return Interval(value, min(value, float(low)), max(value, float(high)), LEVEL)


def _plain(rank: Interval) -> str:
    return f"{rank.value:.1f} [{rank.low:.1f}, {rank.high:.1f}]"
