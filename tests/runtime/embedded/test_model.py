"""The network in training is transformers' Lfm2ForCausalLM, episode by episode."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from dstill.runtime.derive import derive
from dstill.runtime.embedded.model import Network, Shape, attend, export_state, import_state, pack

LENGTHS = (40, 3, 1, 117)


def network(shape: Shape) -> Network:
    made = Network(shape, torch.Generator().manual_seed(1))
    for name, p in made.named_parameters():  # norms of one would hide a norm in the wrong place
        if p.dim() == 1:
            p.data += 0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(len(name)))
    return made


def episodes(shape: Shape) -> list[list[int]]:
    return [[derive(0, n, i).randrange(shape.vocab) for i in range(n)] for n in LENGTHS]


def logits(made: Network, rows: list[list[int]]) -> torch.Tensor:
    """At every position but the last of each episode."""
    with torch.no_grad():
        out: torch.Tensor = made(pack([(ids, [1.0] * len(ids)) for ids in rows]))
    return out


def reference(made: Network, dtype: torch.dtype) -> Any:
    from transformers import Lfm2Config, Lfm2ForCausalLM

    model = Lfm2ForCausalLM(Lfm2Config(**made.shape.config(1, 0, 0)))
    missing, surplus = model.load_state_dict(export_state(made, torch.float32), strict=False)
    assert set(missing) == {"lm_head.weight"} and not surplus
    model.tie_weights()
    return model.to(dtype).eval()


def reference_logits(made: Network, rows: list[list[int]], dtype: torch.dtype) -> torch.Tensor:
    model = reference(made, dtype)
    with torch.no_grad():
        parts = [model(torch.tensor([ids])).logits[0, :-1] for ids in rows]
    return torch.cat(parts).float()


@pytest.mark.parametrize("change", [{}, {"taps": 3}, {"kv_heads": 4}, {"attention": (3,)}, {"attention": (0, 1, 2, 3)}])
def test_it_computes_what_transformers_computes(shape: Shape, change: dict[str, Any]) -> None:
    made = network(replace(shape, **change))
    rows = episodes(shape)
    exact = reference_logits(made, rows, torch.float32)
    rounding = (reference_logits(made, rows, torch.bfloat16) - exact).square().mean().sqrt()
    off = (logits(made, rows) - exact).square().mean().sqrt()
    assert off < rounding < 0.03 * exact.std()


def test_an_episode_does_not_see_its_neighbours(shape: Shape) -> None:
    made, (first, *others) = network(shape), episodes(shape)
    alone = logits(made, [first])
    behind = logits(made, [*others, first])[-len(alone) :]
    torch.testing.assert_close(behind, alone)
    torch.testing.assert_close(logits(made, [first, *others])[: len(alone)], alone)


@pytest.mark.parametrize("length", [1, 7, 300, 701])
def test_attention_the_plain_way_is_the_fused_kernel(length: int) -> None:
    g = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(n, length, 8, generator=g) for n in (4, 2, 2))
    wide = (t.repeat_interleave(2, 0)[None] for t in (k, v))
    fused = torch.nn.functional.scaled_dot_product_attention(q[None], *wide, is_causal=True)[0]
    torch.testing.assert_close(attend(q, k, v), fused)


def test_packing_keeps_what_counts_and_the_token_after_it() -> None:
    row = pack([([5, 6, 7], [0.0, 0.0, 1.0]), ([8, 9, 10, 11], [0.0, 0.5, 0.0, 1.0])])
    assert row.tokens.tolist() == [5, 6, 7, 8, 9, 10, 11] and row.lengths == (3, 4)
    assert row.select.tolist() == [1, 3, 5]
    assert row.targets.tolist() == [7, 9, 11]
    assert row.weights.tolist() == [1.0, 0.5, 1.0]


def test_weights_come_back_and_wrong_ones_are_refused(shape: Shape) -> None:
    made, other = network(shape), Network(shape, torch.Generator().manual_seed(2))
    state = export_state(made, torch.float32)
    import_state(other, state)
    assert all(torch.equal(a, b) for a, b in zip(made.parameters(), other.parameters(), strict=True))
    with pytest.raises(RuntimeError, match="size mismatch"):
        import_state(Network(replace(shape, width=64), torch.Generator()), state)
    with pytest.raises(RuntimeError, match="Missing key"):
        import_state(other, {k: v for k, v in state.items() if "embedding_norm" not in k})
