"""A small network and a loss that other processes can be given, for tests of training."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

LENGTHS = [n % 9 + 1 for n in range(50)]


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = torch.nn.Linear(6, 16)
        self.two = torch.nn.Linear(16, 3)
        self.idle = torch.nn.Linear(2, 2)
        self.drop = torch.nn.Dropout(0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.two(self.drop(self.one(x).tanh()))
        return out


@dataclass
class Rows:
    """The loss on 50 rows of unlike weights."""

    net: Net
    x: torch.Tensor = field(default_factory=lambda: torch.randn(50, 6, generator=torch.Generator().manual_seed(0)))
    weights: torch.Tensor = field(default_factory=lambda: torch.linspace(0.1, 3, 50))
    before: Callable[[Sequence[int]], None] | None = None
    """What is done before each part."""

    def __call__(self, rows: Sequence[int]) -> torch.Tensor:
        if self.before is not None:
            self.before(rows)
        part = list(rows)
        right = (self.x[part, 0] > 0).long() + (self.x[part, 1] > 0).long()
        each = torch.nn.functional.cross_entropy(self.net(self.x[part]), right, reduction="none")
        w = self.weights[part]
        return (each * w).sum() / w.sum()

    def share(self, rows: Sequence[int]) -> float:
        return float(self.weights[list(rows)].sum())

    def watch(self) -> float:
        return float((self.net(self.x) - 0.3).square().mean())


@dataclass
class Dies:
    """Kills one process before its eighth part."""

    rank: str
    calls: int = 0

    def __call__(self, rows: Sequence[int]) -> None:
        self.calls += 1
        if os.environ.get("RANK") == self.rank and self.calls == 8:
            os.kill(os.getpid(), signal.SIGKILL)


def make() -> tuple[Net, Rows]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Net()
    return net, Rows(net)


def failing(loss: Any, after: int) -> Any:
    """The loss, until it has been asked ``after`` times; then the training is interrupted."""
    calls = [0]

    def asked(rows: Sequence[int]) -> torch.Tensor:
        calls[0] += 1
        if calls[0] > after:
            raise KeyboardInterrupt
        value: torch.Tensor = loss(rows)
        return value

    return asked


def simple() -> tuple[Net, Callable[[Sequence[int]], torch.Tensor]]:
    """The same with rows that count alike."""
    net, rows = make()

    def loss(some: Sequence[int]) -> torch.Tensor:
        part = list(some)
        right = (rows.x[part, 0] > 0).long() + (rows.x[part, 1] > 0).long()
        return torch.nn.functional.cross_entropy(net(rows.x[part]), right)

    return net, loss


def weights(net: torch.nn.Module) -> bytes:
    return b"".join(p.detach().numpy().tobytes() for p in net.parameters())


def trained(folder: Path, how: Any, **more: Any) -> tuple[Net, Any]:
    """A network after training, and the log."""
    from dstill.distill.training import train

    net, loss = make()
    log = train(net, LENGTHS, loss, how, folder, seed=1, share=loss.share, **more)
    return net, log
