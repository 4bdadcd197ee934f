"""Rows end to end in one sequence: no padding is computed, and each row still sees itself alone.

Attention is asked for row by row (rows of equal length together), so no product between rows is computed either, as a
block-diagonal mask would have it. Short convolutions are kept apart by as many blank tokens as they look back. Logits
are made only where an answer is to be learned: prompts, mostly the longer part, cost no pass through the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .devices import tensor_on

NAME = "dstill-packed"
"""The name under which transformers knows this attention."""


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    packed: Sequence[int] = (),
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface: causal within stretches of ``packed`` tokens, nothing across them.

    Args:
        query: [1, heads, tokens, dim].
        key, value: [1, key heads, tokens, dim].
        packed: lengths of the stretches, which sum to the tokens.

    Returns:
        [1, tokens, heads, dim], and no weights.
    """
    parts = [tensor[0].split(list(packed), dim=1) for tensor in (query, key, value)]
    places: dict[int, list[int]] = {}
    for place, length in enumerate(packed):
        places.setdefault(length, []).append(place)
    found: list[Any] = [None] * len(packed)
    for members in places.values():
        q, k, v = (torch.stack([part[place] for place in members]) for part in parts)
        out = torch.nn.functional.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=scaling, dropout_p=dropout, enable_gqa=q.shape[1] != k.shape[1]
        )
        for place, row in zip(members, out.unbind(0), strict=True):
            found[place] = row
    return torch.cat(found, dim=1).transpose(0, 1)[None], None


def look_back(model: Any) -> int | None:
    """How many tokens the model's convolutions look back (0 without any), ``None`` if its layers cannot be packed."""
    config = model.config.get_text_config(decoder=True)
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        return None if getattr(config, "sliding_window", None) or not hasattr(config, "rope_parameters") else 0
    if not set(kinds) <= {"full_attention", "conv"}:
        return None
    return int(config.conv_L_cache) - 1 if "conv" in kinds else 0


def register() -> None:
    """Tell transformers about this attention."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)


def pack(model: Any) -> bool:
    """Make a causal model take packed rows, if it can; whether it can."""
    if look_back(model) is None:
        return False
    register()
    before, training = model.config._attn_implementation, model.training
    model.eval()
    try:
        good = _sees_rows_alone(model, before)
    except (RuntimeError, TypeError, ValueError):  # what it attends with is its own
        good = False
    model.train(training)
    model.set_attn_implementation(NAME if good else before)
    return bool(good)


@torch.no_grad()
def _sees_rows_alone(model: Any, plain: str) -> bool:
    """Whether two rows end to end say what each says alone; not every model asks transformers for its attention."""
    size = model.get_input_embeddings().num_embeddings
    rows = [[place % size for place in part] for part in (range(7, 12), range(3, 10))]
    model.set_attn_implementation(plain)
    alone = torch.stack([model(input_ids=tensor_on([row], model.device)).logits[0, -1] for row in rows])
    model.set_attn_implementation(NAME)
    together = forward(model, rows, [[len(row) - 1] for row in rows]).logits[0]
    return bool((together - alone).abs().max() <= 1e-3 * alone.abs().max())


def forward(model: Any, rows: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]], **more: Any) -> Any:
    """The model's output for rows packed end to end.

    Args:
        model: one that ``pack`` has made ready, possibly inside of peft's.
        rows: token ids.
        wanted: for each row the places whose next-token logits are wanted.

    Returns:
        transformers' output; its logits are [1, wanted places of all rows, vocabulary].
    """
    gap = look_back(model) or 0
    ids: list[int] = []
    positions: list[int] = []
    kept: list[int] = []
    real: list[bool] = []
    lengths: list[int] = []
    for row, places in zip(rows, wanted, strict=True):
        kept += [len(ids) + place for place in places]
        ids += [*row, *[0] * gap]
        positions += [*range(len(row)), *range(gap)]
        real += [*[True] * len(row), *[False] * gap]
        lengths += [len(row), *([gap] if gap else [])]
    place = model.device
    mask = {"full_attention": None, "conv": tensor_on([real], place)} if gap else None
    return model(
        input_ids=tensor_on([ids], place), position_ids=tensor_on([positions], place),
        attention_mask=mask, logits_to_keep=tensor_on(kept, place), packed=lengths, use_cache=False, **more,
    )  # fmt: skip
