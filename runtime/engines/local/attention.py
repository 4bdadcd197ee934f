"""Attention whose result for a row does not depend on which other rows share the batch.

Torch's CPU kernel splits the keys of a single query over threads in a way that depends on the batch. With two or
more query rows it does not, so a lone query is doubled. Query heads that share keys are stacked as query rows.
Everything else that invariance asks for (equal padded lengths within a batch, at least ``MIN_ROWS`` rows in every
matrix product) is the decoder's business; ``self_check`` proves the whole on the machine and the weights at hand.
"""

from __future__ import annotations

from typing import Any

import torch

NAME = "dstill"
"""The name under which transformers knows this attention."""

MIN_ROWS = 16
"""Fewest rows in a matrix product; with a handful, BLAS takes other paths and sums in another order."""


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface.

    Args:
        query: [batch, heads, queries, dim].
        key, value: [batch, key heads, keys, dim]; heads is a multiple of key heads.
        attention_mask: [batch, 1, queries, keys], true where a query may look; causal where it is left out.

    Returns:
        [batch, queries, heads, dim], and no weights.
    """
    batch, heads, queries, dim = query.shape
    if attention_mask is None:
        keys = key.shape[2]
        attention_mask = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries).expand(batch, 1, -1, -1)
    groups = key.shape[1]
    share = heads // groups
    stacked = query.reshape(batch, groups, share * queries, dim)
    mask = attention_mask if share == 1 else attention_mask.repeat(1, 1, share, 1)
    alone = share * queries == 1
    if alone:
        stacked = stacked.expand(-1, -1, 2, -1)
        mask = mask.expand(-1, -1, 2, -1)
    out = torch.nn.functional.scaled_dot_product_attention(stacked, key, value, attn_mask=mask, scale=scaling)
    if alone:
        out = out[:, :, :1]
    return out.reshape(batch, heads, queries, dim).transpose(1, 2), None


def register() -> None:
    """Make the attention known to transformers; repeated calls change nothing."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)
