"""Where a training run stands, as one safetensors file: weights, the optimizers' states, a few numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save

from ..atomic import write_bytes
from .model import Network


def save_checkpoint(
    path: Path, network: Network, optimizers: Sequence[torch.optim.Optimizer], at: Mapping[str, Any]
) -> None:
    """Write it atomically."""
    tensors = {f"network.{name}": value.contiguous() for name, value in network.state_dict().items()}
    for number, optimizer in enumerate(optimizers):
        for parameter, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{parameter}.{name}": value for name, value in state.items()}
    write_bytes(path, save(tensors, metadata={"at": json.dumps(dict(at))}))


def load_checkpoint(path: Path, network: Network, optimizers: Sequence[torch.optim.Optimizer] = ()) -> dict[str, Any]:
    """Fill network and optimizers; returns the numbers. Raises on weights that are missing or of another shape."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        at: dict[str, Any] = json.loads(file.metadata()["at"])
    network.load_state_dict({n.removeprefix("network."): t for n, t in tensors.items() if n.startswith("network.")})
    for number, optimizer in enumerate(optimizers):
        states: dict[int, dict[str, Any]] = {}
        for name, tensor in tensors.items():
            if name.startswith(f"optimizer.{number}."):
                parameter, key = name.split(".", 3)[2:]
                states.setdefault(int(parameter), {})[key] = tensor
        optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    return at
