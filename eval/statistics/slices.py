"""Results by the values of a field, and a mean put together from them by given weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...runtime.errors import BadInput
from .clusters import cluster_score
from .intervals import Interval, mean_interval, t_quantile, wilson
from .values import Holed, Labels, Scores, as_scores, check_level, groups_of, is_binary, places_of


@dataclass(frozen=True, slots=True)
class Slice:
    """The examples with one value of a field."""

    label: Any
    interval: Interval | None
    """The mean score; ``None`` if nothing was scored."""
    n: int
    """Scored examples."""
    unscored: int


@dataclass(frozen=True, slots=True)
class Stratified:
    """A mean over strata by given weights."""

    interval: Interval
    strata: tuple[Slice, ...]
    weights: tuple[float, ...]
    """As shares of 1, in the order of the strata."""
    n: int
    unscored: int


def by_slice(
    scores: Holed, labels: Labels, level: float = 0.95, *, clusters: Labels | None = None
) -> tuple[Slice, ...]:
    """The mean score of each slice, in the order in which the labels first appear.

    Each interval is that of its slice alone (``mean_interval``; ``cluster_score`` where there are clusters): of twenty
    slices one is expected to lie outside.

    Args:
        labels: for every example the field's value.
        clusters: for every example what it shares with others; each stands alone by default.
    """
    check_level(level)
    values = as_scores(scores)
    names, index = groups_of(labels, values.size, what="labels")
    places = places_of(clusters, values.size)
    found = []
    for place, name in enumerate(names):
        own = values[index == place]
        kept = own[~np.isnan(own)]
        if places is not None:
            interval = cluster_score(own, places[index == place], level)
        else:
            interval = mean_interval(kept, level) if kept.size else None
        found.append(Slice(name, interval, kept.size, own.size - kept.size))
    return tuple(found)


def stratified_mean(
    scores: Holed,
    strata: Labels,
    weights: Mapping[Any, float],
    level: float = 0.95,
) -> Stratified:
    """The mean that a population with these shares of the strata would have (post-stratification; Holt and Smith,
    JRSS-A 142, 1979).

    Unscored examples change nothing but their stratum's number. Right-or-wrong scores: the strata's Wilson intervals
    are combined by their distances from the estimates (Zou, Huang and Zhang, "A note on confidence interval estimation
    for a linear function of binomial proportions", Comput. Statist. Data Anal. 53, 2009), which holds up where a
    stratum is all right or all wrong. Other scores: the strata's variances with Satterthwaite's degrees of freedom
    (Biometrics Bulletin 2, 1946).

    Args:
        strata: for every example its stratum.
        weights: for every stratum its weight in the population, e.g. a count; they are divided by their sum.

    Raises:
        BadInput: if the weights and the strata do not match, or a stratum has too few scored examples.
    """
    slices = by_slice(scores, strata, level)
    shares = _shares(slices, weights)
    values = as_scores(scores)
    _, index = groups_of(strata, values.size, what="strata")
    own = [values[(index == place) & ~np.isnan(values)] for place in range(len(slices))]
    interval = (
        _proportions(own, shares, level) if is_binary(np.concatenate(own)) else _means(own, shares, slices, level)
    )
    n = sum(part.n for part in slices)
    return Stratified(interval, slices, tuple(float(share) for share in shares), n, values.size - n)


def _shares(slices: tuple[Slice, ...], weights: Mapping[Any, float]) -> Scores:
    labels = [part.label for part in slices]
    if set(labels) != set(weights):
        raise BadInput(f"weights for {sorted(map(str, weights))}: expected one for each of {sorted(map(str, labels))}")
    given = np.array([float(weights[label]) for label in labels])
    if not (given > 0).all() or not np.isfinite(given).all():
        raise BadInput(f"weights {dict(weights)}: expected numbers above 0")
    empty = [part.label for part in slices if part.n == 0]
    if empty:
        raise BadInput(f"strata {empty}: nothing was scored there, so nothing can be said of the whole")
    shares: Scores = given / given.sum()
    return shares


def combined(parts: Sequence[Interval], shares: Sequence[float] | Scores) -> Interval:
    """The weighted mean of independent figures, from the distances of their ends (Zou, Huang and Zhang 2009).

    Args:
        parts: each with its own interval, of one level.
        shares: their weights, of sum 1.
    """
    value = math.fsum(share * part.value for share, part in zip(shares, parts, strict=True))
    down = math.fsum((share * (part.value - part.low)) ** 2 for share, part in zip(shares, parts, strict=True))
    up = math.fsum((share * (part.high - part.value)) ** 2 for share, part in zip(shares, parts, strict=True))
    return Interval(value, value - math.sqrt(down), value + math.sqrt(up), parts[0].level)


def _proportions(own: list[Scores], shares: Scores, level: float) -> Interval:
    return combined([wilson(float(part.sum()), part.size, level) for part in own], shares)


def _means(own: list[Scores], shares: Scores, slices: tuple[Slice, ...], level: float) -> Interval:
    few = [part.label for part in slices if part.n < 2]
    if few:
        raise BadInput(f"strata {few}: one scored example only; scores between 0 and 1 need at least two of each")
    value = math.fsum(share * float(part.mean()) for share, part in zip(shares, own, strict=True))
    pieces = np.array([share**2 * part.var(ddof=1) / part.size for share, part in zip(shares, own, strict=True)])
    total = float(pieces.sum())
    if total == 0:
        return Interval(value, value, value, level)
    freedom = total**2 / float((pieces**2 / np.array([part.size - 1 for part in own])).sum())
    half = t_quantile(0.5 + level / 2, freedom) * math.sqrt(total)
    return Interval(value, value - half, value + half, level)
