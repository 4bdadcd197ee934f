"""The order of batches and the course of the learning rate; both functions of seed and step alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

from ...runtime.derive import derive

Course: TypeAlias = Literal["linear", "cosine", "constant", "wsd"]
"""How the rate goes on after its rise: falls in a line or along a cosine to 0, stays, or stays and falls over the last
fifth of the steps (warm-up, stable, decay: Hu et al., "MiniCPM", 2404.06395)."""


def batches(lengths: Sequence[int], batch: int, seed: int, epoch: int) -> list[list[int]]:
    """An epoch's batches: shuffled, then rows of like length put together within stretches of 32 batches."""
    order = list(range(len(lengths)))
    derive(seed, "epoch", epoch).shuffle(order)
    stretch = 32 * batch
    made = []
    for start in range(0, len(order), stretch):
        part = sorted(order[start : start + stretch], key=lambda row: lengths[row])
        made += [part[at : at + batch] for at in range(0, len(part), batch)]
    derive(seed, "batches", epoch).shuffle(made)
    return made


def rate(step: int, steps: int, warmup: float, course: Course = "linear") -> float:
    """The share of the peak rate at a step, counted from 0."""
    rise = max(1, round(steps * warmup))
    if step < rise:
        return (step + 1) / rise
    left = (steps - step) / max(1, steps - rise)
    if course == "constant":
        return 1.0
    if course == "cosine":
        return 0.5 * (1 - math.cos(math.pi * left))
    if course == "wsd":
        return min(1.0, (steps - step) / max(1, round(0.2 * steps)))
    return left
