"""Generative students of both kinds, as training sees them: how a row becomes tokens, and logits of its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...runtime.errors import BadInput
from .devices import tensor_on

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Coded:
    """A prompt and its answer as tokens."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    @property
    def size(self) -> int:
        """Tokens of both."""
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True)
class Said:
    """What a model makes of some answers, their tokens one after another."""

    logits: torch.Tensor
    """[answer tokens of all rows, vocabulary], in float32."""
    targets: torch.Tensor
    """The tokens themselves, int64."""
    rows: torch.Tensor
    """Which row each belongs to, int64."""
    hidden: torch.Tensor | None = None
    """The last hidden state at each, where it was asked for."""


class Causal:
    """Prompt and answer in one sequence."""

    kind: ClassVar[str] = "causal"
    loader: ClassVar[str] = "CausalLM"
    task_type: ClassVar[str] = "CAUSAL_LM"

    def __init__(self, model: Any, *, packed: bool = True) -> None:
        from .packing import pack

        self.packed = packed and pack(model)

    @staticmethod
    def context(model: Any) -> int:
        """The most tokens of prompt and answer together."""
        config = model.config.get_text_config(decoder=True)
        return int(getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 2048)

    @staticmethod
    def fits(coded: Coded, context: int) -> bool:
        """Whether the model can read it."""
        return coded.size <= context

    def say(self, model: Any, rows: Sequence[Coded], *, hidden: bool = False) -> Said:
        """The model's logits at every answer token."""
        import torch

        from .packing import forward

        place = model.device
        targets = tensor_on([token for row in rows for token in row.answer], place)
        index = tensor_on([n for n, row in enumerate(rows) for _ in row.answer], place)
        if self.packed:
            whole = [[*row.prompt, *row.answer[:-1]] for row in rows]
            wanted = [range(len(row.prompt) - 1, len(ids)) for row, ids in zip(rows, whole, strict=True)]
            out = forward(model, whole, wanted, output_hidden_states=hidden)
            state = None
            if hidden:
                starts = _starts(whole, out.hidden_states[-1].shape[1])
                kept = [start + at for start, places in zip(starts, wanted, strict=True) for at in places]
                state = out.hidden_states[-1][0, kept]
            return Said(out.logits[0].float(), targets, index, state)
        width = max(row.size for row in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask = torch.zeros(len(rows), width, dtype=torch.long)
        for n, row in enumerate(rows):
            ids[n, : row.size] = torch.tensor([*row.prompt, *row.answer])
            mask[n, : row.size] = 1
        out = model(
            input_ids=ids.to(place), attention_mask=mask.to(place), use_cache=False, output_hidden_states=hidden
        )
        at = [(n, len(row.prompt) - 1 + t) for n, row in enumerate(rows) for t in range(len(row.answer))]
        where = tuple(tensor_on(part, place) for part in zip(*at, strict=True))
        return Said(out.logits[where].float(), targets, index, out.hidden_states[-1][where] if hidden else None)


class Seq2Seq:
    """The prompt to the encoder, the answer from the decoder."""

    kind: ClassVar[str] = "seq2seq"
    loader: ClassVar[str] = "Seq2SeqLM"
    task_type: ClassVar[str] = "SEQ_2_SEQ_LM"

    def __init__(self, model: Any, *, packed: bool = True) -> None:
        self.packed = False
        if model.config.decoder_start_token_id is None:
            raise BadInput(f"{model.config.name_or_path or 'the student'} does not say how its decoder starts")

    @staticmethod
    def context(model: Any) -> int:
        """The most tokens of a prompt; relative positions have no end, and then it is what memory bears."""
        return int(getattr(model.config, "max_position_embeddings", None) or 4096)

    @staticmethod
    def fits(coded: Coded, context: int) -> bool:
        """Whether the model can read it."""
        return max(len(coded.prompt), len(coded.answer)) <= context

    def say(self, model: Any, rows: Sequence[Coded], *, hidden: bool = False) -> Said:
        """The model's logits at every answer token."""
        import torch

        place, start = model.device, int(model.config.decoder_start_token_id)
        wide, long = max(len(row.prompt) for row in rows), max(len(row.answer) for row in rows)
        ids, mask = (torch.zeros(len(rows), wide, dtype=torch.long) for _ in range(2))
        fed = torch.zeros(len(rows), long, dtype=torch.long)
        for n, row in enumerate(rows):
            ids[n, : len(row.prompt)] = torch.tensor(row.prompt)
            mask[n, : len(row.prompt)] = 1
            fed[n, : len(row.answer)] = torch.tensor([start, *row.answer[:-1]])
        out = model(
            input_ids=ids.to(place), attention_mask=mask.to(place), decoder_input_ids=fed.to(place), use_cache=False,
            output_hidden_states=hidden,
        )  # fmt: skip
        at = [(n, t) for n, row in enumerate(rows) for t in range(len(row.answer))]
        where = tuple(tensor_on(part, place) for part in zip(*at, strict=True))
        targets = tensor_on([token for row in rows for token in row.answer], place)
        state = out.decoder_hidden_states[-1][where] if hidden else None
        return Said(out.logits[where].float(), targets, where[0], state)


def _starts(rows: Sequence[Sequence[int]], tokens: int) -> list[int]:
    """Where each packed row begins, given how many tokens there are with the blanks between rows."""
    gap = (tokens - sum(map(len, rows))) // len(rows)
    found, start = [], 0
    for row in rows:
        found.append(start)
        start += len(row) + gap
    return found
