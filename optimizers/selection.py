"""The dev split, divided: rows that choose, and rows that have no part in choosing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dspy

from ..programs.splits import spread
from ..runtime.canonical import as_json, canonical
from ..runtime.derive import derive

FEW = 4
"""An answer comes again and again if there are at least so many rows for each that differs."""


@dataclass(frozen=True)
class Selection:
    """The dev split, divided."""

    choose: tuple[int, ...]
    """Rows that choose, in the order in which all candidates meet them."""
    confirm: tuple[int, ...]
    """Rows that have no part in choosing."""

    @classmethod
    def of(cls, dev: Sequence[dspy.Example], share: float, seed: int) -> Selection:
        """A random division; at least one row chooses.

        Who is judged by few rows should not be judged by rows of one kind, which one who always answers the same may
        get right. So of answers that come again and again, the first rows that choose have each as often as all rows
        have (systematic sampling from strata: Cochran, Sampling Techniques, 3rd ed., 1977, chapters 5 and 8). That
        order is taken for a circle and begins at any row with equal chance, so every row is among the first as often as
        any other, and means over the first rows are not biased.
        """
        rng = derive(seed, "selection")
        order = list(range(len(dev)))
        rng.shuffle(order)
        kept = min(len(dev) - 1, round(len(dev) * share))
        answers = _answers(dev)
        circle = spread([answers[row] for row in order[kept:]], order[kept:])
        first = rng.randrange(len(circle))
        return cls((*circle[first:], *circle[:first]), tuple(sorted(order[:kept])))


def _answers(dev: Sequence[dspy.Example]) -> list[bytes]:
    """Of every row, those of its labels that come again and again."""
    told = [{name: canonical(as_json(value)) for name, value in row.labels().items()} for row in dev]
    names = sorted({name for labels in told for name in labels})
    again = [name for name in names if FEW * len({labels.get(name) for labels in told}) <= len(dev)]
    return [b"\0".join(labels.get(name, b"") for name in again) for labels in told]
