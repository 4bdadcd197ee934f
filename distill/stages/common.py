"""What training stages share: the base model and its digest, the round over predictors, the losses a card tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from ...runtime.derive import derive_int
from ...runtime.engines.local.loading import find_folder, quiet, weights_digest
from ...runtime.errors import ModelUnavailable
from ...runtime.models import embedded_folder
from ..state import DistillState, Pair


def base_folder(base: str) -> Path:
    """The folder of a base model: ``embedded:small``, a folder, or a hub name."""
    if base == "embedded" or base.startswith("embedded:"):
        return embedded_folder(base)
    return find_folder(base.removeprefix("local:"))


@lru_cache(maxsize=64)
def base_digest(base: str) -> str:
    """What the base model is."""
    return weights_digest(base_folder(base))


def open_base(kind: str, base: str, *, seed: int, **options: Any) -> tuple[Any, Any]:
    """A base model to train, in float32, and its tokenizer; new weights (a head) follow from the seed.

    ``kind`` is what follows ``AutoModelFor`` in transformers; without one it is the bare model.

    Raises:
        ModelUnavailable: for a base that transformers cannot load as this kind.
    """
    import torch
    import transformers
    from safetensors import SafetensorError

    folder = base_folder(base)
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_int(seed, "new weights", bits=63))
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            loader = getattr(transformers, f"AutoModelFor{kind}" if kind else "AutoModel")
            model = loader.from_pretrained(
                folder, dtype=torch.float32, trust_remote_code=False, use_safetensors=True, **options
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        first = str(error).splitlines()[0]
        if first.startswith("Unrecognized configuration class"):
            first = "it is of another kind"
        raise ModelUnavailable(
            f"{base} cannot be trained as a {kind or 'base'}: {first}{_HINTS.get(kind, '')}"
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


_HINTS = {
    "CausalLM": " (the recipes labels, soft-labels and gold train encoders)",
    "SequenceClassification": " (the recipes sft, label-only and step-by-step train causal models)",
}


def train_each(
    state: DistillState, stage: str, train: Callable[[DistillState, str, Sequence[Pair], Path], str]
) -> DistillState:
    """A student for every predictor with rows; ``train`` leaves one in a folder and says how it went."""
    students = {name: state.student_folder(name) for name in state.pairs}
    notes = [train(state, name, rows, students[name]) for name, rows in state.pairs.items()]
    return state.with_effect(stage, state.rows, *notes, students=students)


def losses(log: Sequence[dict[str, float]]) -> list[float]:
    """The mean loss of each tenth of the steps, for the card."""
    values = [line["loss"] for line in log]
    parts = min(10, len(values))
    cuts = [round(n * len(values) / parts) for n in range(parts + 1)]
    return [round(sum(values[a:b]) / (b - a), 6) for a, b in pairwise(cuts)]
