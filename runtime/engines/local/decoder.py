"""Generation for a batch of prompts, each of which gets the answer it would get alone.

What several prompts begin with alike and nobody has computed yet is computed once (``prefix``); then the rest of every
prompt, many rows to a pass; then all rows take single-token steps together, and others may join on the way (continuous
batching, after Yu et al., "Orca", 2022). No row's numbers depend on the others: linear layers see at least ``MIN_ROWS``
tokens, and attention adds up by pages (``attention``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from .attention import MIN_ROWS, PAGE, over
from .cache import PIECE, Block, Rows
from .prefix import PrefixStore, names
from .shape import Shape, shared_pages

TOKENS = 2048
"""Most tokens in a pass over prompts, padding included; a single row may have more."""

ENOUGH = 512
"""Tokens with which a pass is worth its while: no more rows are padded to fill it."""

JOIN = 2
"""One row that waits is let in for so many that are on their way: it costs putting their caches together anew."""

Choose = Callable[[torch.Tensor, int], int | None]
"""Takes the logits [vocabulary] for a row's next token and the likeliest token; the token, or ``None`` to end."""


@dataclass(slots=True, eq=False)
class Row:
    """One prompt on its way to an answer."""

    ids: list[int]
    """The prompt, then the answer as it grows."""
    choose: Choose
    most: int
    """Longest answer in tokens."""
    ended: Callable[[], None] = lambda: None
    """Called when the answer is there."""
    prompt: int = 0
    blocks: list[Block] = field(default_factory=list)
    """What is computed: whole pieces of the prompt, what is left over of it, and stretches of the answer."""

    def __post_init__(self) -> None:
        self.prompt = len(self.ids)

    @property
    def answer(self) -> list[int]:
        """The tokens generated so far."""
        return self.ids[self.prompt :]

    @property
    def done(self) -> int:
        """Tokens of the prompt that are computed."""
        return PIECE * len(self.blocks)


class Line(Protocol):
    """Rows that wait."""

    @property
    def room(self) -> int:
        """The most rows at a time."""

    def waiting(self) -> int:
        """How many wait."""

    def take(self, most: int) -> list[Row]:
        """Those that have waited longest, at most so many."""


class Decoder:
    """A causal model, its prefix store, and the loop. Several threads may run it.

    Args:
        model: a transformers causal LM in evaluation mode whose attention is ``attention.attend``.
        shape: the shape of its cache.
        store: where pieces of prompts are kept.
    """

    def __init__(self, model: Any, shape: Shape, store: PrefixStore) -> None:
        self._model, self._shape, self._store = model, shape, store

    @torch.inference_mode()
    def run(self, rows: Sequence[Row], line: Line | None = None) -> None:
        """Complete every row in place, and those that join."""
        going: list[Row] = []
        while rows or going:
            going += self._read(rows)
            if going:
                group = _alike(going)
                left = self._write(group, line, len(going) - len(group))
                going = [row for row in going if row not in group or row in left]  # the oldest first: each has its turn
            rows = line.take(line.room - len(going)) if line else []

    def _read(self, rows: Sequence[Row]) -> list[Row]:
        """Compute all prompts and choose every row's first token; the rows that go on."""
        chains = [names(row.ids) for row in rows]
        for row, chain in zip(rows, chains, strict=True):
            row.blocks = self._store.walk(chain)
        while groups := list(_common(rows, chains)):
            firsts = [rows[members[0]] for members, _ in groups]
            for _ in self._pass(firsts, [PIECE * end for _, end in groups], [chains[m[0]] for m, _ in groups]):
                pass
            for members, _ in groups:
                for other in members[1:]:
                    rows[other].blocks = list(rows[members[0]].blocks)
        going = [False] * len(rows)
        for index, logits in self._pass(rows, [row.prompt for row in rows], chains):
            going[index] = _extend(rows[index], logits, int(logits.argmax()))
        return [row for row, on in zip(rows, going, strict=True) if on]

    def _pass(
        self, rows: Sequence[Row], ends: Sequence[int], chains: Sequence[list[bytes]]
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Compute each row's prompt up to its end, similar lengths together; logits [vocabulary] of its last token."""
        order = sorted(range(len(rows)), key=lambda r: (ends[r] - rows[r].done, r))
        while order:
            part = [order.pop()]
            width = _padded(ends[part[0]] - rows[part[0]].done)
            while order and (len(part) + 1) * width <= TOKENS:
                after = _padded(ends[order[-1]] - rows[order[-1]].done)
                if after < width and len(part) * width >= ENOUGH:
                    break
                part.append(order.pop())
            logits = self._chunk([rows[r] for r in part], [ends[r] for r in part], [chains[r] for r in part], width)
            yield from zip(part, logits, strict=True)

    def _chunk(self, rows: list[Row], ends: list[int], chains: list[list[bytes]], width: int) -> torch.Tensor:
        starts = [row.done for row in rows]
        cache = self._shape.rows([row.blocks for row in rows], width)
        skip = torch.tensor([width - (end - start) for start, end in zip(starts, ends, strict=True)])
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        for index, (row, start, end) in enumerate(zip(rows, starts, ends, strict=True)):
            ids[index, width - (end - start) :] = torch.tensor(row.ids[start:end])
        logits = self._forward(cache, torch.tensor(starts), skip, ids)
        for index, (row, start, end, chain) in enumerate(zip(rows, starts, ends, chains, strict=True)):
            have = len(row.blocks)
            made = cache.blocks(index, start, end)
            row.blocks += made
            for name, block in zip(chain[have:], made, strict=False):
                self._store.put(name, block)
        return logits

    def _write(self, rows: list[Row], line: Line | None, beside: int) -> list[Row]:
        """Single-token steps until each row has ended, or enough others wait; the rows that have not.

        Args:
            line: the others.
            beside: how many rows there are besides these.
        """
        filler = [0] * (MIN_ROWS - len(rows))
        cache = self._shape.rows([row.blocks for row in [*rows, *(rows[i] for i in filler)]], PAGE)
        active = list(range(len(rows)))
        while active:
            if line and JOIN * min(line.waiting(), line.room - beside - len(active)) >= len(active):
                return [self._left(cache, rows, index) for index in active]
            if len(active) <= len(rows) // 2 and len(rows) > MIN_ROWS:
                cache = cache.select([*active, *[active[0]] * (MIN_ROWS - len(active))])
                rows = [rows[index] for index in active]
                active = list(range(len(rows)))
            logits = self._step(cache, rows, active)
            likeliest = logits.argmax(dim=-1).tolist()
            active = [index for index in active if _extend(rows[index], logits[index], likeliest[index])]
        return []

    def _left(self, cache: Rows, rows: Sequence[Row], index: int) -> Row:
        """A row that will go on later, with what it needs for that."""
        row = rows[index]
        start = sum(block.tokens for block in row.blocks)
        if start < len(row.ids) - 1:
            row.blocks.append(cache.stretch(index, start, len(row.ids) - 1))
        return row

    def _step(self, cache: Rows, rows: Sequence[Row], active: Sequence[int]) -> torch.Tensor:
        """Feed its last token to every row; logits [rows, vocabulary]. Rows that have ended repeat a step."""
        count = len(cache.base)
        ids = torch.zeros(count, 1, dtype=torch.long)
        at = cache.base.clone()
        for index in active:
            ids[index, 0] = rows[index].ids[-1]
            at[index] = len(rows[index].ids) - 1
        if int((at - cache.base).max()) >= cache.room:
            cache.grow()
        return self._forward(cache, at, None, ids)

    def _forward(self, cache: Rows, starts: torch.Tensor, skip: torch.Tensor | None, ids: torch.Tensor) -> torch.Tensor:
        """Logits [rows, vocabulary] after the last token of each row."""
        cache.place(starts, skip, ids.shape[1])
        positions = starts[:, None] + torch.arange(ids.shape[1])
        if skip is not None:
            positions = (positions - skip[:, None]).clamp(min=0)
        # The last layer is linear, too. Indices and no number, so that its input is one contiguous matrix.
        kept = torch.arange(ids.shape[1] - -(-MIN_ROWS // len(ids)), ids.shape[1])
        with over(cache):
            out = self._model(
                input_ids=ids, attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool), position_ids=positions,
                past_key_values=cache, use_cache=True, logits_to_keep=kept,
            )  # fmt: skip
        logits: torch.Tensor = out.logits[:, -1]
        return logits


def _padded(tokens: int) -> int:
    """The width of a pass, such that it has at least ``MIN_ROWS`` tokens even for one row."""
    return max(tokens, MIN_ROWS)


def _common(rows: Sequence[Row], chains: Sequence[list[bytes]]) -> Iterator[tuple[list[int], int]]:
    """Rows that lack the same pieces, and how many pieces they will have in common."""
    groups: dict[bytes, list[int]] = {}
    for index, (row, chain) in enumerate(zip(rows, chains, strict=True)):
        if len(row.blocks) < len(chain):
            groups.setdefault(chain[len(row.blocks)], []).append(index)
    for members in groups.values():
        if len(members) > 1:
            some = [chains[m] for m in members]
            start = len(rows[members[0]].blocks)
            shortest = min(map(len, some))
            yield members, next((n for n in range(start, shortest) if len({c[n] for c in some}) > 1), shortest)


def _alike(rows: Sequence[Row]) -> list[Row]:
    """The first row and all whose own parts of what they have read are of similar length, within a factor of two."""
    pages = [0] * len(rows)
    for page, groups in enumerate(shared_pages([row.blocks for row in rows])):
        for index in (index for group in groups for index in group):
            pages[index] = page + 1
    sizes = [(len(row.ids) // PAGE - shared + 1).bit_length() for row, shared in zip(rows, pages, strict=True)]
    return [row for row, size in zip(rows, sizes, strict=True) if size == sizes[0]]


def _extend(row: Row, logits: torch.Tensor, likeliest: int) -> bool:
    """Choose the row's next token; whether it goes on."""
    token = row.choose(logits, likeliest) if row.most > 0 else None
    if token is not None:
        row.ids.append(token)
        if len(row.ids) - row.prompt < row.most:
            return True
    row.blocks = []
    row.ended()
    return False
