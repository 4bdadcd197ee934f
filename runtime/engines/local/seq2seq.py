"""Sequence-to-sequence models (T5 and its kin), with the same promise: alone or together, one answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import torch

from ...derive import derive
from ...wire import Response
from .batcher import Lane
from .engine import Answer, Asked, LocalEngine, Prompt

STRIDE = 32
"""Inputs are padded to a multiple of so many tokens; only inputs of one padded length share a batch."""

ROWS = 16
"""Rows in a batch, filled up where fewer calls wait: with one shape, sums are made in one order."""

Choices = Sequence[Any]


class Seq2SeqEngine(LocalEngine):
    """An encoder-decoder LM; see ``LocalEngine``.

    Calls whose inputs have the same padded length share a batch; a model whose answers turn out to depend on their
    batch here is served one call at a time.
    """

    kind = "seq2seq"
    loader = "Seq2SeqLM"
    max_tokens: int | None = 256

    @cached_property
    def together(self) -> bool:
        """Whether batching leaves answers as they are, tried on random inputs."""
        model, chance = self.loaded[0], derive(0, "seq2seq invariance")
        if model.device.type != "cpu":
            return False
        model.set_attn_implementation("eager")  # torch's fused kernel sums a row by its place in the batch
        vocabulary = model.get_input_embeddings().num_embeddings
        inputs = [[chance.randrange(vocabulary) for _ in range(n)] for n in (20, 25, 31, 32)]
        both = [_Scores() for _ in inputs]
        generate(model, inputs, both, [4] * len(inputs))
        for index in (0, 2):  # at another place in the batch, too
            alone = _Scores()
            generate(model, [inputs[index]], [alone], [4])
            if not torch.equal(torch.stack(alone.seen), torch.stack(both[index].seen)):
                return False
        return True

    def serve(self, calls: Sequence[Asked], lane: Lane[Prompt, Response]) -> None:
        """Inputs of one padded length together."""
        groups: dict[int, list[Answer]] = {}
        for index, answer in enumerate(self.begun(calls)):
            asked = answer.call.item[0].config.max_tokens or self.longest_answer
            answer.chooser.most = min(asked, positions(self.loaded[0], "decoder") or asked)
            padded = -(-len(answer.call.item[1]) // STRIDE)
            groups.setdefault(padded if self.together else -index - 1, []).append(answer)
        for members in (group[at : at + ROWS] for group in groups.values() for at in range(0, len(group), ROWS)):
            generate(
                self.loaded[0],
                [answer.call.item[1] for answer in members],
                members,
                [answer.chooser.most for answer in members],
            )
            for answer in members:
                answer.end()


def positions(model: Any, half: Literal["encoder", "decoder"]) -> int | None:
    """The most tokens that an encoder or a decoder has positions for; ``None`` where it counts distances alone (T5)."""
    config = model.config.get_text_config(**{half: True})
    return getattr(config, f"max_{half}_position_embeddings", None) or getattr(config, "max_position_embeddings", None)


class _Scores:
    """Keeps the logits and takes the likeliest token."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def __call__(self, logits: torch.Tensor, likeliest: int) -> int:
        self.seen.append(logits.clone())
        return likeliest


@torch.inference_mode()
def generate(model: Any, inputs: Sequence[Sequence[int]], choosers: Choices, most: Sequence[int]) -> None:
    """Drive one chooser a row until all have ended.

    Args:
        model: an encoder-decoder LM.
        inputs: token ids, at most ``ROWS`` prompts, all of one padded length (see ``STRIDE``).
        choosers: take logits [vocabulary] and the likeliest token; return a token, or ``None`` to end.
        most: the longest answer of each row.
    """
    from transformers.modeling_outputs import BaseModelOutput

    rows = ROWS
    width = -(-max(map(len, inputs)) // STRIDE) * STRIDE
    width = min(width, positions(model, "encoder") or width)
    pad = model.config.pad_token_id or 0
    ids = torch.full((rows, width), pad, device=model.device)
    mask = torch.zeros(rows, width, dtype=torch.long, device=model.device)
    for index, row in enumerate(inputs):
        ids[index, : len(row)] = torch.tensor(row, device=model.device)
        mask[index, : len(row)] = 1
    mask[len(inputs) :, 0] = 1
    hidden = model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
    feed = torch.full((rows, 1), model.config.decoder_start_token_id, device=model.device)
    past, active = None, list(range(len(inputs)))
    for step in range(max(most)):
        out = model(
            encoder_outputs=BaseModelOutput(last_hidden_state=hidden), attention_mask=mask,
            decoder_input_ids=feed, past_key_values=past, use_cache=True,
        )  # fmt: skip
        past, logits = out.past_key_values, out.logits[:, -1]
        likeliest = logits.argmax(dim=-1)
        still = []
        for index in active:
            token = choosers[index](logits[index], int(likeliest[index]))
            if token is not None and step + 1 < most[index]:
                feed[index, 0] = token
                still.append(index)
        active = still
        if not active:
            return
