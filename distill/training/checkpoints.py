"""Checkpoints of a training: trained weights, the optimizer's state and the log, without pickle, whole or absent."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from ...runtime.atomic import write_json, writing
from ...runtime.canonical import file_digest
from ...runtime.errors import Damaged

if TYPE_CHECKING:
    import torch

BEST, TRAINED = "best.safetensors", "trained.safetensors"
"""The best weights so far; the last ones, on their way to another process."""

Named: TypeAlias = "Sequence[tuple[str, torch.nn.Parameter]]"


def save_checkpoint(folder: Path, step: int, log: list[dict[str, float]], named: Named, optimizer: Any) -> None:
    """Write the state after ``step`` steps; earlier checkpoints go when it is whole."""
    from safetensors.torch import save

    place = folder / f"step-{step:08d}"
    place.mkdir(parents=True, exist_ok=True)
    tensors = {f"weight/{name}": p.detach() for name, p in named}
    for name, p in named:
        tensors |= {f"{key}/{name}": value for key, value in optimizer.state[p].items()}
    with writing(place / "state.safetensors") as file:
        file.write(save({name: tensor.contiguous() for name, tensor in tensors.items()}))
    digest = file_digest(place / "state.safetensors")
    write_json(place / "checkpoint.json", {"step": step, "log": log, "state": digest})
    for other in folder.glob("step-*"):
        if other != place:
            shutil.rmtree(other)


def load_checkpoint(folder: Path, named: Named, optimizer: Any) -> tuple[int, list[dict[str, float]]]:
    """Restore the last whole checkpoint; the step to go on with, and the log so far (0 and empty without one).

    Raises:
        Damaged: for a checkpoint whose bytes or shapes are not what they were.
    """
    whole = sorted(p.parent for p in folder.glob("step-*/checkpoint.json"))
    if not whole:
        return 0, []
    place = whole[-1]
    try:
        head = orjson.loads((place / "checkpoint.json").read_bytes())
        step, log, expected = int(head["step"]), list(head["log"]), head["state"]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise Damaged(f"the checkpoint {place} cannot be read ({error}): delete {folder} to train anew") from None
    state = place / "state.safetensors"
    if not state.is_file() or file_digest(state) != expected:
        raise Damaged(f"the checkpoint {state} is not what was written: delete {folder} to train anew")
    from safetensors.torch import load_file

    tensors = load_file(state)
    for name, p in named:
        saved = tensors.get(f"weight/{name}")
        if saved is None or saved.shape != p.shape:
            found = None if saved is None else tuple(saved.shape)
            raise Damaged(f"the checkpoint {place} is of another model: {name} has shape {found}, not {tuple(p.shape)}")
        p.data.copy_(saved)
        keys = [key for key in ("step", "exp_avg", "exp_avg_sq") if f"{key}/{name}" in tensors]
        optimizer.state[p] = {key: tensors[f"{key}/{name}"].to(p.device) for key in keys}
    return step, log


def save_best(folder: Path, step: int, named: Named, name: str = BEST) -> None:
    """Keep the weights after ``step`` steps as the best so far."""
    from safetensors.torch import save

    tensors = {key: p.detach().contiguous() for key, p in named}
    with writing(folder / name) as file:
        file.write(save(tensors, metadata={"step": str(step)}))


def load_best(folder: Path, step: int, named: Named, name: str = BEST) -> None:
    """The best weights, into the model.

    Raises:
        Damaged: if they are not there, not whole, or of another step.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / name, framework="pt") as file:
            if (file.metadata() or {}).get("step") != str(step):
                raise Damaged(f"{folder / name} is not of step {step}: delete {folder} to train anew")
            for key, p in named:
                p.data.copy_(file.get_tensor(key))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise Damaged(f"{folder / name} cannot be read ({error}): delete {folder} to train anew") from None
