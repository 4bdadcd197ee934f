"""Causal language models: concurrent calls share batches and prompt prefixes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch

from ...errors import ModelUnavailable
from ...wire import Response
from . import attention
from .cache import Shape
from .checks import check_invariance
from .decoder import Decoder, Row
from .engine import LocalEngine, Prompt, response_of
from .loading import quiet
from .prefix import PrefixStore

PREFIX_BYTES = 512 * 2**20
"""Memory for the keys and values of shared prompt prefixes."""


class CausalEngine(LocalEngine):
    """A causal LM; see ``LocalEngine``.

    A model whose layers are neither full attention nor short convolutions, one on an accelerator, or one whose
    answers turn out to depend on their batch on this machine, is served one call at a time.
    """

    kind = "causal"
    loader = "CausalLM"
    max_tokens: int | None = 512

    @cached_property
    def decoder(self) -> Decoder | None:
        """The batching decoder, or ``None`` where answers would depend on their batch."""
        model = self.loaded[0]
        shape = Shape.of(model) if model.device.type == "cpu" else None
        if shape is None:
            return None
        attention.register()
        model.set_attn_implementation(attention.NAME)
        with quiet():
            problem = check_invariance(model, shape)
        if problem is not None:
            model.set_attn_implementation("sdpa")
            return None
        return Decoder(model, shape, PrefixStore(PREFIX_BYTES))

    def answer(self, batch: Sequence[Prompt]) -> Sequence[Response | Exception]:
        """All together through the decoder, or one after another."""
        prompter = self.loaded[2]
        choosers = [self.chooser(request) for request, _ in batch]
        rows = []
        for (request, ids), chooser in zip(batch, choosers, strict=True):
            chooser.most = most = prompter.room(len(ids), request.config.max_tokens)
            begun = chooser.begin()
            rows.append(Row([*ids, *begun], chooser, most - len(begun)))
        try:
            if self.decoder is not None:
                self.decoder.run(rows)
            else:
                for row in rows:
                    self._alone(row)
        except torch.OutOfMemoryError as error:
            raise ModelUnavailable(
                f"{self.name} ran out of memory with {len(rows)} calls: use a smaller batch"
            ) from error
        return [
            response_of(len(ids), chooser, request) for chooser, (request, ids) in zip(choosers, batch, strict=True)
        ]

    @torch.inference_mode()
    def _alone(self, row: Row) -> None:
        """One prompt with transformers' own cache."""
        model = self.loaded[0]
        past = None
        feed = torch.tensor([row.ids], device=model.device)
        while len(row.answer) < row.most:
            out = model(input_ids=feed, past_key_values=past, use_cache=True, logits_to_keep=1)
            past, logits = out.past_key_values, out.logits[0, -1].float().cpu()
            token = row.choose(logits, int(logits.argmax()))
            if token is None:
                return
            row.ids.append(token)
            feed = torch.tensor([[token]], device=model.device)
