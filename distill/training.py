"""The training loop: short, deterministic, and resumable to the last bit. Reads from top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ..runtime.derive import derive, derive_int
from ..runtime.errors import BadInput, DstillError
from ..runtime.progress import Bar, Silent
from .checkpoints import load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    import torch

Loss: TypeAlias = "Callable[[Sequence[int]], torch.Tensor]"
"""The loss of a batch, given the places of its rows."""


@dataclass(frozen=True)
class Training:
    """How a model is trained. Defaults suit small models on some hundred to ten thousand rows."""

    epochs: float = 3.0
    """Passes over the rows."""
    batch: int = 16
    """Rows in a step."""
    lr: float = 3e-4
    """Peak learning rate of AdamW."""
    new: float = 1.0
    """Times ``lr``, for layers that the base does not have (a classifier's head)."""
    warmup: float = 0.1
    """Share of the steps over which the rate rises from 0; then it falls linearly to 0."""
    weight_decay: float = 0.01
    """Of matrices; vectors (biases, norms) are not decayed."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    checkpoint: int = 100
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "lr", "new", "clip", "checkpoint"):
            if not 0 < getattr(self, name) < math.inf:
                raise BadInput(f"Training({name}={getattr(self, name)}): expected a number, more than 0")
        for name in ("warmup", "weight_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise BadInput(f"Training({name}={getattr(self, name)}): expected 0 or more, below 1")


def train(
    model: Any,
    lengths: Sequence[int],
    loss: Loss,
    how: Training,
    folder: Path,
    *,
    seed: int = 0,
    bar: Bar | None = None,
    fresh: Collection[str] = (),
) -> list[dict[str, float]]:
    """Train a model in place; the log, a line a step.

    Args:
        model: a torch module; parameters that require gradients are trained.
        lengths: tokens of each row; rows of like length share a batch.
        loss: takes the places of a batch's rows; a scalar.
        folder: where checkpoints are kept; one that is there already is gone on from.
        seed: order of rows, dropout.
        fresh: names of parameters that the base does not have.

    Raises:
        Damaged: for a checkpoint that is not whole.
        DstillError: if the loss is no longer finite, naming the step.
    """
    import torch

    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(_groups(named, how, fresh), lr=how.lr, betas=(0.9, 0.98), foreach=False)

    per_epoch = math.ceil(len(lengths) / how.batch)
    steps = max(1, round(how.epochs * per_epoch))
    first, log = load_checkpoint(folder, named, optimizer)
    bar = bar or Silent()
    bar.total(steps)
    bar.advance(first)

    model.train()
    order: list[list[int]] = []
    for step in range(first, steps):
        epoch, place = divmod(step, per_epoch)
        if place == 0 or not order:
            order = _order(lengths, how.batch, seed, epoch)
        rows = order[place]
        rate = how.lr * _schedule(step, steps, how.warmup)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["times"]
        with _seeded(derive_int(seed, "step", step, bits=63)):
            value = loss(rows)
            value.backward()
        norm = torch.nn.utils.clip_grad_norm_([p for _, p in named], how.clip)
        reached = float(value.detach())
        if not math.isfinite(reached):
            raise DstillError(f"the loss is {reached} at step {step}: lower the learning rate ({how.lr:g})")
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        log.append({"step": step, "loss": reached, "lr": rate, "norm": float(norm)})
        bar.advance()
        bar.note(f"loss {reached:.3f}")
        if (step + 1) % how.checkpoint == 0 and step + 1 < steps:
            save_checkpoint(folder, step + 1, log, named, optimizer)
    model.eval()
    return log


def _groups(named: Sequence[tuple[str, Any]], how: Training, fresh: Collection[str]) -> list[dict[str, Any]]:
    """Parameters by whether they are decayed and by their learning rate."""
    return [
        {
            "params": [p for name, p in named if (p.ndim > 1) == matrix and (name in fresh) == new],
            "weight_decay": how.weight_decay if matrix else 0.0,
            "times": how.new if new else 1.0,
        }
        for matrix in (True, False)
        for new in (False, True)
    ]


def _order(lengths: Sequence[int], batch: int, seed: int, epoch: int) -> list[list[int]]:
    """An epoch's batches: shuffled, then rows of like length put together within stretches of 32 batches."""
    order = list(range(len(lengths)))
    derive(seed, "epoch", epoch).shuffle(order)
    stretch = 32 * batch
    batches = []
    for start in range(0, len(order), stretch):
        part = sorted(order[start : start + stretch], key=lambda row: lengths[row])
        batches += [part[at : at + batch] for at in range(0, len(part), batch)]
    derive(seed, "batches", epoch).shuffle(batches)
    return batches


def _schedule(step: int, steps: int, warmup: float) -> float:
    rise = max(1, round(steps * warmup))
    return (step + 1) / rise if step < rise else (steps - step) / max(1, steps - rise)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """torch's generator at a known place for the length of the block, and as it was afterwards."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
