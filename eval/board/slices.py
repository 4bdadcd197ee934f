"""Slices: how every system does on the examples that share a value of a field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...runtime.errors import BadInput
from ..statistics.intervals import Interval
from ..statistics.paired import Paired, paired
from ..statistics.slices import by_slice
from ..statistics.values import Labels, Scores

MOST = 20
"""Values of a field that may be sliced by; a field with more is no grouping but a text."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The examples with one value of a field."""

    value: str
    n: int
    """Examples in the slice, scored or not."""
    scores: tuple[Interval | None, ...]
    """A system's mean score on them, in the board's order; ``None`` where none was scored."""
    pairs: Paired
    """Every pair of systems on them, without tests."""

    def gain(self, system: int, baseline: int) -> Interval | None:
        """What one system scores more than another on the slice; ``None`` where they share no scored example."""
        if system == baseline or not self.pairs.n[system, baseline]:
            return None
        return Interval(*(float(x[system, baseline]) for x in (self.pairs.value, self.pairs.low, self.pairs.high)))


@dataclass(frozen=True, slots=True)
class Slicing:
    """A field of the examples and its slices, the largest first."""

    field: str
    slices: tuple[Slice, ...]


def slicings(
    scores: Scores,
    examples: Sequence[Mapping[str, Any]],
    fields: Sequence[str] | None,
    clusters: Labels | None = None,
) -> tuple[Slicing, ...]:
    """Every system's score, and every pair's difference, by the values of fields.

    Intervals are of each slice alone, not corrected for their number: a slice is where to look next, not a finding.

    Args:
        scores: ``(S, n)`` in the board's order, nan where unscored.
        examples: one for each row.
        fields: what to slice by; by default every field with 2 to 20 different values that holds at least five
            examples a value on average.
        clusters: what each example shares with others.

    Raises:
        BadInput: for a field that no example has, or one with more values than can be read.
    """
    known = list(dict.fromkeys(name for example in examples for name in example))
    for name in fields or ():
        count = len({_label(example.get(name)) for example in examples})
        if name not in known:
            raise BadInput(f"no example has a field {name!r} to slice by; expected one of: {', '.join(known)}")
        if count > MOST:
            raise BadInput(f"the field {name!r} has {count} different values; expected at most {MOST} to slice by")
    chosen = [name for name in known if _groups(name, examples)] if fields is None else list(fields)
    return tuple(_slicing(name, scores, examples, clusters) for name in chosen)


def _groups(name: str, examples: Sequence[Mapping[str, Any]]) -> bool:
    values = [example.get(name) for example in examples]
    if not all(value is None or isinstance(value, str | bool | int) for value in values):
        return False
    count = len({_label(value) for value in values})
    return 2 <= count <= MOST and len(examples) >= 5 * count


def _slicing(name: str, scores: Scores, examples: Sequence[Mapping[str, Any]], clusters: Labels | None) -> Slicing:
    labels = [_label(example.get(name)) for example in examples]
    found = [by_slice(row, labels, clusters=clusters) for row in scores]
    counts = Counter(labels)
    first = list(counts)  # in the order of their first appearance, as ``by_slice`` has them
    order = sorted(counts, key=lambda value: (-counts[value], value))
    slices = []
    for value in order:
        here = [place for place, label in enumerate(labels) if label == value]
        own = None if clusters is None else [clusters[place] for place in here]
        means = tuple(parts[first.index(value)].interval for parts in found)
        slices.append(Slice(value, counts[value], means, paired(scores[:, here], clusters=own, tests=False)))
    return Slicing(name, tuple(slices))


def _label(value: Any) -> str:
    return "(none)" if value is None else str(value)
