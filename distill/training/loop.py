"""The training loop: short, deterministic, and resumable to the last bit. Reads from top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ...runtime.derive import derive_int
from ...runtime.errors import BadInput, DstillError
from ...runtime.progress import Bar, Silent
from ..settings import check_settings
from .checkpoints import Named, load_best, load_checkpoint, save_best, save_checkpoint
from .group import Alone, Group
from .memory import check_memory
from .schedule import Course, batches, rate

if TYPE_CHECKING:
    import torch

Loss: TypeAlias = "Callable[[Sequence[int]], torch.Tensor]"
"""The mean loss of a batch, given the places of its rows; of several tasks one each, [tasks], which are added up."""

Share: TypeAlias = "Callable[[Sequence[int]], float | Sequence[float]]"
"""What rows count in these means, of each task."""

Log: TypeAlias = "list[dict[str, float]]"

Late: TypeAlias = "tuple[int, float, torch.Tensor, torch.Tensor]"
"""Step, learning rate, loss and norm; the latter two still on their way on a GPU."""

AHEAD = 16
"""Steps after which a GPU is asked for losses. Asking sooner would make it wait for us at every step."""


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
    """Share of the steps over which the rate rises from 0."""
    course: Course = "linear"
    """How the rate falls then: ``linear``, ``cosine``, ``constant``, ``wsd``."""
    weight_decay: float = 0.01
    """Of matrices; vectors (biases, norms) are not decayed."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    accumulate: int = 1
    """Parts in which a batch is computed, one after another, to save memory."""
    devices: int = 1
    """Processes that share a batch, each on a GPU of its own, or on processor cores where there is no GPU. The sums are
    those of one device with so many times ``accumulate``."""
    precision: Literal["float32", "bf16"] = "float32"
    """What products are computed in; weights and sums stay float32."""
    recompute: bool = False
    """Gradient checkpointing: inner states are computed again for the backward pass, which saves memory."""
    evaluate: int = 0
    """Steps between two looks at the rows for early stopping, where there are any; 0 for once an epoch."""
    patience: int = 3
    """Looks without a better one after which training ends; 0 for never. The best weights are kept in any case."""
    heldout: float = 0.0
    """Share of the examples kept out of training to look at, where no dev rows were collected."""
    checkpoint: int = 100
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("epochs", "batch", "lr", "new", "clip", "checkpoint", "accumulate", "devices"):
            if not 0 < getattr(self, name) < math.inf:
                raise BadInput(f"Training({name}={getattr(self, name)}): expected a number, more than 0")
        for name in ("warmup", "weight_decay", "heldout"):
            if not 0 <= getattr(self, name) < 1:
                raise BadInput(f"Training({name}={getattr(self, name)}): expected 0 or more, below 1")
        for name in ("evaluate", "patience"):
            if getattr(self, name) < 0:
                raise BadInput(f"Training({name}={getattr(self, name)}): expected 0 or more")


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
    watch: Callable[[], float] | None = None,
    share: Share = len,
    beside: Any = None,
    group: Group | None = None,
) -> Log:
    """Train a model in place; the log, a line a step.

    Part n of a batch is computed by process n modulo their number, gradients are added up, and every process takes the
    same step. The first one alone looks at rows kept apart and writes.

    Args:
        model: a torch module; parameters that require gradients are trained.
        lengths: tokens of each row; rows of like length share a batch.
        loss: takes the places of a batch's rows; their mean loss, a scalar or [tasks].
        folder: where checkpoints are kept; one that is there already is gone on from.
        seed: order of rows, dropout.
        fresh: names of parameters that the base does not have.
        watch: the loss on rows kept apart; the model ends with the weights at which it was least.
        share: what rows count in the mean, so that parts of a batch add up to the whole (tokens, sums of weights).
        beside: a module that is trained with the model and thrown away.
        group: the processes of which this is one; left out, ``how.devices`` of them are started where it is more
            than 1.

    Raises:
        Damaged: for a checkpoint that is not whole.
        DstillError: if the loss or its gradient is no longer finite, naming the step.
        ModelUnavailable: where the memory does not suffice.
    """
    import torch

    if group is None and how.devices > 1:
        from .processes import train_together

        more = {"seed": seed, "fresh": fresh, "watch": watch, "share": share, "beside": beside}
        return train_together(model, lengths, loss, how, folder, bar, more)
    group = group or Alone()
    named = trained(model, beside)
    device = named[0][1].device
    kind = {"fused": True} if device.type == "cuda" else {"foreach": False}
    optimizer = torch.optim.AdamW(_groups(named, how, fresh), lr=how.lr, betas=(0.9, 0.98), **kind)
    check_memory(model, lengths, how, device)

    per_epoch = math.ceil(len(lengths) / how.batch)
    steps = max(1, round(how.epochs * per_epoch))
    every = how.evaluate or per_epoch
    first, log = load_checkpoint(folder, named, optimizer)
    bar = bar or Silent()
    bar.total(steps)
    bar.advance(first)

    model.train()
    order: list[list[int]] = []
    late: list[Late] = []
    for step in range(first, steps):
        epoch, place = divmod(step, per_epoch)
        if place == 0 or not order:
            order = batches(lengths, how.batch, seed, epoch)
        rows = order[place]
        now = how.lr * rate(step, steps, how.warmup, how.course)
        for some in optimizer.param_groups:
            some["lr"] = now * some["times"]
        whole = torch.tensor(share(rows), dtype=torch.float64)
        reached = torch.zeros((), dtype=torch.float64, device=device)
        for number, part in list(enumerate(_parts(rows, how.accumulate * group.size)))[group.rank :: group.size]:
            with _seeded(_chance(seed, step, number), device):
                with _precision(how, device):
                    value = loss(part)
                value = (value * (torch.tensor(share(part), dtype=torch.float64) / whole).to(value)).sum()
                value.backward()
            reached += value.detach()
        group.add_up([p for _, p in named], reached)
        norm = torch.nn.utils.clip_grad_norm_([p for _, p in named], how.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        late.append((step, now, reached, norm))
        bar.advance()
        last = step + 1 == steps
        look = watch is not None and ((step + 1) % every == 0 or last)
        keep = (step + 1) % how.checkpoint == 0 and not last
        if look or keep or last or len(late) >= _ahead(device):
            log += _settled(late, how)
            late.clear()
            bar.note(f"loss {log[-1]['loss']:.3f}")
        if watch is not None and look:
            log[-1]["dev"] = group.tell(_look(model, watch, how, device) if group.rank == 0 else 0.0)
            if best(log) == len(log) - 1 and group.rank == 0:
                save_best(folder, step + 1, named)
            if how.patience and _looks_since_best(log) >= how.patience:
                break
        if keep and group.rank == 0:
            save_checkpoint(folder, step + 1, log, named, optimizer)
    if watch is not None and best(log) < len(log) - 1 and group.rank == 0:
        load_best(folder, best(log) + 1, named)
    model.eval()
    return log


def trained(model: Any, beside: Any = None) -> Named:
    """What is trained of a model, by name, and the whole of a module beside it."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    return named + ([(f"beside.{name}", p) for name, p in beside.named_parameters()] if beside is not None else [])


def best(log: Log) -> int:
    """The place of the line with the least loss on rows kept apart; the last line where none was looked at."""
    looked = [place for place, line in enumerate(log) if "dev" in line]
    return min(looked, key=lambda place: (log[place]["dev"], place)) if looked else len(log) - 1


def _looks_since_best(log: Log) -> int:
    return sum("dev" in line for line in log[best(log) + 1 :])


def _settled(late: Sequence[Late], how: Training) -> Log:
    """Lines of the log, their values fetched from the device together.

    Raises:
        DstillError: for a loss or a gradient that is not finite; the step it took has spoiled the weights.
    """
    import torch

    values = torch.stack([torch.stack([reached, norm.double()]) for *_, reached, norm in late]).tolist()
    for (step, *_), found in zip(late, values, strict=True):
        for what, value in zip(("loss", "gradient's norm"), found, strict=True):
            if not math.isfinite(value):
                raise DstillError(f"the {what} is {value} at step {step}: lower the learning rate ({how.lr:g})")
    return [
        {"step": step, "loss": reached, "lr": lr, "norm": norm}
        for (step, lr, *_), (reached, norm) in zip(late, values, strict=True)
    ]


def _ahead(device: Any) -> int:
    return 1 if device.type == "cpu" else AHEAD


def _chance(seed: int, step: int, number: int) -> int:
    """The seed of a part's dropout: its own, so that it does not matter what computes the parts before it."""
    return derive_int(seed, "step", step, *([number] if number else []), bits=63)


def _look(model: Any, watch: Callable[[], float], how: Training, device: Any) -> float:
    import torch

    model.eval()
    with torch.no_grad(), _precision(how, device):
        found = watch()
    model.train()
    return found


def _parts(rows: Sequence[int], count: int) -> list[Sequence[int]]:
    size = math.ceil(len(rows) / count)
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _precision(how: Training, device: Any) -> Any:
    import torch

    return torch.autocast(device.type, torch.bfloat16) if how.precision == "bf16" else nullcontext()


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


@contextmanager
def _seeded(seed: int, device: Any) -> Iterator[None]:
    """torch's generators at a known place for the length of the block, and as they were afterwards."""
    import torch

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
