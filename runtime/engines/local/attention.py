"""Attention by pages, whose result for a row does not depend on which other rows share the batch.

The keys of a row are cut into pages of ``PAGE`` positions. What a page says to a query (its weighted values, and the
logarithm of the sum of its exponentials) is computed by itself, and pages are added up in their order: the split of the
keys into the pages that a row shares with others, which all their queries meet together, and those of its own changes
nothing. (The sums of FlashAttention, Dao et al. 2022, by torch's own kernel; the shared prefix as in Hydragen, Juravsky
et al. 2024.) Matrix products of fewer than ``MIN_QUERIES`` rows take other paths in BLAS and sum in another order, and
the kernel takes queries in blocks, so that their number is made a multiple of that; ``check_invariance`` proves the
whole on the machine and the weights at hand.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import pad

NAME = "dstill"
"""The name under which transformers knows this attention."""

MIN_ROWS = 16
"""Fewest rows in a linear layer."""

MIN_QUERIES = 4
"""Fewest queries in a product with keys; the kernel's blocks are multiples of it, and so is what remains."""

PAGE = 64
"""Positions whose keys are summed by themselves."""

_over = threading.local()


@contextmanager
def over(rows: Any) -> Iterator[None]:
    """In this thread attention reads from these ``Rows`` for the length of the block."""
    _over.rows = rows
    try:
        yield
    finally:
        _over.rows = None


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface; the keys are those of ``over``, or plainly those given where there is none.

    Masks of the model's own are not seen here, and so ``check_invariance`` compares with its own attention.

    Args:
        query: [rows, heads, queries, dim].
        key, value: [rows, key heads, keys, dim]; heads is a multiple of key heads.

    Returns:
        [rows, queries, heads, dim], and no weights.

    Raises:
        ValueError: for scores that are capped, or shared with sinks.
    """
    if softcap is not None or s_aux is not None:
        raise ValueError(f"attention by pages has no {'soft caps' if s_aux is None else 'sinks'}")
    rows = getattr(_over, "rows", None)
    if rows is None:
        groups = query.shape[1] // key.shape[1]
        key, value = (t.repeat_interleave(groups, 1) for t in (key, value))
        out = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling)
        return out.transpose(1, 2), None
    layer = rows.layers[module.layer_idx]
    last = layer is rows.layers[-1]  # of which nobody asks what the tokens before the last come to
    ahead = max(0, query.shape[2] - MIN_QUERIES) if last else 0
    query = query[:, :, ahead:]
    count, heads, queries, dim = query.shape
    groups = layer.keys.shape[1]
    scale = dim**-0.5 if scaling is None else scaling
    stacked = (query * scale).reshape(count, groups, -1, dim)
    out = _paged(stacked, layer, rows.hidden(heads // groups, queries))
    return pad(out.reshape(count, heads, queries, dim).transpose(1, 2), (0, 0, 0, 0, ahead, 0)), None


def _paged(query: torch.Tensor, layer: Any, hidden: torch.Tensor) -> torch.Tensor:
    """[rows, key heads, queries, dim] over the shared pages of each row, then over its own."""
    count, groups, queries, dim = query.shape
    own = _pages(query.flatten(0, 1), layer.keys.flatten(0, 1), layer.values.flatten(0, 1), hidden)
    parts = [(None, *(t.unflatten(1, (count, groups)) for t in own))]
    top = parts[0][1].amax(0)
    for rows, keys, values in reversed(layer.shared):
        some = query[rows].transpose(0, 1).reshape(groups, -1, dim)
        said = [t.unflatten(2, (len(rows), queries)).transpose(1, 2) for t in _pages(some, keys, values, None)]
        top[rows] = torch.maximum(top[rows], said[0].amax(0))
        parts.insert(0, (rows, *said))
    below, above = torch.zeros_like(top), torch.zeros(query.shape, dtype=top.dtype)
    for rows, logs, mixed in parts:
        every = rows is None or len(rows) == count
        share, sums = (below, above) if every else (below[rows], above[rows])
        for weight, values in zip((logs - (top if every else top[rows])).exp(), mixed, strict=True):
            share += weight
            sums += values * weight.unsqueeze(-1)
        if not every:
            below[rows], above[rows] = share, sums
    return (above / below.unsqueeze(-1)).to(query.dtype)


def _pages(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, hidden: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """What each page says to each query.

    Args:
        query: [batch, queries, dim], scaled.
        keys, values: [batch, pages * PAGE, dim].
        hidden: [pages, batch, queries, PAGE], added to scores: hopelessly low where a query may not look, 0 elsewhere.

    Returns:
        Logarithms of the sums of exponentials [pages, batch, queries], weighted values [pages, batch, queries, dim].
    """
    queries = query.shape[1]
    query = pad(query, (0, 0, 0, -queries % MIN_QUERIES))
    keys, values = (t.unflatten(1, (-1, PAGE)).transpose(0, 1) for t in (keys, values))
    mixed, logs = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query.expand(len(keys), *query.shape), keys, values, attn_mask=hidden, scale=1.0
    )
    return logs[:, :, :queries], mixed[:, :, :queries]


def register() -> None:
    """Make the attention known to transformers; repeated calls change nothing."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)
