"""Causal language models: concurrent calls share batches and prompt prefixes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from ...errors import ModelUnavailable
from ...wire import Response
from .batcher import Lane
from .checks import check_invariance
from .decoder import Decoder, Row
from .engine import Answer, Asked, LocalEngine, Prompt
from .loading import quiet
from .prefix import PrefixStore
from .shape import Shape

PREFIX_BYTES = 512 * 2**20
"""Memory for the keys and values of shared prompt prefixes."""

TINY = 1_000_000
"""Weights up to which one thread on one core answers: it takes longer to ask for such products than to compute them,
and threads that ask wait for one another."""

SMALL = 50_000_000
"""Weights up to which several threads answer, each with products of its own."""

WORKERS = 4
"""The most of them."""


class CausalEngine(LocalEngine):
    """A causal LM; see ``LocalEngine``.

    A model whose layers are neither plain full attention nor short convolutions, one on an accelerator, or one whose
    answers turn out to depend on their batch on this machine, is served one call at a time, with its own attention.
    """

    kind = "causal"
    loader = "CausalLM"
    max_tokens: int | None = 512

    def cores(self) -> Sequence[int]:
        """How many cores each of the threads has that answer: products of a small model are too short to be shared."""
        whole: int = torch.get_num_threads()
        if self.loaded[0].device.type != "cpu" or self.parameters > SMALL:
            return (whole,)
        if self.parameters <= TINY:
            return (1,)
        workers = min(whole, WORKERS)
        return (whole // workers,) * workers

    def open(self) -> None:
        """Load the weights, and see whether answers depend on their batch."""
        _ = self.decoder

    @property
    def decoder(self) -> Decoder | None:
        """The batching decoder, or ``None`` where answers would depend on their batch."""
        with self._opening:
            return self._decoder

    @cached_property
    def _decoder(self) -> Decoder | None:
        model = self.loaded[0]
        shape = Shape.of(model) if model.device.type == "cpu" else None
        if shape is None:
            return None
        with quiet():
            problem = check_invariance(model, shape)
        return Decoder(model, shape, PrefixStore(PREFIX_BYTES)) if problem is None else None

    def serve(self, calls: Sequence[Asked], lane: Lane[Prompt, Response]) -> None:
        """All together through the decoder, joined by those who come on the way, or one after another."""
        rows = self._rows(calls)
        try:
            if self.decoder is not None:
                self.decoder.run(rows, _Line(lane, self._rows))
            else:
                for row in rows:
                    with self._opening:
                        self._alone(row)
                    row.ended()
        except torch.OutOfMemoryError as error:
            raise ModelUnavailable(
                f"{self.name} ran out of memory with up to {self.concurrency} calls: use a smaller batch"
            ) from error

    def _rows(self, calls: Sequence[Asked]) -> list[Row]:
        """A row for each call, which finishes it when it has ended."""
        found = []
        for answer in self.begun(calls):
            try:
                found.append(self._row(answer))
            except Exception as error:
                answer.call.finish(error)
        return found

    def _row(self, answer: Answer) -> Row:
        request, ids = answer.call.item
        answer.chooser.most = most = self.loaded[2].room(len(ids), request.config.max_tokens)
        begun = answer.chooser.begin()
        return Row([*ids, *begun], answer, most - len(begun), answer.end)

    @torch.inference_mode()
    def _alone(self, row: Row) -> None:
        """One prompt with transformers' own cache; where there is none but a state of the model's own kind (Mamba,
        RWKV), all that was said so far is read again at every step."""
        model = self.loaded[0]
        past, cached = None, True
        feed = torch.tensor([row.ids], device=model.device)
        while len(row.answer) < row.most:
            more: dict[str, Any] = {"past_key_values": past} if cached else {}
            out = model(input_ids=feed, use_cache=cached, logits_to_keep=1, **more)
            past, logits = out.get("past_key_values"), out.logits[0, -1].float().cpu()
            cached = past is not None
            token = row.choose(logits, int(logits.argmax()))
            if token is None:
                return
            row.ids.append(token)
            feed = torch.tensor([[token] if cached else row.ids], device=model.device)


@dataclass(frozen=True)
class _Line:
    """The calls that wait, as the decoder sees them."""

    lane: Lane[Prompt, Response]
    rows: Callable[[Sequence[Asked]], list[Row]]

    @property
    def room(self) -> int:
        """The most rows at a time."""
        return self.lane.room

    def waiting(self) -> int:
        """How many rows could join."""
        return self.lane.waiting

    def take(self, most: int) -> list[Row]:
        """Those that have waited longest."""
        return self.rows(self.lane.take(most))
