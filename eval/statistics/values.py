"""Scores as arrays, in which an example that could not be scored is nan: never 0, and never lost without a count."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...runtime.errors import BadInput

Scores = NDArray[np.float64]
"""Scores of examples, shape ``(n,)`` unless said otherwise; nan where unscored."""

Holed: TypeAlias = Sequence[float | None] | ArrayLike
"""What is taken for scores: an example that could not be scored is ``None`` or nan."""

Labels: TypeAlias = Sequence[Hashable] | NDArray[Any]
"""For every example something that it may share with others."""


def as_scores(values: Holed | Sequence[Holed], *, dims: int = 1, what: str = "scores") -> Scores:
    """Scores as an array with nan for ``None``.

    Args:
        dims: the number of dimensions to insist on.
        what: what to call them in errors.

    Raises:
        BadInput: for text, infinite numbers, or another number of dimensions.
    """
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadInput(
            f"{what}: expected numbers (None or nan where unscored) in equal rows, got {values!r:.80}"
        ) from None
    if found.ndim != dims:
        raise BadInput(f"{what}: expected an array of {dims} dimension(s), got the shape {found.shape}")
    if np.isinf(found).any():
        raise BadInput(f"{what}: expected finite numbers, got {found[np.isinf(found)][0]}")
    return found


def scored(values: Holed, *, what: str = "scores") -> tuple[Scores, int]:
    """The scores that are there, in order, and how many were unscored (``None`` or nan)."""
    found = as_scores(values, what=what)
    there = ~np.isnan(found)
    return found[there], int((~there).sum())


def all_scored(values: Holed, *, what: str = "scores") -> Scores:
    """Scores for a method that has no place for an unscored example.

    Raises:
        BadInput: if one is unscored, so that the caller decides what becomes of it.
    """
    found, unscored = scored(values, what=what)
    if unscored:
        raise BadInput(
            f"{what}: {unscored} of {unscored + found.size} are unscored (None or nan); take them out with "
            "dstill.eval.statistics.scored, which also counts them"
        )
    return found


def is_binary(values: NDArray[Any]) -> bool:
    """Whether every score is 0 or 1."""
    return bool(np.all((values == 0.0) | (values == 1.0)))


def groups_of(labels: Labels, n: int, *, what: str) -> tuple[list[Any], NDArray[np.intp]]:
    """The distinct labels in the order of their first appearance, and the place of each example's label among them.

    Raises:
        BadInput: if there is not one label for each of the ``n`` examples.
    """
    if len(labels) != n:
        raise BadInput(f"{what}: expected one for each of the {n} examples, got {len(labels)}")
    places: dict[Any, int] = {}
    index = np.empty(n, dtype=np.intp)
    for i, label in enumerate(labels.tolist() if isinstance(labels, np.ndarray) else labels):
        index[i] = places.setdefault(label, len(places))
    return list(places), index


def places_of(clusters: Labels | None, n: int) -> NDArray[np.intp] | None:
    """The place of each example's cluster among the clusters; ``None`` where there are none."""
    return None if clusters is None else groups_of(clusters, n, what="clusters")[1]


def check_level(level: float) -> None:
    """Raises BadInput unless a level of confidence lies between 0 and 1."""
    if not 0 < level < 1:
        raise BadInput(f"level={level}: expected a number between 0 and 1, e.g. 0.95")
