"""Keys, values and convolution states of a batch of rows, in the form that transformers' models update in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin, LinearAttentionLayer


@dataclass(frozen=True, slots=True)
class Block:
    """What a run of tokens of one prompt leaves behind in each layer.

    Attention layers: keys and values of these tokens, each [key heads, tokens, dim]. Convolution layers: the state
    after the last of them, [channels, kernel], and nothing else.
    """

    layers: tuple[tuple[torch.Tensor, ...], ...]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return sum(tensor.nbytes for layer in self.layers for tensor in layer)


class Slots(CacheLayerMixin):
    """One attention layer: buffers [rows, key heads, capacity, dim] that are written at given positions."""

    is_sliding = False

    def __init__(self) -> None:
        super().__init__()
        self.at: torch.Tensor | int = 0
        """Where the next tokens go: one offset for all rows (a chunk), or one position a row (a single token)."""

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Buffers are made by ``new_cache``."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write new keys and values [rows, key heads, tokens, dim]; the whole buffers come back."""
        if isinstance(self.at, int):
            end = self.at + key_states.shape[2]
            self.keys[:, :, self.at : end] = key_states
            self.values[:, :, self.at : end] = value_states
        else:
            rows = torch.arange(key_states.shape[0])
            self.keys[rows, :, self.at] = key_states[:, :, 0]
            self.values[rows, :, self.at] = value_states[:, :, 0]
        return self.keys, self.values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """The mask spans the whole buffer."""
        return self.keys.shape[2], 0

    def get_seq_length(self) -> int:
        """Positions are always passed; nothing depends on this."""
        return 0

    def get_max_length(self) -> int:
        """The capacity of the buffers."""
        return int(self.keys.shape[2])


class Rows(Cache):
    """The cache of a batch: one ``Slots`` or convolution layer for each layer of the model."""

    def place(self, at: torch.Tensor | int) -> None:
        """Say where the next forward pass writes."""
        for layer in self.layers:
            if isinstance(layer, Slots):
                layer.at = at

    def load(self, row: int, blocks: Sequence[Block]) -> None:
        """Fill a row with the blocks of its prompt so far."""
        for index, layer in enumerate(self.layers):
            if isinstance(layer, Slots):
                start = 0
                for block in blocks:
                    keys, values = block.layers[index]
                    layer.keys[row, :, start : start + keys.shape[1]] = keys
                    layer.values[row, :, start : start + keys.shape[1]] = values
                    start += keys.shape[1]
            elif blocks:
                layer.conv_states[0][row] = blocks[-1].layers[index][0]

    def block(self, row: int, start: int, end: int) -> Block:
        """A copy of what tokens ``start`` to ``end`` of a row left behind; the row must stand at ``end``."""
        return Block(
            tuple(
                (layer.keys[row, :, start:end].clone(), layer.values[row, :, start:end].clone())
                if isinstance(layer, Slots)
                else (layer.conv_states[0][row].clone(),)
                for layer in self.layers
            )
        )

    def select(self, rows: Sequence[int], capacity: int) -> Rows:
        """A new cache of some of the rows, with buffers of ``capacity`` tokens (never smaller than now)."""
        index = torch.tensor(rows)
        layers: list[Any] = []
        for layer in self.layers:
            if isinstance(layer, Slots):
                more = Slots()
                for name in ("keys", "values"):
                    old = getattr(layer, name).index_select(0, index)
                    shape = (old.shape[0], old.shape[1], capacity - old.shape[2], old.shape[3])
                    setattr(more, name, torch.cat([old, old.new_zeros(shape)], dim=2))
                layers.append(more)
            else:
                layers.append(_conv(layer.conv_states[0].index_select(0, index)))
        return Rows(layers=layers)


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
        convolutions (sliding windows, recurrent states)."""
        config = model.config.get_text_config(decoder=True)
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

    def new_cache(self, rows: int, capacity: int) -> Rows:
        """Empty buffers for ``rows`` rows of up to ``capacity`` tokens."""
        layers: list[Any] = []
        for kind, width, depth in self.layers:
            if kind == "attention":
                slots = Slots()
                slots.keys = torch.zeros(rows, width, capacity, depth, dtype=self.dtype)
                slots.values = torch.zeros(rows, width, capacity, depth, dtype=self.dtype)
                layers.append(slots)
            else:
                layers.append(_conv(torch.zeros(rows, width, depth, dtype=self.dtype)))
        return Rows(layers=layers)


def _conv(state: torch.Tensor) -> Any:
    layer = LinearAttentionLayer()
    layer.conv_states[0], layer.conv_kernel_size[0] = state, state.shape[-1]
    layer.is_conv_states_initialized[0] = layer.has_previous_state[0] = True
    layer.dtype, layer.device = state.dtype, state.device
    return layer
