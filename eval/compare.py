"""Comparing two systems on the same examples: is there a difference, is one not inferior, how many would decide?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..runtime.errors import BadInput
from .report import Report
from .statistics.clusters import cluster_difference
from .statistics.intervals import Interval, clopper_pearson, pair, paired_interval
from .statistics.paired import Paired, paired
from .statistics.power import examples_needed
from .statistics.values import Labels, is_binary

Verdict = Literal["better", "worse", "no significant difference"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """System ``a`` against baseline ``b``, example by example."""

    difference: Interval
    """Mean of a - b."""
    p: float
    """Two-sided: exact McNemar for right-or-wrong scores, else, and for clusters, a sign-flip permutation test."""
    n: int
    """Examples scored by both."""
    wins: int
    """Examples on which a scores higher."""
    losses: int
    """Examples on which b scores higher."""

    @property
    def verdict(self) -> Verdict:
        """By the interval: better or worse only if it leaves zero on one side."""
        if self.difference.low > 0:
            return "better"
        return "worse" if self.difference.high < 0 else "no significant difference"


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """Whether a system loses less than a margin against another one."""

    accepted: bool
    difference: Interval
    """a - b, with a two-sided interval whose lower end is the one-sided bound."""
    margin: float
    n: int
    needed: int | None
    """Examples at which a system with this many disagreements and truly no loss would be accepted in four of five
    trials; ``None`` if there are no disagreements to judge by."""

    def __str__(self) -> str:
        bound = f"loses at most {max(0.0, -100 * self.difference.low):.1f} points (one-sided 95 %)"
        if self.accepted:
            return f"not inferior: {bound}, margin {100 * self.margin:.1f}"
        if self.difference.high < -self.margin:
            loss = f"loses {-100 * self.difference.value:.1f} points"
            return f"inferior: {loss} on {self.n} examples, margin {100 * self.margin:.1f}"
        more = "" if self.needed is None or self.needed <= self.n else f"; some {self.needed:,} examples would decide"
        return f"not shown to be non-inferior: {bound} on {self.n} examples, margin {100 * self.margin:.1f}{more}"


@dataclass(frozen=True, slots=True)
class Shared:
    """What two systems scored on the examples that both were scored on, in order."""

    a: tuple[float, ...]
    b: tuple[float, ...]
    clusters: Labels | None
    """What each of these examples shares with others."""


def compare_scores(
    a: Sequence[float],
    b: Sequence[float],
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Paired scores: the difference with its interval, and the test."""
    left, right = pair(a, b)
    return comparison(paired([left, right], level, clusters=clusters, seed=seed), 0, 1, level)


def comparison(pairs: Paired, a: int, b: int, level: float = 0.95) -> Comparison:
    """One of many pairs that were compared at once."""
    value, low, high, p = (float(matrix[a, b]) for matrix in (pairs.value, pairs.low, pairs.high, pairs.p))
    n, wins, losses = (int(count) for count in (pairs.n[a, b], pairs.wins[a, b], pairs.wins[b, a]))
    return Comparison(Interval(value, low, high, level), p, n, wins, losses)


def compare(a: Report, b: Report, *, level: float = 0.95) -> Comparison:
    """Two reports on the same examples; rows unscored in either are left out.

    Raises:
        BadInput: if they are not on the same examples (how many they share is said) in the same clusters, share no
            scored one, or have rows that ``Report.check`` refuses.
    """
    both = shared_scores(a, b)
    return compare_scores(both.a, both.b, clusters=both.clusters, level=level)


def shared_scores(a: Report, b: Report) -> Shared:
    """The scores of the examples that both systems were scored on."""
    for report in (a, b):
        report.check()
    mine, theirs = [row.id for row in a.rows], [row.id for row in b.rows]
    if mine != theirs:
        raise BadInput(
            f"{on_others((a.system, mine), (b.system, theirs))}; evaluate both on the same split, or take "
            "the shared ones: compare(*on_shared(a, b)), on the command line --shared"
        )
    check_clusters(a, b)
    pairs = [
        (x.score, y.score, place)
        for place, (x, y) in enumerate(zip(a.rows, b.rows, strict=True))
        if x.score is not None and y.score is not None
    ]
    if not pairs:
        raise BadInput(f"{a.system} and {b.system} share no example that both were scored on")
    clusters = None if a.clusters is None else [a.clusters[place] for _, _, place in pairs]
    return Shared(tuple(x for x, _, _ in pairs), tuple(y for _, y, _ in pairs), clusters)


def check_clusters(a: Report, b: Report) -> None:
    """Raises BadInput unless two reports on the same examples, in one order, take the same ones together."""
    if a.clusters != b.clusters:
        said = [f"{one.system} has {'none' if one.clusters is None else len(set(one.clusters))}" for one in (a, b)]
        raise BadInput(
            f"the two stand in different clusters ({', '.join(said)}): expected the same, by one field of the "
            "examples: clustered(report, FIELD), on the command line --cluster FIELD"
        )


def on_others(a: tuple[str, Sequence[str]], b: tuple[str, Sequence[str]]) -> str:
    """That two systems, each with the ids of its examples, were run on different ones, and how many they share."""
    shared = len(set(a[1]) & set(b[1]))
    return (
        f"{a[0]} and {b[0]} were run on different examples: {len(a[1])} and {len(b[1])}, of which they share {shared}"
    )


def non_inferior(
    a: Sequence[float],
    b: Sequence[float],
    *,
    margin: float = 0.01,
    level: float = 0.95,
    clusters: Labels | None = None,
) -> NonInferiority:
    """Whether ``a`` is worse than ``b`` by less than ``margin``, at a one-sided level.

    Accepted if the one-sided lower bound of the paired difference lies above ``-margin`` (CONSORT's extension to
    non-inferiority trials, Piaggio et al., JAMA 308, 2012). Where ``a`` is right on nothing that ``b`` is wrong on, the
    bound is that of the losses alone, after Clopper and Pearson: the usual one is then too near (9 % instead of 5).
    """
    values = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    effect = 1.0
    if clusters is None:
        difference = paired_interval(a, b, 2 * level - 1)
        if is_binary(np.asarray(a)) and is_binary(np.asarray(b)) and not (values > 0).any():
            most = clopper_pearson(int((values < 0).sum()), values.size, 2 * level - 1).high
            difference = replace(difference, low=min(difference.low, -most))
    else:
        inner = 2 * level - 1
        difference = comparison(paired([a, b], inner, clusters=clusters, tests=False), 0, 1, inner).difference
        if len(set(clusters)) > 1 and np.ptp(values) > 0:
            effect = max(1.0, cluster_difference(a, b, clusters).design_effect)
    needed = examples_needed(effect * float(np.mean(values**2)), margin, level=level)
    return NonInferiority(difference.low > -margin, difference, margin, values.size, needed)
