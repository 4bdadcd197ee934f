"""How much memory a training will take, before it starts.

Weights, gradients and AdamW's two moments are counted exactly. What a layer keeps for the backward pass is estimated,
after Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models" (2205.05198, equation 2): some
34 values of two bytes for each token and hidden unit. Matrices of attention are left out, since they are not stored,
but for those of a model that drops some of its attention on a CPU: there PyTorch has no attention that makes them anew.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...runtime.errors import ModelUnavailable
from .devices import device_of

if TYPE_CHECKING:
    from .loop import Training

KEPT = 17
"""Values kept for each token, layer and hidden unit."""
ATTENDED = 3.3
"""Numbers of four bytes kept for each two tokens, layer and head where attention is dropped on a CPU: the shares before
and after, what they are multiplied with, and its mask; measured 3.1 to 3.3."""
DROPS = ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop", "attn_dropout")
"""What configurations call the share of its attention that a model drops."""


@dataclass(frozen=True)
class Memory:
    """Bytes that a training takes at its height."""

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.gradients + self.optimizer + self.activations

    def __str__(self) -> str:
        parts = {"weights": self.weights, "gradients": self.gradients, "optimizer": self.optimizer,
                 "activations": self.activations}  # fmt: skip
        return f"{giga(self.total)} ({', '.join(f'{name} {giga(size)}' for name, size in parts.items())})"


def predict(model: Any, lengths: Sequence[int], how: Training) -> Memory:
    """The memory of training this model on rows of so many tokens, on each device."""
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    weights += sum(b.numel() * b.element_size() for b in model.buffers())
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return Memory(weights, trained, 2 * trained, _activations(model, lengths, how))


def _activations(model: Any, lengths: Sequence[int], how: Training) -> int:
    config = getattr(model, "config", None)
    if config is None or not lengths:
        return 0
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    width, layers = getattr(text, "hidden_size", 0), getattr(text, "num_hidden_layers", 0)
    rows = math.ceil(how.batch / (how.accumulate * how.devices))
    longest = sorted(lengths)[-rows:]
    tokens = sum(longest)
    size = 2 if how.precision == "bf16" else 4
    kept = tokens * width * (layers + KEPT if how.recompute else layers * KEPT) * size
    if device_of(model).type == "cpu" and any(getattr(text, name, 0) for name in DROPS):
        pairs = sum(length**2 for length in longest) * getattr(text, "num_attention_heads", 0)
        kept += int(pairs * (1 if how.recompute else layers) * 4 * ATTENDED)
    vocabulary = getattr(text, "vocab_size", 0) if model_writes(model) else 0
    return kept + 3 * tokens * vocabulary * 4  # logits, their log-probabilities and gradients, were all tokens answers


def model_writes(model: Any) -> bool:
    """Whether a model ends in its vocabulary."""
    find = getattr(model, "get_output_embeddings", None)
    return find is not None and find() is not None


def available(device: Any) -> int | None:
    """Bytes that can still be had on a device; ``None`` where it cannot be said."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    try:
        with open("/proc/meminfo") as lines:
            said = dict(line.split(":", 1) for line in lines)
        return int(said["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        try:
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (ValueError, OSError, AttributeError):
            return None


def check_memory(model: Any, lengths: Sequence[int], how: Training, device: Any) -> Memory:
    """The prediction, if there is room for what is not there yet.

    Raises:
        ModelUnavailable: where there is not, with what would help.
    """
    needed, room = predict(model, lengths, how), available(device)
    missing = needed.total - needed.weights  # the weights are there
    if room is not None and device.type == "cpu":
        room //= how.devices  # which share it
    if room is not None and missing > room:
        each = f" on each of {how.devices} devices" if how.devices > 1 else ""
        raise ModelUnavailable(
            f"training would take some {needed}{each}, and {giga(room)} are free: use lora, more parts of a batch "
            f"(accumulate, now {how.accumulate}), recompute, fewer rows in a batch (now {how.batch}), or a smaller "
            "student"
        )
    return needed


def giga(size: int) -> str:
    """A size for people."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 / 10 else f"{size / 2**20:.1f} MiB"
