"""Generation for a batch of prompts, each of which gets the answer it would get alone.

Three phases: pieces of prompts that nobody has computed yet (``prefix``) are computed, equal ones once; then all
rows take single-token steps together, first over what is left of their prompts, then over their answers. A row's
shapes (piece lengths, padded key lengths, at least ``MIN_ROWS`` rows) are functions of its own length alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from .attention import MIN_ROWS
from .cache import Block, Rows, Shape
from .prefix import PrefixStore, cuts, names

STRIDE = 128
"""Key buffers grow in steps of so many tokens."""

Choose = Callable[[torch.Tensor, int], int | None]
"""Takes the logits [vocabulary] for a row's next token and the likeliest token; the token, or ``None`` to end."""


@dataclass(slots=True)
class Row:
    """One prompt on its way to an answer."""

    ids: list[int]
    """The prompt, then the answer as it grows."""
    choose: Choose
    most: int
    """Longest answer in tokens."""
    prompt: int = 0
    done: int = 0
    """Tokens whose keys and values are in the cache."""
    blocks: list[Block] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.prompt = len(self.ids)

    @property
    def answer(self) -> list[int]:
        """The tokens generated so far."""
        return self.ids[self.prompt :]

    @property
    def capacity(self) -> int:
        """The padded key length of the row's next step."""
        return -(-(self.done + 1) // STRIDE) * STRIDE


class Decoder:
    """A causal model, its prefix store, and the loop. Used by one thread.

    Args:
        model: a transformers causal LM in evaluation mode whose attention is ``attention.attend``.
        shape: the shape of its cache.
        store: where pieces of prompts are kept.
        width: most rows in one pass over prompt pieces.
    """

    def __init__(self, model: Any, shape: Shape, store: PrefixStore, *, width: int = 16) -> None:
        self._model, self._shape, self._store, self._width = model, shape, store, width

    @torch.inference_mode()
    def run(self, rows: Sequence[Row]) -> None:
        """Complete every row in place."""
        self._prefill(rows)
        waiting = list(rows)
        while waiting:
            capacity = min(row.capacity for row in waiting)
            group = [row for row in waiting if row.capacity == capacity]
            others = [row for row in waiting if row.capacity != capacity]
            waiting = others + self._advance(group, capacity)

    def _prefill(self, rows: Sequence[Row]) -> None:
        plans = [(row, cuts(row.prompt)) for row in rows]
        chains = [names(row.ids, ends) for row, ends in plans]
        for level in range(max((len(ends) for _, ends in plans), default=0)):
            wanted: dict[bytes, list[Row]] = {}
            for (row, ends), chain in zip(plans, chains, strict=True):
                if level < len(ends):
                    wanted.setdefault(chain[level], []).append(row)
            missing: dict[tuple[int, int], list[bytes]] = {}
            found: dict[bytes, Block] = {}
            for name, sharing in wanted.items():
                block = self._store.get(name)
                if block is not None:
                    found[name] = block
                    continue
                row = sharing[0]
                start = row.done
                end = cuts(row.prompt)[level]
                missing.setdefault((start, end), []).append(name)
            for (start, end), group in missing.items():
                for first in range(0, len(group), self._width):
                    part = group[first : first + self._width]
                    blocks = self._pieces([wanted[name][0] for name in part], start, end)
                    for name, block in zip(part, blocks, strict=True):
                        self._store.put(name, block)
                        found[name] = block
            for name, sharing in wanted.items():
                for row in sharing:
                    row.blocks.append(found[name])
                    row.done = cuts(row.prompt)[level]

    def _pieces(self, rows: Sequence[Row], start: int, end: int) -> list[Block]:
        """Compute tokens ``start`` to ``end`` of each row's prompt on top of its blocks."""
        capacity = -(-end // STRIDE) * STRIDE
        cache = self._shape.new_cache(len(rows), capacity)
        for index, row in enumerate(rows):
            cache.load(index, row.blocks)
        ids = torch.tensor([row.ids[start:end] for row in rows])
        positions = torch.arange(start, end)
        mask = torch.arange(capacity)[None, :] <= positions[:, None]
        self._forward(
            cache,
            start,
            ids,
            positions[None].expand(len(rows), -1),
            mask[None, None].expand(len(rows), 1, -1, -1),
        )
        return [cache.block(index, start, end) for index in range(len(rows))]

    def _advance(self, rows: list[Row], capacity: int) -> list[Row]:
        """Step rows of one padded length until each has ended or outgrown it; those that have are returned."""
        cache = self._load(rows, capacity)
        outgrown: list[Row] = []
        active = list(range(len(rows)))
        while active:
            if len(active) <= len(rows) // 2 and len(rows) > MIN_ROWS:
                cache = cache.select([*active, *[0] * (MIN_ROWS - len(active))], capacity)
                rows = [rows[index] for index in active]
                active = list(range(len(rows)))
            logits = self._step(cache, rows, active, capacity)
            likeliest = logits.argmax(dim=-1).tolist()
            still = []
            for index in active:
                row = rows[index]
                row.done += 1
                if row.done == len(row.ids) and not _extend(row, logits[index], likeliest[index]):
                    continue
                if row.done == capacity:
                    row.blocks = [cache.block(index, 0, capacity)]
                    outgrown.append(row)
                else:
                    still.append(index)
            active = still
        return outgrown

    def _load(self, rows: Sequence[Row], capacity: int) -> Rows:
        cache = self._shape.new_cache(max(len(rows), MIN_ROWS), capacity)
        for index, row in enumerate(rows):
            cache.load(index, row.blocks)
            row.blocks = []
        return cache

    def _step(self, cache: Rows, rows: Sequence[Row], active: Sequence[int], capacity: int) -> torch.Tensor:
        """Feed one token to every row; logits [rows, vocabulary]. Rows that have ended are fed a filler."""
        count = max(len(rows), MIN_ROWS)
        ids = torch.zeros(count, 1, dtype=torch.long)
        at = torch.full((count,), capacity - 1)
        for index in active:
            ids[index, 0] = rows[index].ids[rows[index].done]
            at[index] = rows[index].done
        mask = (torch.arange(capacity)[None, :] <= at[:, None])[:, None, None, :]
        return self._forward(cache, at, ids, at[:, None], mask)[:, -1]

    def _forward(
        self,
        cache: Rows,
        at: torch.Tensor | int,
        ids: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor,
    ) -> torch.Tensor:
        cache.place(at)
        out = self._model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
            logits_to_keep=1,
        )  # fmt: skip
        logits: torch.Tensor = out.logits
        return logits


def _extend(row: Row, logits: torch.Tensor, likeliest: int) -> bool:
    """Choose the row's next token; whether it goes on."""
    if row.most <= 0:
        return False
    token = row.choose(logits, likeliest)
    if token is None:
        return False
    row.ids.append(token)
    return len(row.ids) - row.prompt < row.most
