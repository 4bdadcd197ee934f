"""The network in training: Lfm2ForCausalLM of transformers, written for packed episodes.

Same parameters under the same names, same function (a test holds it to that), but the tokens of a batch lie in one
row without padding: everything that works on single tokens runs on the whole row, attention on each episode apart (on
a GPU in one kernel), and the short convolution does not look past an episode's first token. Matrix products run in
bfloat16, which is four times as fast as float32 on a CPU that has it; weights, norms and the residual sum stay in
float32.

Architecture: LFM2 (Liquid AI, 2025): gated short convolutions with a few layers of grouped-query attention, RMSNorm
before each part and on queries and keys, SwiGLU, rotary positions, tied embeddings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

PLAIN = 700
"""Episodes of up to so many tokens attend the plain way on a CPU."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a network."""

    vocab: int = 4096
    width: int = 192
    layers: int = 8
    attention: tuple[int, ...] = (1, 3, 5, 7)
    """layers that attend; the others convolve"""
    heads: int = 3
    kv_heads: int = 3
    ffn: int = 512
    taps: int = 3
    """tokens a convolution sees, its own included"""
    context: int = 2048
    theta: float = 100_000.0
    eps: float = 1e-5

    def config(self, bos: int, eos: int, pad: int) -> dict[str, Any]:
        """The keyword arguments of transformers.Lfm2Config."""
        return {
            "vocab_size": self.vocab,
            "hidden_size": self.width,
            "intermediate_size": self.ffn,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "max_position_embeddings": self.context,
            "norm_eps": self.eps,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.theta},
            "conv_L_cache": self.taps,
            "conv_bias": False,
            "block_auto_adjust_ff_dim": False,
            "layer_types": ["full_attention" if i in self.attention else "conv" for i in range(self.layers)],
            "tie_word_embeddings": True,
            "bos_token_id": bos,
            "eos_token_id": eos,
            "pad_token_id": pad,
            "initializer_range": 1 / math.sqrt(self.width),
        }


@dataclass(frozen=True)
class Laid:
    """Episodes end to end, as arrays that travel between processes."""

    tokens: NDArray[np.int64]
    weights: NDArray[np.float32]
    """how much predicting each token counts; 0 for the first one of an episode"""
    lengths: tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """A packed batch: `tokens` int64 [N], the lengths of its episodes, and per position what to predict."""

    tokens: Tensor
    lengths: tuple[int, ...]
    select: Tensor
    """int64 [S]: positions that predict something"""
    targets: Tensor
    """int64 [S]: the token after each of them"""
    weights: Tensor
    """float32 [S]: how much each counts"""


def lay(episodes: Sequence[tuple[Sequence[int], Sequence[float]]]) -> Laid:
    """Lay encoded episodes (ids, weights) end to end."""
    tokens = np.array([i for ids, _ in episodes for i in ids], dtype=np.int64)
    weights = np.array([w for _, counts in episodes for w in (0.0, *counts[1:])], dtype=np.float32)
    return Laid(tokens, weights, tuple(len(ids) for ids, _ in episodes))


def row_of(laid: Laid, device: torch.device | str = "cpu") -> Row:
    """What the network takes."""
    counted = np.flatnonzero(laid.weights)
    tokens, select, targets, weights = (
        torch.from_numpy(part).to(device)
        for part in (laid.tokens, counted - 1, laid.tokens[counted], laid.weights[counted])
    )
    return Row(tokens, laid.lengths, select, targets, weights)


def pack(episodes: Sequence[tuple[Sequence[int], Sequence[float]]], device: torch.device | str = "cpu") -> Row:
    """Encoded episodes (ids, weights) as the network takes them."""
    return row_of(lay(episodes), device)


class Norm(nn.Module):
    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x.float(), (x.shape[-1],), self.weight, self.eps).to(torch.bfloat16)


def linear(x: Tensor, layer: nn.Linear) -> Tensor:
    return functional.linear(x, layer.weight.to(torch.bfloat16))


def _linear(i: int, o: int) -> nn.Linear:
    return nn.Linear(i, o, bias=False)


class ShortConv(nn.Module):
    """Gate, causal depthwise convolution over a few tokens, gate."""

    def __init__(self, s: Shape):
        super().__init__()
        self.conv = nn.Conv1d(s.width, s.width, s.taps, groups=s.width, bias=False)
        self.in_proj, self.out_proj = _linear(s.width, 3 * s.width), _linear(s.width, s.width)

    def forward(self, x: Tensor, places: _Places) -> Tensor:
        b, c, y = linear(x, self.in_proj).chunk(3, -1)
        z, k = b * y, self.conv.weight[:, 0].to(torch.bfloat16)
        mixed = z * k[:, -1]
        for n, within in enumerate(places.within, 1):
            mixed = torch.addcmul(mixed, functional.pad(z[:-n], (0, 0, n, 0)) * within, k[:, -1 - n])
        return linear(c * mixed, self.out_proj)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention of one episode: q [heads, L, size], k and v [kv heads, L, size] -> [heads, L, size].

    Short episodes on a CPU go the plain way, which is twice as fast there as torch's fused kernel (measured).
    """
    if k.shape[0] != q.shape[0]:
        k, v = (t.repeat_interleave(q.shape[0] // t.shape[0], 0) for t in (k, v))
    n = q.shape[1]
    if n > PLAIN:
        return functional.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
    scores = torch.baddbmm(
        _later(q.dtype)[:n, :n].expand(q.shape[0], n, n), q, k.transpose(1, 2), alpha=q.shape[-1] ** -0.5
    )
    return scores.softmax(-1) @ v


@cache
def _later(dtype: torch.dtype) -> Tensor:
    """[PLAIN, PLAIN]: minus infinity where a key comes after its query."""
    return torch.full((PLAIN, PLAIN), float("-inf"), dtype=dtype).triu_(1)


def _attend_at_once(q: Tensor, k: Tensor, v: Tensor, places: _Places) -> Tensor:
    """Causal attention of every episode of a row on a GPU, by its flash kernel: [N, heads, size] each, and the same."""
    from torch.nn.attention.varlen import varlen_attn

    if k.shape[1] != q.shape[1]:
        k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], 1) for t in (k, v))
    longest = max(places.lengths)
    return varlen_attn(q, k, v, places.edges, places.edges, longest, longest, window_size=(-1, 0))


class Attention(nn.Module):
    def __init__(self, s: Shape):
        super().__init__()
        self.size = s.width // s.heads
        self.q_proj, self.out_proj = _linear(s.width, s.width), _linear(s.width, s.width)
        self.k_proj, self.v_proj = (_linear(s.width, s.kv_heads * self.size) for _ in "kv")
        self.q_layernorm, self.k_layernorm = Norm(self.size, s.eps), Norm(self.size, s.eps)

    def forward(self, x: Tensor, places: _Places) -> Tensor:
        q, k, v = (linear(x, p).unflatten(-1, (-1, self.size)) for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k = (places.rotate(t) for t in (self.q_layernorm(q), self.k_layernorm(k)))
        if q.is_cuda:
            return linear(_attend_at_once(q, k, v, places).flatten(1), self.out_proj)
        parts = zip(*(t.transpose(0, 1).split(places.lengths, 1) for t in (q, k, v)), strict=True)
        out = torch.cat([attend(*part) for part in parts], 1)
        return linear(out.transpose(0, 1).flatten(1), self.out_proj)


class FeedForward(nn.Module):
    def __init__(self, s: Shape):
        super().__init__()
        self.w1, self.w3, self.w2 = _linear(s.width, s.ffn), _linear(s.width, s.ffn), _linear(s.ffn, s.width)

    def forward(self, x: Tensor) -> Tensor:
        return linear(functional.silu(linear(x, self.w1)) * linear(x, self.w3), self.w2)


class Layer(nn.Module):
    def __init__(self, s: Shape, attends: bool):
        super().__init__()
        if attends:
            self.self_attn = Attention(s)
        else:
            self.conv = ShortConv(s)
        self.mix = [self.self_attn if attends else self.conv]  # in a list: not registered a second time
        self.feed_forward = FeedForward(s)
        self.operator_norm, self.ffn_norm = Norm(s.width, s.eps), Norm(s.width, s.eps)

    def forward(self, h: Tensor, places: _Places) -> Tensor:
        h = h + self.mix[0](self.operator_norm(h), places)
        return h + self.feed_forward(self.ffn_norm(h))


class _Places:
    """Where the tokens of a row stand in their episodes: rotation angles, edges, lengths."""

    def __init__(self, lengths: tuple[int, ...], size: int, theta: float, taps: int, device: torch.device):
        self.lengths = lengths
        ends = torch.tensor((0, *lengths), dtype=torch.int32).cumsum(0, dtype=torch.int32)
        starts = ends[:-1].repeat_interleave(torch.tensor(lengths))
        position = (torch.arange(len(starts)) - starts).to(device)
        self.edges = ends.to(device)
        """int32 [episodes + 1]: where each episode begins, and the end"""
        self.within = [(position >= n).to(torch.bfloat16)[:, None] for n in range(1, taps)]
        angle = position[:, None] / theta ** (torch.arange(0, size, 2, device=device) / size)
        angle = torch.cat((angle, angle), -1)[:, None]
        self.cos, self.sin = angle.cos().to(torch.bfloat16), angle.sin().to(torch.bfloat16)

    def rotate(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, -1)
        return x * self.cos + torch.cat((-b, a), -1) * self.sin


class Network(nn.Module):
    """The decoder; `forward` gives the logits [S, vocab] at the selected positions of a row."""

    def __init__(self, shape: Shape, generator: torch.Generator):
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab, shape.width)
        self.layers = nn.ModuleList(Layer(shape, i in shape.attention) for i in range(shape.layers))
        self.embedding_norm = Norm(shape.width, shape.eps)
        with torch.no_grad():
            for name, p in self.named_parameters():
                if p.dim() > 1:  # 1/sqrt(fan in); what writes to the residual sum is scaled down (GPT-2)
                    fan_in = shape.width if "embed" in name else p[0].numel()
                    scale = 1 / math.sqrt(2 * shape.layers) if name.endswith(("out_proj.weight", "w2.weight")) else 1.0
                    p.normal_(0, scale / math.sqrt(fan_in), generator=generator)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.embed_tokens.weight.device

    def hidden(self, tokens: Tensor, lengths: tuple[int, ...]) -> Tensor:
        """float32 [N, width]: the residual sum after the last layer."""
        s = self.shape
        places = _Places(lengths, s.width // s.heads, s.theta, s.taps, tokens.device)
        h = self.embed_tokens(tokens)
        for layer in self.layers:
            h = layer(h, places)
        return h

    def forward(self, row: Row) -> Tensor:
        h = self.hidden(row.tokens, row.lengths)[row.select]
        return functional.linear(self.embedding_norm(h), self.embed_tokens.weight.to(torch.bfloat16)).float()

    def loss(self, row: Row) -> tuple[Tensor, Tensor]:
        """Weighted sum of the cross entropies (a scalar), and which targets were the likeliest token (bool [S])."""
        logits = self(row)
        each = functional.cross_entropy(logits, row.targets, reduction="none")
        return (each * row.weights).sum(), logits.detach().argmax(-1) == row.targets


def export_state(network: Network, dtype: torch.dtype = torch.bfloat16) -> dict[str, Tensor]:
    """The weights under the names of Lfm2ForCausalLM."""
    return {f"model.{k}": v.detach().to(dtype).contiguous() for k, v in network.state_dict().items()}


def import_state(network: Network, state: Mapping[str, Tensor]) -> None:
    """The reverse of export_state; raises on missing, surplus or misshapen weights."""
    network.load_state_dict({k.removeprefix("model."): v.float() for k, v in state.items()})


__all__ = ["Laid", "Network", "Row", "Shape", "export_state", "import_state", "lay", "pack", "row_of"]
