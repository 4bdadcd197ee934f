"""Proof, on this machine and these weights, that an answer does not depend on its batch."""

from __future__ import annotations

from typing import Any

import torch

from ...derive import derive
from .decoder import Decoder, Row
from .prefix import PrefixStore
from .shape import Shape


def check_invariance(model: Any, shape: Shape, *, tokens: int = 12) -> str | None:
    """What is wrong with batching this model here, or ``None``.

    Random prompts of mixed lengths, some with a common prefix, are completed alone and together; the logits must be
    equal to the last bit. The first prompt's logits must also agree with the model's own forward pass (to rounding),
    which shows that positions, masks and states mean to this model what we take them to mean.
    """
    try:
        return _compare(model, shape, tokens)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        return f"it cannot be batched: {error}"


def _compare(model: Any, shape: Shape, tokens: int) -> str | None:
    chance = derive(0, "batch invariance")
    vocabulary = model.get_input_embeddings().num_embeddings
    shared = [chance.randrange(vocabulary) for _ in range(81)]
    prompts = [[chance.randrange(vocabulary) for _ in range(n)] for n in (1, 7, 17, 70, 131)]
    prompts += [[*shared, chance.randrange(vocabulary)] for _ in range(14)]
    together = _logits(model, shape, prompts, tokens)
    for index in (0, 3, 5, 7):
        alone = _logits(model, shape, [prompts[index]], tokens)[0]
        if not torch.equal(alone, together[index]):
            return "answers depend on which other calls share their batch"
    probe = torch.tensor([prompts[3]], device=model.device)
    with torch.inference_mode():
        plain = model(input_ids=probe, use_cache=False).logits[0, -1].float()
    near = max(1e-3, 8 * torch.finfo(model.dtype).eps)
    close = torch.allclose(plain, together[3][0], rtol=near, atol=near * float(plain.abs().max()))
    return None if close else "its layers do not keep their state as transformers' models usually do"


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
