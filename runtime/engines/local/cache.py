"""Keys, values and convolution states of a batch of rows, in the form that transformers' models update in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import pad
from transformers.cache_utils import Cache, CacheLayerMixin, LinearAttentionLayer

from .attention import MIN_QUERIES, PAGE

PIECE = 16
"""Tokens that are kept, and shared, together; a page is a whole number of pieces."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What up to ``PIECE`` tokens of one prompt, or a stretch of its answer, leave behind in each layer.

    Attention layers: keys and values of these tokens, each [key heads, tokens, dim]. Convolution layers: the state
    after the last of them, [channels, kernel], and nothing else.
    """

    tokens: int
    layers: tuple[tuple[torch.Tensor, ...], ...]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return sum(tensor.nbytes for layer in self.layers for tensor in layer)


class Slots(CacheLayerMixin):
    """One attention layer: pages that rows share, and each row's own positions behind them."""

    is_sliding = False

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        """Each row's own, [rows, key heads, capacity, dim]; a row's first stands for its position ``base``."""
        self.shared: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        """(rows, keys, values) with [key heads, pages * PAGE, dim] each, in the order of their pages."""
        self.places: tuple[torch.Tensor, ...] = ()
        """(row, token, own place) of every token of the next pass that is to be kept."""

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Everything is there from the start."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep new keys and values [rows, key heads, tokens, dim]; ``attention`` reads them here."""
        row, token, place = self.places
        self.keys[row, :, place] = key_states[row, :, token]
        self.values[row, :, place] = value_states[row, :, token]
        return key_states, value_states

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Masks are the attention's own business."""
        return query_length, 0

    def get_seq_length(self) -> int:
        """Positions are always passed; nothing depends on this."""
        return 0

    def get_max_length(self) -> int:
        """The capacity of the buffers."""
        return int(self.keys.shape[2])


class Conv(LinearAttentionLayer):
    """One convolution layer: the state of every row; passes of several tokens may be padded on the left."""

    def __init__(self, state: torch.Tensor) -> None:
        super().__init__()
        self.conv_states[0], self.conv_kernel_size[0] = state, state.shape[-1]
        self.is_conv_states_initialized[0] = self.has_previous_state[0] = True
        self.dtype, self.device = state.dtype, state.device
        self.skip: torch.Tensor | None = None
        """Padding of each row in the next pass, [rows]."""
        self.seen = state
        """The states and inputs of the last pass, [rows, channels, kernel + tokens]."""

    def update_conv_state(self, conv_states: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        """Inputs [rows, channels, tokens], with each row's state right before its first token that is no padding."""
        state = self.conv_states[0]
        kernel = state.shape[-1]
        full = torch.cat([state, conv_states], dim=-1)
        if self.skip is not None:
            at = (self.skip[:, None] + torch.arange(kernel))[:, None].expand(-1, state.shape[1], -1)
            full = full.scatter(2, at, state)
        self.seen = full
        state.copy_(full[..., -kernel:])
        return full


class Rows(Cache):
    """The cache of a batch: ``Slots`` or ``Conv`` for each layer of the model. Made by ``Shape.rows``."""

    def __init__(self, layers: list[Any], base: torch.Tensor) -> None:
        super().__init__(layers=layers)
        self.base = base
        """The position of each row's first own place, [rows]."""
        self._last = base
        self._hidden: dict[tuple[int, int], torch.Tensor] = {}

    @property
    def room(self) -> int:
        """How many own places each row has; any number where no layer attends."""
        return min((layer.keys.shape[2] for layer in self._slots), default=2**31)

    @property
    def _slots(self) -> list[Slots]:
        return [layer for layer in self.layers if isinstance(layer, Slots)]

    def place(self, starts: torch.Tensor, skip: torch.Tensor | None, tokens: int) -> None:
        """Say what the next pass is about: of row r the tokens from ``skip[r]`` on, which stand at ``starts[r]``."""
        ahead = torch.arange(tokens)
        own = (starts - self.base)[:, None] + ahead - (0 if skip is None else skip[:, None])
        if skip is None:
            row, token = torch.arange(len(starts)).repeat_interleave(tokens), ahead.repeat(len(starts))
        else:
            row, token = (ahead >= skip[:, None]).nonzero(as_tuple=True)
        places = (row, token, own[row, token])
        for layer in self.layers:
            if isinstance(layer, Slots):
                layer.places = places
            else:
                layer.skip = skip
        self._last, self._hidden = own, {}

    def hidden(self, groups: int, tokens: int) -> torch.Tensor:
        """What attention adds to the scores of own places for the last tokens of the present pass: 0 at those that they
        may see; elsewhere little enough to leave nothing of them, but finite, so that a page of such has a result.

        [pages, rows * key heads, groups * tokens and what they lack to a multiple of ``MIN_QUERIES``, PAGE].
        """
        if (groups, tokens) not in self._hidden:
            keys = self._slots[0].keys
            later = torch.arange(keys.shape[2]) > self._last[:, -tokens:, None].repeat(1, groups, 1)
            later = pad(later, (0, 0, 0, -later.shape[1] % MIN_QUERIES)).repeat_interleave(keys.shape[1], 0)
            pages = later.unflatten(2, (-1, PAGE)).permute(2, 0, 1, 3)
            self._hidden[groups, tokens] = keys.new_zeros(pages.shape).masked_fill_(
                pages, torch.finfo(keys.dtype).min / 2
            )
        return self._hidden[groups, tokens]

    def blocks(self, row: int, start: int, end: int) -> list[Block]:
        """Copies of what positions ``start`` (a whole number of pieces) to ``end``, the last pass's, of a row left."""
        first, cuts = start - int(self.base[row]), range(start, end, PIECE)
        layers: list[list[tuple[torch.Tensor, ...]]] = []
        for layer in self.layers:
            if isinstance(layer, Slots):
                own = slice(first, first + end - start)
                keys, values = layer.keys[row, :, own].clone(), layer.values[row, :, own].clone()
                layers.append(list(zip(keys.split(PIECE, 1), values.split(PIECE, 1), strict=True)))
            else:
                kernel, seen = layer.conv_states[0].shape[-1], layer.seen.shape[-1]
                ends = [seen - (end - min(at + PIECE, end)) for at in cuts]
                layers.append([(layer.seen[row, :, at - kernel : at].clone(),) for at in ends])
        return [Block(min(PIECE, end - at), tuple(parts)) for at, *parts in zip(cuts, *layers, strict=True)]

    def stretch(self, row: int, start: int, end: int) -> Block:
        """A copy of what positions ``start`` to ``end`` of a row left, the last of which the last pass computed."""
        own = slice(start - int(self.base[row]), end - int(self.base[row]))
        return Block(end - start, tuple(
            (layer.keys[row, :, own].clone(), layer.values[row, :, own].clone()) if isinstance(layer, Slots)
            else (layer.conv_states[0][row].clone(),)
            for layer in self.layers
        ))  # fmt: skip

    def grow(self) -> None:
        """Room for another page of own positions in every row."""
        for layer in self._slots:
            layer.keys, layer.values = (pad(t, (0, 0, 0, PAGE)) for t in (layer.keys, layer.values))

    def select(self, rows: Sequence[int]) -> Rows:
        """A new cache of some of the rows; one may come more than once."""
        index = torch.tensor(rows)
        layers: list[Any] = []
        for layer in self.layers:
            if isinstance(layer, Slots):
                less = Slots(layer.keys[index], layer.values[index])
                for shared, keys, values in layer.shared:
                    at = torch.isin(index, shared).nonzero()[:, 0]
                    if len(at):
                        less.shared.append((at, keys, values))
                layers.append(less)
            else:
                layers.append(Conv(layer.conv_states[0][index]))
        return Rows(layers, self.base[index])
