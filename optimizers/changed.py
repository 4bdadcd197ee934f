"""What running a program changed in it. All examples share a program, so what it keeps depends on their order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dspy

DSPYS = frozenset({"history", "callbacks", "traces", "train", "stage", "lm"})
"""Attributes that are DSPy's own."""


def changed(before: dspy.Module, after: dspy.Module) -> tuple[str, ...]:
    """Paths of what differs between a program that has not run and one that has: what predictors are told, and
    attributes of plain values, such as a counter or a cache; of other objects nobody can tell."""
    old = dict(_state(before))
    return tuple(path for path, value in _state(after) if path in old and old[path] != value)


def _state(program: dspy.Module) -> Iterator[tuple[str, Any]]:
    for path, module in program.named_sub_modules():
        at = path.removeprefix("self").lstrip(".")
        for name, value in vars(module).items():
            if name == "signature":
                yield f"{at}.instructions".lstrip("."), value.instructions
            elif name not in DSPYS and not name.startswith("_") and _plain(value):
                yield f"{at}.{name}".lstrip("."), value


def _plain(value: Any) -> bool:
    if isinstance(value, dspy.Example):
        return _plain(dict(value.items()))
    if isinstance(value, dict):
        return all(_plain(key) and _plain(item) for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_plain, value))
    return isinstance(value, str | int | float | bool | None)
