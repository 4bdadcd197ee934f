"""Where a training runs: on a GPU where there is one, else on the processor; of several devices each has a process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...runtime.errors import BadInput

if TYPE_CHECKING:
    import torch


def check_devices(devices: int) -> None:
    """Whether this machine has so many: GPUs, or processor cores where it has no GPU.

    Raises:
        BadInput: where it has fewer.
    """
    if devices == 1:
        return
    import torch

    gpus = torch.cuda.device_count()
    there, what = (gpus, "GPU") if gpus else (cores(), "processor core")
    if devices > there:
        raise BadInput(f"devices = {devices}: this machine has {there} {what}{'s' if there > 1 else ''}")


def check_launcher() -> None:
    """Whether this process is the only one of its program.

    Raises:
        BadInput: under ``torchrun`` or ``accelerate launch``; every process of theirs would do the whole work.
    """
    size = os.environ.get("WORLD_SIZE", "1")
    if size.isdecimal() and int(size) > 1:
        raise BadInput(
            f"this is one of {size} processes of torchrun or accelerate launch, and each would distil by itself: start "
            f"it once, without them, and give --devices {size} (in Python or TOML, devices = {size})"
        )


def cores() -> int:
    """Processor cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def home(devices: int) -> torch.device:
    """Where a model that is to be trained waits: on the GPU that trains it, or where other processes can take it."""
    import torch

    return torch.device("cuda" if devices == 1 and torch.cuda.is_available() else "cpu")


def device_of(model: Any) -> torch.device:
    """Where a model's weights are."""
    device: torch.device = next(model.parameters()).device
    return device


def moved(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on a device, without waiting for what a GPU still has to do."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def tensor_on(values: Sequence[Any], device: torch.device) -> torch.Tensor:
    """``torch.tensor`` of values, ``moved`` to a device."""
    import torch

    return moved(torch.tensor(values), device)
