"""A classifier's inputs as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


def encode(tokenizer: Any, inputs: dict[str, str], names: Sequence[str], length: int) -> dict[str, list[int]]:
    """A classifier's input: the text alone, two texts as a pair, more as ``name: text`` lines; cut at ``length``.

    Texts are stripped, as they are in a prompt; one that is not given is empty, and one without any token is a single
    token.
    """
    texts = [inputs.get(name, "").strip() for name in names]
    if len(texts) > 2:
        texts = ["\n".join(f"{name}: {text}" for name, text in zip(names, texts, strict=True))]
    made: dict[str, list[int]] = dict(tokenizer(*texts, truncation=True, max_length=length))
    if not made["input_ids"]:  # a tokenizer without signs of its own at the beginning or the end
        return {name: [blank(tokenizer) if name == "input_ids" else int(name == "attention_mask")] for name in made}
    return made


def blank(tokenizer: Any) -> int:
    """The token that stands for an empty text."""
    own = (tokenizer.cls_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id, tokenizer.eos_token_id)
    return next((token for token in (*own, tokenizer.pad_token_id) if token is not None), 0)


def collate(
    rows: Sequence[dict[str, list[int]]], tokenizer: Any, *, count: int = 0, width: int = 0
) -> dict[str, torch.Tensor]:
    """Rows as tensors [rows, tokens], padded on the right, to at least ``count`` rows and ``width`` tokens."""
    count = max(len(rows), count)
    width = max(width, *(len(row["input_ids"]) for row in rows))
    made = {}
    for name in rows[0]:
        filler = tokenizer.pad_token_id or 0 if name == "input_ids" else 0
        tensor = torch.full((count, width), filler, dtype=torch.long)
        for index, row in enumerate(rows):
            tensor[index, : len(row[name])] = torch.tensor(row[name])
        made[name] = tensor
    if "attention_mask" in made:
        made["attention_mask"][len(rows) :, 0] = 1
    return made
