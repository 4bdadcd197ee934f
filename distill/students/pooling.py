"""Classifiers on the mean of an encoder's tokens, for bases that were trained to be read so (sentence encoders).

transformers' own heads read the first token, which such a base never learned to use: on Banking77 with MiniLM that
costs more than a point (measured). A folder holds the encoder as transformers saves it, and ``head.safetensors``.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from ...runtime.atomic import write_bytes
from ...runtime.errors import Damaged

HEAD = "head.safetensors"


def reads_the_mean(folder: Path) -> bool:
    """Whether a base says that the mean of its tokens is what it was trained for (sentence-transformers' layout)."""
    said = folder / "1_Pooling" / "config.json"
    return said.is_file() and bool(orjson.loads(said.read_bytes()).get("pooling_mode_mean_tokens"))


def mean_of(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean over a row's own tokens, [rows, dim], of states [rows, tokens, dim]."""
    kept = mask[..., None].to(hidden.dtype)
    return (hidden * kept).sum(1) / kept.sum(1)


def pooled_by(model: Any, feed: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """A classifier's logits, and what its head reads: the mean of the tokens, or the first one."""
    if isinstance(model, MeanClassifier):
        out = model(**feed)
        return out.logits, out.pooled
    out = model(**feed, output_hidden_states=True)
    return out.logits, out.hidden_states[-1][:, 0]


class MeanClassifier(nn.Module):
    """``forward`` gives logits [rows, labels] from input ids and attention mask, both int64 [rows, tokens]."""

    base_model_prefix = "encoder"

    def __init__(self, encoder: Any, labels: int) -> None:
        super().__init__()
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # it reads the first token
        self.encoder, self.config = encoder, encoder.config
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(encoder.config.hidden_size, labels)

    @classmethod
    def new(cls, encoder: Any, labels: int, seed: int) -> MeanClassifier:
        """An untrained head on an encoder."""
        model = cls(encoder, labels)
        generator = torch.Generator().manual_seed(seed)
        nn.init.normal_(model.head.weight, std=0.02, generator=generator)
        nn.init.zeros_(model.head.bias)
        return model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **more: torch.Tensor) -> SimpleNamespace:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **more).last_hidden_state
        pooled = mean_of(hidden, attention_mask)
        return SimpleNamespace(logits=self.head(self.dropout(pooled)), pooled=pooled)

    def num_parameters(self) -> int:
        """How many weights there are."""
        return sum(p.numel() for p in self.parameters())

    def save_pretrained(self, folder: Path) -> None:
        """The encoder's files, and the head beside them."""
        self.encoder.save_pretrained(folder)
        write_bytes(folder / HEAD, save({n: t.detach().contiguous() for n, t in self.head.state_dict().items()}))


def with_saved_head(encoder: Any, folder: Path) -> MeanClassifier:
    """The classifier of a folder, around its loaded encoder.

    Raises:
        Damaged: for a head that is missing or of another shape.
    """
    labels = len(encoder.config.id2label)
    model = MeanClassifier(encoder, labels)
    try:
        model.head.load_state_dict(load_file(folder / HEAD))
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise Damaged(f"{folder / HEAD} is no head of {labels} labels: {str(error).splitlines()[0]}") from error
    model.eval().requires_grad_(False)
    model.to(encoder.device)
    return model
