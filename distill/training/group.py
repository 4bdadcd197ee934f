"""What the processes of one training tell each other: sums of gradients, and what the first one saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from .devices import tensor_on

if TYPE_CHECKING:
    import torch

BUCKET = 2**24
"""Values that are summed at once (64 MiB in float32): all that this takes of memory, and enough to fill a wire."""


class Group(Protocol):
    """The processes that train together. All call the same things in the same order."""

    @property
    def rank(self) -> int:
        """The place of this process, from 0; the first one writes."""
        ...

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def add_up(self, parameters: Sequence[torch.nn.Parameter], loss: torch.Tensor) -> None:
        """Put the sums over all processes into the gradients and the loss, in place."""
        ...

    def tell(self, value: float) -> float:
        """What the first process gave, for all."""
        ...


@dataclass(frozen=True)
class Alone:
    """One process."""

    rank: int = 0
    size: int = 1

    def add_up(self, parameters: Sequence[torch.nn.Parameter], loss: torch.Tensor) -> None:
        """They are the sums."""

    def tell(self, value: float) -> float:
        """It is this one's."""
        return value


@dataclass(frozen=True)
class Together:
    """The processes of torch's default group, which is there already."""

    rank: int
    size: int
    device: Any

    def add_up(self, parameters: Sequence[torch.nn.Parameter], loss: torch.Tensor) -> None:
        """Sums by all-reduce, some parameters at once.

        A process whose rows do not reach a parameter adds nothing to it. One that no process reaches keeps no gradient,
        as in a single process: AdamW would decay it otherwise.
        """
        import torch
        from torch import distributed

        missing = [place for place, p in enumerate(parameters) if p.grad is None]
        reached = tensor_on([float(p.grad is not None) for p in parameters], self.device)
        distributed.all_reduce(reached)
        distributed.all_reduce(loss)
        for place in missing:
            parameters[place].grad = torch.zeros_like(parameters[place])
        for some in _buckets(parameters):
            whole = torch.cat([p.grad.reshape(-1) for p in some])
            distributed.all_reduce(whole)
            for p, summed in zip(some, whole.split([p.numel() for p in some]), strict=True):
                p.grad.copy_(summed.view_as(p))
        if missing:
            counts = reached.tolist()
            for place in missing:
                if not counts[place]:
                    parameters[place].grad = None

    def tell(self, value: float) -> float:
        """The first one's, by broadcast."""
        import torch
        from torch import distributed

        told = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.broadcast(told, src=0)
        return float(told)


def _buckets(parameters: Sequence[Any]) -> Iterator[list[Any]]:
    """Parameters in order, so many together that they hold about ``BUCKET`` values."""
    some: list[Any] = []
    for p in parameters:
        if some and sum(one.numel() for one in some) + p.numel() > BUCKET:
            yield some
            some = []
        some.append(p)
    if some:
        yield some
