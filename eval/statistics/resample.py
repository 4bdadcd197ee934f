"""Bootstrap weights: how often each example was drawn, so that resampled sums are one matrix product.

The product of weights and scores does what gathering the drawn scores does, at the speed of the machine's matrix
products and for all systems at once; every system meets the same draws, so pairs stay pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.derive import derive_int

BLOCK = 4_000_000
"""Weights in memory at a time."""


def weight_blocks(
    n: int, resamples: int, *, seed: int, stream: str, dtype: type = np.float64
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Multinomial weights in blocks: (the resamples of the block, an array ``(resamples of the block, n)``).

    Each row sums to ``n``. The same arguments give the same weights, so that they can be made again instead of kept.
    """
    size = max(1, min(resamples, BLOCK // n))
    for number, start in enumerate(range(0, resamples, size)):
        rows = min(size, resamples - start)
        chance = np.random.default_rng(derive_int(seed, stream, n, resamples, number))
        drawn = chance.integers(0, n, (rows, n), dtype=np.int32)
        drawn += np.arange(0, rows * n, n, dtype=np.int32)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * n)
        yield slice(start, start + rows), counts.reshape(rows, n).astype(dtype)


def resampled_means(table: NDArray[np.float64], resamples: int, *, seed: int, stream: str) -> NDArray[np.float64]:
    """Each system's mean over its scored examples, for each resample of the examples.

    Args:
        table: ``(S, n)``, nan where unscored.

    Returns:
        ``(resamples, S)``; the plain mean where none of a system's examples was drawn.
    """
    there = ~np.isnan(table)
    filled = np.where(there, table, 0.0)
    plain = filled.sum(axis=1) / there.sum(axis=1)
    found = np.empty((resamples, len(table)))
    for rows, weights in weight_blocks(table.shape[1], resamples, seed=seed, stream=stream):
        drawn = float(table.shape[1]) if there.all() else weights @ there.T.astype(np.float64)
        sums = weights @ filled.T
        found[rows] = np.divide(sums, drawn, out=np.broadcast_to(plain, sums.shape).copy(), where=np.asarray(drawn) > 0)
    return found
