"""Linear layers whose frozen weights are kept in four bits, for adapters trained on top of them (QLoRA).

NormalFloat-4: sixteen levels at the quantiles of a normal distribution, a scale for each block of 64 weights (Dettmers
et al., "QLoRA: Efficient Finetuning of Quantized LLMs", 2305.14314, appendix E for the levels). In plain torch, so that
it runs where torch runs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

LEVELS = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
BLOCK = 64


def quantise(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two levels a byte, uint8 [blocks, 32], and a scale for each block, float32 [blocks]."""
    flat = weight.detach().float().flatten()
    flat = torch.nn.functional.pad(flat, (0, -flat.numel() % BLOCK)).reshape(-1, BLOCK)
    scale = flat.abs().amax(dim=1)
    levels = torch.tensor(LEVELS)
    edges = (levels[1:] + levels[:-1]) / 2
    codes = torch.bucketize(flat / scale.clamp(min=1e-12)[:, None], edges).to(torch.uint8)
    return (codes[:, ::2] << 4) | codes[:, 1::2], scale


def restore(codes: torch.Tensor, scale: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """The weights that the codes stand for, float32."""
    both = torch.stack([codes >> 4, codes & 15], dim=-1).flatten(1).long()
    values = torch.tensor(LEVELS, device=codes.device)[both] * scale[:, None]
    return values.flatten()[: int(torch.tensor(shape).prod())].reshape(shape)


class FourBit(nn.Linear):
    """A frozen linear layer in four bits; what it computes is differentiable in its input alone."""

    def __init__(self, plain: nn.Linear) -> None:
        super().__init__(plain.in_features, plain.out_features, bias=False, device="meta")
        del self.weight
        codes, scale = quantise(plain.weight)
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale)
        self.bias = plain.bias

    @property
    def weight(self) -> torch.Tensor:
        """The restored weights; a new tensor each time."""
        return restore(self.codes, self.scale, (self.out_features, self.in_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, self.weight.to(x.dtype), self.bias)

    def plain(self) -> nn.Linear:
        """An ordinary layer of the restored weights."""
        made = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None)
        made.weight.data = self.weight
        if self.bias is not None:
            made.bias.data = self.bias.data
        return made


def to_four_bits(model: Any) -> None:
    """Every linear layer but the output one, in place."""
    last = model.get_output_embeddings()
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear and child is not last:
                setattr(module, name, FourBit(child).requires_grad_(False))


def from_four_bits(model: Any) -> None:
    """Ordinary layers again, in place, of the values that training saw; peft's wrappers keep theirs inside."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, FourBit):
                setattr(module, name, child.plain())
