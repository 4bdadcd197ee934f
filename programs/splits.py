"""Splitting data, seeded and stratified, and the check that no example stands in two splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import dspy

from ..runtime.canonical import canonical, encodable
from ..runtime.derive import derive
from ..runtime.errors import BadInput


def split(
    examples: Sequence[dspy.Example],
    sizes: Mapping[str, int | float],
    *,
    seed: int = 0,
    stratify: str | None = None,
) -> dict[str, list[dspy.Example]]:
    """Disjoint splits, drawn without replacement.

    Args:
        examples: what to split; the result does not depend on anything but their order, the sizes and the seed.
        sizes: how many examples each split gets: counts, or fractions in (0, 1) of all.
        stratify: a field whose values every split holds in the proportions of the whole, as nearly as whole
            examples allow.

    Raises:
        BadInput: for sizes that do not fit, or a field that an example lacks.
    """
    counts = _counts(sizes, len(examples))
    short = [f"{name}={sizes[name]}" for name, count in counts.items() if count <= 0]
    if short or sum(counts.values()) > len(examples):
        raise BadInput(
            f"cannot take {', '.join(f'{n} {c}' for n, c in counts.items())} from {len(examples)} examples: "
            "every split needs at least one, and together at most all"
        )
    order = list(range(len(examples)))
    derive(seed, "split").shuffle(order)
    if stratify is not None:
        order = spread([_value(examples[index], stratify, index) for index in order], order)
    made: dict[str, list[dspy.Example]] = {}
    start = 0
    for name, count in counts.items():
        made[name] = [examples[index] for index in order[start : start + count]]
        start += count
    return made


def _counts(sizes: Mapping[str, int | float], total: int) -> dict[str, int]:
    """Whole numbers; fractions are rounded as they add up, so that together they are never more than their sum."""
    counts, share, taken = {}, 0.0, 0
    for name, size in sizes.items():
        count = isinstance(size, int) and not isinstance(size, bool)
        if not count and not (isinstance(size, float) and 0 < size <= 1):
            raise BadInput(f"{name}={size!r}: expected a number of examples, or a fraction of them between 0 and 1")
        if isinstance(size, float):
            share += size
            counts[name] = round(share * total) - taken
            taken += counts[name]
        else:
            counts[name] = size
    return counts


def overlaps(splits: Mapping[str, Sequence[dspy.Example]]) -> list[str]:
    """Pairs of rows of different splits with equal inputs, and rows with equal ids, a line each."""
    problems = []
    seen: dict[bytes, tuple[str, str]] = {}
    ids: dict[Any, tuple[str, int]] = {}
    for name, examples in splits.items():
        for index, example in enumerate(examples):
            if (mark := example.get("id")) is not None:
                if not isinstance(mark, Hashable):
                    problems.append(f"{name}[{index}]: the id {mark!r} is no text or number")
                    continue
                if mark in ids:
                    other, place = ids[mark]
                    problems.append(f"the id {mark!r} stands twice: {other}[{place}] and {name}[{index}]")
                ids.setdefault(mark, (name, index))
            key = canonical({field: encodable(str(value)) for field, value in example.inputs().items()})
            before = seen.setdefault(key, (name, label(name, index, example)))
            if before[0] != name:
                problems.append(f"{before[1]} and {label(name, index, example)} have the same inputs")
    return problems


def label(split_name: str, index: int, example: dspy.Example) -> str:
    """What to call a row in messages: ``test[3] (id 't0042')``."""
    mark = example.get("id")
    return f"{split_name}[{index}]" + ("" if mark is None else f" (id {mark!r})")


def spread(values: Sequence[Any], order: Sequence[int]) -> list[int]:
    """An order whose every prefix holds each value in proportion: sort by the quantile within its own value.

    Args:
        values: of every place of the order.
    """
    totals, met = Counter(map(str, values)), Counter[str]()
    ranked = []
    for place, (value, index) in enumerate(zip(values, order, strict=True)):
        met[str(value)] += 1
        ranked.append(((met[str(value)] - 0.5) / totals[str(value)], place, index))
    return [index for _, _, index in sorted(ranked)]


def _value(example: dspy.Example, field: str, index: int) -> Any:
    if field not in example:
        raise BadInput(f"cannot stratify by {field!r}: row {index} has no such field, but {', '.join(example.keys())}")
    return example[field]
