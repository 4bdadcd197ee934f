"""What the cache of a model looks like, and how rows are put together whose prompts begin with the same pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .attention import PAGE
from .cache import PIECE, Block, Conv, Rows, Slots

Sharing = list[list[tuple[int, ...]]]
"""By page, the groups of rows that share it."""


def shared_pages(chains: Sequence[Sequence[Block]]) -> Sharing:
    """The pages that at least two rows share, from the first on; blocks are told apart by identity."""
    pieces = PAGE // PIECE
    found: Sharing = []
    rows = list(range(len(chains)))
    while True:
        groups: dict[tuple[int, ...], list[int]] = {}
        for row in rows:
            part = chains[row][len(found) * pieces : (len(found) + 1) * pieces]
            if len(part) == pieces and all(block.tokens == PIECE for block in part):
                groups.setdefault(tuple(map(id, part)), []).append(row)
        together = [tuple(group) for group in groups.values() if len(group) > 1]
        if not together:
            return found
        found.append(together)
        rows = [row for group in together for row in group]


def _runs(sharing: Sharing) -> list[tuple[tuple[int, ...], int, int]]:
    """(rows, first page, page after the last) wherever the same rows share pages in a row, in order of pages."""
    runs: list[tuple[tuple[int, ...], int, int]] = []
    for page, groups in enumerate(sharing):
        for rows in groups:
            last = next((i for i, run in enumerate(runs) if run[0] == rows and run[2] == page), None)
            if last is None:
                runs.append((rows, page, page + 1))
            else:
                runs[last] = (rows, runs[last][1], page + 1)
    return sorted(runs, key=lambda run: run[1])


@dataclass(frozen=True, slots=True)
class Shape:
    """The layers of a model, as far as its cache is concerned: one entry a layer.

    ``("attention", key heads, dim)`` or ``("conv", channels, kernel)``.
    """

    layers: tuple[tuple[str, int, int], ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, model: Any) -> Shape | None:
        """The shape of a causal model's cache, or ``None`` for layers that are neither full attention nor short
        convolutions (sliding windows, recurrent states), and where the angles of positions change with the longest
        prompt of a batch (LongRoPE, dynamic scaling)."""
        config = model.config.get_text_config(decoder=True)
        ropes = [getattr(part, "rope_type", "") for part in model.modules()]
        names = [name for rope in ropes for name in (rope.values() if isinstance(rope, dict) else [rope])]
        if any(name == "longrope" or "dynamic" in name for name in names):
            return None
        if not getattr(config, "num_attention_heads", None):  # Mamba and its kin
            return None
        kinds = getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers
        if getattr(config, "sliding_window", None) and "layer_types" not in config.to_dict():
            return None
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        layers: list[tuple[str, int, int]] = []
        for kind in kinds:
            if kind == "full_attention":
                layers.append(("attention", heads, dim))
            elif kind == "conv":
                layers.append(("conv", config.hidden_size, config.conv_L_cache))
            else:
                return None
        return cls(tuple(layers), model.dtype)

    def rows(self, chains: Sequence[Sequence[Block]], room: int) -> Rows:
        """A cache whose rows hold these blocks, with room for so many tokens more in each."""
        sharing = shared_pages(chains)
        pages = [0] * len(chains)
        for page, groups in enumerate(sharing):
            for row in (row for group in groups for row in group):
                pages[row] = page + 1
        pieces = PAGE // PIECE
        own = [chain[pieces * n :] for chain, n in zip(chains, pages, strict=True)]
        longest = max(sum(block.tokens for block in chain) for chain in own)
        capacity = -(-(longest + room) // PAGE) * PAGE
        runs = [
            (torch.tensor(rows), list(chains[rows[0]][pieces * first : pieces * end]))
            for rows, first, end in _runs(sharing)
        ]
        layers: list[Any] = []
        for index, (kind, width, depth) in enumerate(self.layers):
            if kind == "attention":
                size = (len(chains), width, capacity, depth)
                slots = Slots(torch.zeros(size, dtype=self.dtype), torch.zeros(size, dtype=self.dtype))
                for row, chain in enumerate(own):
                    if chain:
                        for part, buffer in enumerate((slots.keys, slots.values)):
                            some = torch.cat([block.layers[index][part] for block in chain], 1)
                            buffer[row, :, : some.shape[1]] = some
                for rows, blocks in runs:
                    keys, values = (torch.cat([block.layers[index][part] for block in blocks], 1) for part in (0, 1))
                    slots.shared.append((rows, keys, values))
                layers.append(slots)
            else:
                empty = torch.zeros(width, depth, dtype=self.dtype)
                layers.append(Conv(torch.stack([c[-1].layers[index][0] if c else empty for c in chains])))
        return Rows(layers, PAGE * torch.tensor(pages))
