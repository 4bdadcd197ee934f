"""Which ranks each system could hold, and which systems are tied: a board's order, with what is not known of it.

A system's best possible rank is one more than the systems established to be better, its worst is the number of systems
less those established to be worse. If all the pairs together are decided at 95 %, all the rank intervals together
hold the true ranks with 95 % (Mogstad, Romano, Shaikh and Wilhelm, "Inference for ranks with applications to mobility
across neighbourhoods and academic achievement across countries", Review of Economic Studies 91, 2024, section 3).
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import BadInput
from .pairs import AllPairs


@dataclass(frozen=True, slots=True)
class Ranks:
    """What is known of the order of S systems, for all of them together at a level."""

    low: NDArray[np.intp]
    """(S,): the best rank each could hold; 1 is the highest."""
    high: NDArray[np.intp]
    """(S,): the worst."""
    better: NDArray[np.bool_]
    """(S, S): the row is established to be better than the column."""
    letters: tuple[str, ...]
    """(S,): two systems share a letter if and only if their order is not established; ``a`` holds the best."""
    open_pairs: int
    """Pairs whose order is not established, those that could not be compared among them."""
    not_compared: int
    """Pairs that share fewer than two scored examples."""
    level: float


def rank_intervals(pairs: AllPairs, level: float = 0.95) -> Ranks:
    """The ranks that each system could hold, all together at a simultaneous level, and the groups of ties."""
    better = pairs.better(level)
    low, high = 1 + better.sum(axis=0), pairs.systems - better.sum(axis=1)
    order = np.argsort(-_strength(pairs), kind="stable")
    letters = compact_letters(better | better.T, [int(place) for place in order])
    count = pairs.first.size - int(better.sum())
    return Ranks(low, high, better, letters, count, int(np.isnan(pairs.p).sum()), level)


def compact_letters(different: NDArray[np.bool_], order: Sequence[int] | None = None) -> tuple[str, ...]:
    """A compact letter display: two systems share a letter if and only if they are not established to differ.

    By insertion and absorption (Piepho, "An algorithm for a letter-based representation of all-pairwise comparisons",
    J. Computational and Graphical Statistics 13, 2004): all systems begin under one letter; each pair that differs
    splits the letters that hold both, and a letter whose systems all stand under another one goes.

    Args:
        different: ``(S, S)``, symmetric.
        order: the systems from the best to the worst, which is the order of the letters.

    Returns:
        For each system its letters; after 52 letters come ``a1``, ``b1`` and so on.
    """
    size = len(different)
    if different.shape != (size, size) or not np.array_equal(different, different.T) or different.diagonal().any():
        raise BadInput(f"different: expected a symmetric square with nothing on its diagonal, got {different.shape}")
    columns = [frozenset(range(size))]
    for i, j in zip(*np.nonzero(np.triu(different)), strict=True):
        split = [column for column in columns if i in column and j in column]
        columns = [column for column in columns if column not in split]
        for column in {half for whole in split for half in (whole - {i}, whole - {j})}:
            if not any(column <= other for other in columns):
                columns = [other for other in columns if not other <= column] + [column]
    standing = {system: place for place, system in enumerate(order if order is not None else range(size))}
    columns.sort(key=lambda column: sorted(standing[system] for system in column))
    return tuple(
        "".join(_letter(number) for number, column in enumerate(columns) if system in column) for system in range(size)
    )


def _letter(number: int) -> str:
    turn, place = divmod(number, len(string.ascii_letters))
    return string.ascii_letters[place] + (str(turn) if turn else "")


def _strength(pairs: AllPairs) -> NDArray[np.float64]:
    """Each system's mean difference to the others, over the pairs that could be compared."""
    known = ~np.isnan(pairs.difference)
    value = np.where(known, pairs.difference, 0.0)
    total = np.bincount(pairs.first, value, pairs.systems) - np.bincount(pairs.second, value, pairs.systems)
    met = np.bincount(pairs.first, known, pairs.systems) + np.bincount(pairs.second, known, pairs.systems)
    strength: NDArray[np.float64] = total / np.maximum(met, 1)
    return strength
