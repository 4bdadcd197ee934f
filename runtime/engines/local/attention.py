"""Attention by pages, whose result for a row does not depend on which other rows share the batch.

The keys of a row are cut into pages of ``PAGE`` positions. What a page adds to a query (its largest score, the sum of
its exponentials, its weighted values) is computed by itself, and pages are added up in their order: the split of the
keys into the pages that a row shares with others, which all their queries meet in one matrix product, and those of
its own changes nothing. (The sums of FlashAttention, Dao et al. 2022; the shared prefix as in Hydragen, Juravsky et
al. 2024.) Matrix products of fewer than ``MIN_QUERIES`` rows take other paths in BLAS and sum in another order, so
that lone queries are repeated; ``check_invariance`` proves the whole on the machine and the weights at hand.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

NAME = "dstill"
"""The name under which transformers knows this attention."""

MIN_ROWS = 16
"""Fewest rows in a linear layer."""

MIN_QUERIES = 4
"""Fewest queries in a product with keys."""

PAGE = 64
"""Positions whose keys are summed by themselves."""

CACHED = 2**18
"""Scores that are computed at a time, so that what becomes of them stays in the processor's cache."""

LOW = -1e30
"""The score of a key that a query may not see; finite, so that a page without any is no division by zero."""

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
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface; the keys are those of ``over``, or plainly those given where there is none.

    Args:
        query: [rows, heads, queries, dim].
        key, value: [rows, key heads, keys, dim]; heads is a multiple of key heads.

    Returns:
        [rows, queries, heads, dim], and no weights.
    """
    rows = getattr(_over, "rows", None)
    if rows is None:
        groups = query.shape[1] // key.shape[1]
        key, value = (t.repeat_interleave(groups, 1) for t in (key, value))
        out = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling)
        return out.transpose(1, 2), None
    count, heads, queries, dim = query.shape
    layer = rows.layers[module.layer_idx]
    groups = layer.keys.shape[1]
    scale = dim**-0.5 if scaling is None else scaling
    stacked = (query * scale).reshape(count, groups, -1, dim)
    out = _paged(stacked, layer, rows.hidden(heads // groups))
    return out.reshape(count, heads, queries, dim).transpose(1, 2), None


def _paged(query: torch.Tensor, layer: Any, hidden: torch.Tensor) -> torch.Tensor:
    """[rows, key heads, queries, dim] over the shared pages of each row, then over its own."""
    count, groups, queries, dim = query.shape
    own = query.reshape(count * groups, queries, dim)
    peak, total, mixed = _pages(own, layer.keys.flatten(0, 1), layer.values.flatten(0, 1), hidden)
    parts = [(None, *(t.unflatten(0, (count, groups)) for t in (peak, total, mixed)))]
    top = parts[0][1].amax(2)
    for rows, keys, values in reversed(layer.shared):
        some = query[rows].transpose(0, 1).reshape(groups, -1, dim)
        cuts = max(1, min(groups * some.shape[1] * keys.shape[1] // CACHED, some.shape[1] // MIN_ROWS))
        pieces = [_pages(part, keys, values, None) for part in some.tensor_split(cuts, 1)]
        found = [torch.cat(each, 2) for each in zip(*pieces, strict=True)]
        split = [t.unflatten(2, (len(rows), queries)) for t in found]  # [groups, pages, rows, queries, ...]
        split = [t.permute(2, 0, 1, 3, *range(4, t.dim())) for t in split]
        top[rows] = torch.maximum(top[rows], split[0].amax(2))
        parts.insert(0, (rows, *split))
    below, above = torch.zeros_like(top), torch.zeros_like(query)
    for rows, peak, total, mixed in parts:
        every = rows is None or len(rows) == count
        weight = (peak - (top if every else top[rows]).unsqueeze(2)).exp()
        share, sums = (below, above) if every else (below[rows], above[rows])
        for page in range(peak.shape[2]):
            share += total[:, :, page] * weight[:, :, page]
            sums += mixed[:, :, page] * weight[:, :, page, :, None]
        if not every:
            below[rows], above[rows] = share, sums
    return above / below.unsqueeze(-1)


def _pages(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, hidden: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What each page says to each query.

    Args:
        query: [batch, queries, dim], scaled.
        keys, values: [batch, pages * PAGE, dim].
        hidden: [batch, queries, pages * PAGE], true where a query may not look.

    Returns:
        Largest scores and sums of exponentials [batch, pages, queries], weighted values [batch, pages, queries, dim].
    """
    batch, queries = query.shape[:2]
    if queries < MIN_QUERIES:
        query = torch.cat([query, query[:, :1].expand(-1, MIN_QUERIES - queries, -1)], 1)
    scores = torch.bmm(query, keys.transpose(1, 2))
    if hidden is not None:
        scores[:, :queries].masked_fill_(hidden, LOW)
        scores[:, queries:] = LOW
    scores = scores.unflatten(2, (-1, PAGE))
    peak = scores.amax(3)
    scores = scores.sub_(peak.unsqueeze(3)).exp_()
    total = scores.sum(3)
    weights = scores.transpose(1, 2).flatten(0, 1)
    mixed = torch.bmm(weights, values.unflatten(1, (-1, PAGE)).flatten(0, 1)).unflatten(0, (batch, -1))
    return peak.transpose(1, 2)[:, :, :queries], total.transpose(1, 2)[:, :, :queries], mixed[:, :, :queries]


def register() -> None:
    """Make the attention known to transformers; repeated calls change nothing."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)
