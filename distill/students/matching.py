"""Classifiers whose labels are given with the input: one pass over text and labels together.

After GLiClass (Stepanov et al., "GLiClass: Generalist Lightweight Model for Sequence Classification Tasks",
2508.07662): the encoder reads the text and, behind it, the names of the labels, so that each label is read in the light
of the text; what comes out is the likeness of the text's mean state and each label's. Labels may be others at inference
than in training. They are read in the order of the alphabet, so that the order of a declaration does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from ...runtime.atomic import write_bytes
from ...runtime.errors import BadInput, Damaged
from ..training.devices import device_of, moved

HEAD = "match.safetensors"


@dataclass(frozen=True, slots=True)
class Read:
    """A text and its labels as one sequence."""

    ids: tuple[int, ...]
    text: tuple[int, int]
    """Where the text begins and ends."""
    labels: tuple[tuple[int, int], ...]
    """Where each label does."""


def read(tokenizer: Any, text: Sequence[int], labels: Sequence[Sequence[int]], most: int) -> Read:
    """[CLS] text [SEP] label [SEP] label ... [SEP]; the text is cut where all together are too long.

    Raises:
        BadInput: where the labels alone leave no room for a text.
    """
    start, mark = tokenizer.cls_token_id, tokenizer.sep_token_id
    start = tokenizer.pad_token_id if start is None else start
    mark = tokenizer.eos_token_id if mark is None else mark
    behind = sum(len(label) + 1 for label in labels)
    room = most - behind - 2
    if room < 8:
        raise BadInput(
            f"{len(labels)} labels take {behind} of the {most} tokens that the student reads: no room for a text"
        )
    ids = [start, *text[:room]]
    spans, end = [], len(ids)
    ids.append(mark)
    for label in labels:
        spans.append((len(ids), len(ids) + len(label)))
        ids += [*label, mark]
    return Read(tuple(ids), (1, max(2, end)), tuple(spans))


class Matcher(nn.Module):
    """Scores of labels from an encoder's states; maps begin as identities, so that a sentence encoder's likeness counts
    from the start."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None
        self.encoder, self.config = encoder, encoder.config
        width = encoder.config.hidden_size
        self.text, self.label = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        for layer in (self.text, self.label):
            nn.init.eye_(layer.weight)
        self.scale = nn.Parameter(torch.tensor(2.3))

    def forward(self, rows: Sequence[Read], *, count: int = 0, width: int = 0) -> list[torch.Tensor]:
        """For every row the logits of its labels, in their order; padded to at least ``count`` rows and ``width``."""
        count, width = max(count, len(rows)), max(width, *(len(row.ids) for row in rows))
        ids = torch.full((count, width), self.config.pad_token_id or 0, dtype=torch.long)
        mask = torch.zeros(count, width, dtype=torch.long)
        for n, row in enumerate(rows):
            ids[n, : len(row.ids)] = torch.tensor(row.ids)
            mask[n, : len(row.ids)] = 1
        mask[len(rows) :, 0] = 1
        device = device_of(self)
        hidden = self.encoder(input_ids=moved(ids, device), attention_mask=moved(mask, device)).last_hidden_state
        found = []
        for n, row in enumerate(rows):
            text = self.text(hidden[n, slice(*row.text)].mean(0))
            labels = self.label(torch.stack([hidden[n, start:end].mean(0) for start, end in row.labels]))
            likeness = nn.functional.normalize(labels, dim=-1) @ nn.functional.normalize(text, dim=-1)
            found.append(self.scale.exp() * likeness)
        return found

    def num_parameters(self) -> int:
        """How many weights there are."""
        return sum(p.numel() for p in self.parameters())

    def save_pretrained(self, folder: Path) -> None:
        """The encoder's files, and the maps beside them."""
        self.encoder.save_pretrained(folder)
        own = {
            name: t.detach().contiguous() for name, t in self.state_dict().items() if not name.startswith("encoder.")
        }
        write_bytes(folder / HEAD, save(own))

    @classmethod
    def load(cls, encoder: Any, folder: Path) -> Matcher:
        """The matcher of a folder, around its loaded encoder.

        Raises:
            Damaged: for maps that are missing or of another shape.
        """
        made = cls(encoder)
        try:
            own = load_file(folder / HEAD)
            made.text.load_state_dict({"weight": own["text.weight"]})
            made.label.load_state_dict({"weight": own["label.weight"]})
            made.scale.data.copy_(own["scale"])
        except (OSError, KeyError, RuntimeError, SafetensorError) as error:
            raise Damaged(f"{folder / HEAD} are no maps of this encoder: {str(error).splitlines()[0]}") from error
        made.eval().requires_grad_(False)
        made.to(encoder.device)
        return made
