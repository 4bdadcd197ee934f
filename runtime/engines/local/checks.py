"""Proof, on this machine and these weights, that an answer does not depend on its batch."""

from __future__ import annotations

from typing import Any

import torch

from ...derive import derive
from . import attention
from .decoder import Decoder, Row
from .loading import context_of
from .prefix import PrefixStore
from .shape import Shape


def check_invariance(model: Any, shape: Shape, *, tokens: int = 12) -> str | None:
    """Give a model ``attention.attend``, and see what is wrong with batching it here; ``None`` if nothing is.

    Random prompts of mixed lengths, some with a common prefix, are completed alone and together; the logits must be
    equal to the last bit. One prompt's logits must also agree with the model's forward pass with the attention that it
    came with (to rounding), which shows that positions, masks and states mean to this model what we take them to mean.
    A model with which something is wrong gets that attention back.
    """
    tokens = min(tokens, context_of(model) // 2)
    prompts, own = _prompts(model, tokens), model.config._attn_implementation
    attention.register()
    try:
        plain = _plain(model, prompts[3])
        model.set_attn_implementation(attention.NAME)
        problem = _compare(model, shape, prompts, tokens, plain)
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError) as error:
        problem = f"it cannot be batched: {error}"
    if problem is not None:
        model.set_attn_implementation(own)
    return problem


def _prompts(model: Any, tokens: int) -> list[list[int]]:
    """Prompts that fit into the context together with answers of so many tokens."""
    chance = derive(0, "batch invariance")
    vocabulary = model.get_input_embeddings().num_embeddings
    longest = context_of(model) - tokens
    shared = [chance.randrange(vocabulary) for _ in range(min(81, longest - 1))]
    prompts = [[chance.randrange(vocabulary) for _ in range(min(n, longest))] for n in (1, 7, 17, 70, 131)]
    return prompts + [[*shared, chance.randrange(vocabulary)] for _ in range(14)]


@torch.inference_mode()
def _plain(model: Any, ids: list[int]) -> torch.Tensor:
    logits: torch.Tensor = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].float()
    return logits


def _compare(model: Any, shape: Shape, prompts: list[list[int]], tokens: int, plain: torch.Tensor) -> str | None:
    together = _logits(model, shape, prompts, tokens)
    for index in (0, 3, 5, 7):
        alone = _logits(model, shape, [prompts[index]], tokens)[0]
        if not torch.equal(alone, together[index]):
            return "answers depend on which other calls share their batch"
    near = max(1e-3, 8 * torch.finfo(model.dtype).eps)
    close = torch.allclose(plain, together[3][0], rtol=near, atol=near * float(plain.abs().max()))
    return None if close else "its layers do not keep their state, or do not attend, as transformers' models usually do"


def _logits(model: Any, shape: Shape, prompts: list[list[int]], tokens: int) -> list[torch.Tensor]:
    seen: list[list[torch.Tensor]] = [[] for _ in prompts]

    def keep(index: int) -> Any:
        def choose(logits: torch.Tensor, likeliest: int) -> int:
            seen[index].append(logits.float().clone())
            return likeliest

        return choose

    rows = [Row(list(ids), keep(index), tokens) for index, ids in enumerate(prompts)]
    Decoder(model, shape, PrefixStore(2**26)).run(rows)
    return [torch.stack(logits) for logits in seen]
