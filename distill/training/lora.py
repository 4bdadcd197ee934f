"""Adapters by peft, on weights as they are or in four bits."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

from ...runtime.derive import derive_int
from ...runtime.errors import BadInput
from ..settings import check_settings


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (Hu et al., 2106.09685) on every linear layer; merged into the weights at the end."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    bits: Literal[32, 4] = 32
    """4 keeps the frozen weights in four bits while training (QLoRA); what is merged in the end are those weights."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.rank < 1 or self.alpha < 1 or not 0 <= self.dropout < 1 or self.bits not in (4, 32):
            expected = "rank and alpha of 1 or more, dropout of 0 or more and below 1, bits 4 or 32"
            raise BadInput(f"{self}: expected {expected}")


def with_lora(model: Any, lora: Lora, seed: int, task: str) -> Any:
    """The model inside of peft's, its own weights frozen."""
    import peft
    import torch

    if lora.bits == 4:
        from .nf4 import to_four_bits

        to_four_bits(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_int(seed, "lora", bits=63))
        config = peft.LoraConfig(
            r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules="all-linear", task_type=task
        )
        with warnings.catch_warnings():  # peft asks transformers by a name that transformers is giving up
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            return peft.get_peft_model(model, config)


def merged(model: Any) -> Any:
    """The plain model with its adapters in its weights."""
    from .nf4 import from_four_bits

    from_four_bits(model)
    return model.merge_and_unload()
