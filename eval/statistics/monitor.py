"""A paired evaluation that may be looked at after every example, and stopped as soon as it is decided.

Gamblers bet fixed shares of their capital on the differences. If the hypothesis they bet against is true, none of them
can expect to gain, so their mean capital exceeds ``1 / alpha`` at any time whatever with probability ``alpha`` at most
(Ville's inequality). Turned around, the means that have not been bet away form an interval that holds at all times
together (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 86, 2024; a mean of
fixed bets is their section 4.5, hedging over several).

What must hold: the differences are independent and of one mean, and the order of the examples has nothing to do with
the scores. A split sorted by difficulty has to be shuffled first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import BadInput
from .intervals import Interval
from .values import Holed, Scores, as_scores, check_level, scored

Side = Literal["at most", "at least"]
BETS = np.geomspace(0.01, 0.95, 12)
"""Shares of the largest bet that cannot ruin the gambler."""


@dataclass(frozen=True, slots=True)
class Monitored:
    """Where a running paired evaluation stands."""

    verdict: Literal["better", "not better", "open"]
    """``better``: a's true mean lies above b's. ``not better``: it lies less than the margin above it, or below."""
    decided_at: int | None
    """Pairs that were needed; ``None`` while open."""
    difference: Interval
    """Mean of a - b over all pairs; its ends hold at all times together."""
    n: int
    """Pairs that were scored for both."""
    unscored: int
    """Pairs left out because one was not."""
    evidence: tuple[float, float]
    """Capital after all pairs, from 1: against "a is not above b", and against "a is above b by the margin"."""


def monitor(a: Holed, b: Holed, *, margin: float = 0.02, alpha: float = 0.05) -> Monitored:
    """Whether ``a`` is better than ``b``, as far as the examples met until now tell; call it as often as you like.

    The verdict is that of the first moment at which one could be given, so it does not change when more examples come.
    A wrong ``better`` and a wrong ``not better`` have a chance of ``alpha`` at most each, however often one looks. If
    the true difference lies between 0 and the margin, both are right; the margin makes an end possible for equals.

    Args:
        a: scores in [0, 1] in the order in which the examples were met; ``None`` or nan where unscored.
        b: the other system's, on the same examples.
        margin: the smallest difference worth having, above 0.
    """
    left, right = as_scores(a), as_scores(b)
    if left.shape != right.shape:
        raise BadInput(f"paired scores must be of equal number: got {left.size} and {right.size}")
    apart = left - right
    values = apart[~np.isnan(apart)]
    verdict, at = stopping(values[None, :], margin=margin, alpha=alpha)
    codes: dict[int, Literal["better", "not better", "open"]] = {1: "better", -1: "not better", 0: "open"}
    final = (0.0, 0.0)
    if values.size:
        final = (float(log_capital(values, 0.0, "at most")[-1]), float(log_capital(values, margin, "at least")[-1]))
    return Monitored(
        codes[int(verdict[0])], int(at[0]) if verdict[0] else None, anytime_interval(values, 1 - alpha), values.size,
        apart.size - values.size, (math.exp(min(final[0], 700.0)), math.exp(min(final[1], 700.0))),
    )  # fmt: skip


def stopping(
    differences: Scores, *, margin: float = 0.02, alpha: float = 0.05
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The verdicts of many evaluations at once, e.g. of simulated ones to plan by.

    Args:
        differences: ``(R, n)`` in [-1, 1], each row in the order in which its examples are met.

    Returns:
        (R,): 1 better, -1 not better, 0 open; and the examples needed, ``n`` where open.
    """
    if not 0 < margin < 1 or not 0 < alpha < 1:
        raise BadInput(f"margin={margin}, alpha={alpha}: expected both between 0 and 1")
    rows, n = differences.shape
    if n == 0:
        return np.zeros(rows, dtype=np.intp), np.zeros(rows, dtype=np.intp)
    bar = -math.log(alpha)
    better = log_capital(differences, 0.0, "at most") >= bar
    worse = log_capital(differences, margin, "at least") >= bar
    first = [np.where(side.any(axis=1), side.argmax(axis=1), n) for side in (better, worse)]
    # Both at one step happens only to a difference between 0 and the margin, where both are right.
    verdict = np.where(first[0] == n, 0, 1)
    verdict[first[1] < first[0]] = -1
    return verdict, np.minimum(np.minimum(first[0], first[1]) + 1, n)


def decisions(differences: Scores, *, margin: float = 0.01, level: float = 0.95) -> NDArray[np.intp]:
    """What a look after each example decides: better, not worse, worse, or nothing yet.

    ``better`` rejects "a is not above b" and ``worse`` "a is not below b", each with half of the error; ``not worse``
    rejects "a loses the margin or more" with all of it, and is only said where it is not better. However one looks,
    and whatever the truth, a wrong decision has a chance of ``1 - level`` at most: where a loses the margin, whoever
    is better is not worse, so that both are wrong together; where it loses less, only better is wrong; where the two
    are equal, better and worse share the error; where a gains, only worse is wrong. ``better`` and ``worse`` say that
    ``anytime_interval`` of the level leaves zero on one side.

    Args:
        differences: ``(..., n)`` of a - b in [-1, 1], in the order in which the examples are met; none unscored.
        margin: what may be lost, above 0.

    Returns:
        ``(..., n)``: 2 better, 1 not worse, -1 worse, 0 undecided.
    """
    if not 0 < margin < 1 or not 0 < level < 1:
        raise BadInput(f"margin={margin}, level={level}: expected both between 0 and 1")
    differences = np.asarray(differences, dtype=np.float64)
    half, whole = -math.log((1 - level) / 2), -math.log(1 - level)
    found = np.where(log_capital(differences, 0.0, "at least") >= half, -1, 0)
    found[log_capital(differences, -margin, "at most") >= whole] = 1
    found[log_capital(differences, 0.0, "at most") >= half] = 2
    return found


def log_capital(differences: Scores, mean: float, side: Side, bets: Scores = BETS) -> Scores:
    """The log of the mean capital after each outcome, against "the true mean is ``side`` ``mean``".

    Args:
        differences: ``(..., n)`` in [-1, 1].
        mean: between -1 and 1.
        bets: shares of the largest bet that cannot ruin the gambler, one for each of them.

    Returns:
        ``(..., n)``. As a test at any time: reject where it reaches ``-log(alpha)``.
    """
    worst = float(np.abs(differences).max(initial=0.0))
    if not worst <= 1.0 or not -1 <= mean <= 1:
        raise BadInput(
            f"differences up to {worst}, mean {mean}: expected scores in [0, 1], so that none leaves [-1, 1]"
        )
    gain = differences - mean if side == "at most" else mean - differences
    most = 1 + mean if side == "at most" else 1 - mean  # the largest loss on one outcome
    if most == 0:
        return np.full(differences.shape, np.inf)  # only outcomes at the very end of the range have such a mean
    total = np.full(differences.shape, -np.inf)
    for bet in bets:
        path = np.cumsum(np.log1p(bet / most * gain), axis=-1)
        np.logaddexp(total, path, out=total)
    return total - math.log(bets.size)


def anytime_interval(differences: Scores, level: float = 0.95) -> Interval:
    """The mean difference with an interval that holds at all times together, to 1e-6; [-1, 1] without a difference.

    It contains the mean, and it is wider than one for a number of examples that was fixed beforehand.
    """
    check_level(level)
    differences = np.asarray(differences, dtype=np.float64)
    if differences.size == 0:
        return Interval(math.nan, -1.0, 1.0, level)
    bar = math.log(2 / (1 - level))
    value = float(np.clip(differences.mean(), -1.0, 1.0))

    def end(out: float, side: Side) -> float:
        kept = value  # by Jensen's inequality nobody gains against the mean that was seen
        if float(log_capital(differences, out, side)[-1]) < bar:
            return out
        while abs(out - kept) > 1e-6:
            middle = (out + kept) / 2
            out, kept = (middle, kept) if float(log_capital(differences, middle, side)[-1]) >= bar else (out, middle)
        return out

    return Interval(value, end(-1.0, "at most"), end(1.0, "at least"), level)


def anytime_mean(scores: Holed, level: float = 0.95) -> Interval:
    """The mean of scores in [0, 1] with an interval that holds at all times together, so that an evaluation may be
    stopped for what it has shown; [0, 1] without a score. Unscored examples are left out."""
    found, _ = scored(scores)
    if not found.size:
        return Interval(float("nan"), 0.0, 1.0, level)
    wide = anytime_interval(2 * found - 1, level)
    return Interval((wide.value + 1) / 2, (wide.low + 1) / 2, (wide.high + 1) / 2, level)
