"""Choosing a row's next token: greedy or sampled, with stop tokens and strings, scores kept where asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import torch
from dspy import lm15

from ...derive import derive
from .constrain import Guide


class Chooser:
    """The choices of one answer.

    Args:
        config: the request's generation settings; without a temperature the likeliest token is taken.
        ends: tokens that end an answer.
        decode: turns tokens into text.
        seed: the stream of the chances.
        guide: the form that the answer must have.
    """

    def __init__(
        self, config: Any, ends: frozenset[int], decode: Callable[[Sequence[int]], str], seed: int,
        guide: Guide | None = None,
    ) -> None:  # fmt: skip
        self._temperature = config.temperature or 0.0
        self._top_p = 1.0 if config.top_p is None else config.top_p
        self._top_k = config.top_k
        self._stops = config.stop
        self._scores = config.logprobs
        self._ends, self._decode = ends, decode
        self._chance: Random = derive(seed, "tokens")
        self._guide = guide
        # Scores are of tokens that the model was asked for, and a stop may lie in what must come: then it is asked for
        # each of them, but the tokens are the same.
        self._jumps = guide is not None and config.logprobs is None and not config.stop
        self._due: list[int] = []
        self.most: int | None = config.max_tokens
        """The longest answer; an answer of a given form is finished within it."""
        self.tokens: list[int] = []
        self.logprobs: list[Any] = []
        """One ``TokenLogprob`` a token, where the request asked for them."""
        self.finish = "length"
        """Why the answer ended: ``stop``, or ``length`` if it was cut off."""

    def begin(self) -> list[int]:
        """What the answer must begin with, for the model to read with the prompt."""
        self._must_come()
        return list(self.tokens)

    def _must_come(self) -> None:
        """Go on with the tokens that must come next, if any: at once, or as they are asked for."""
        if self._guide is not None:
            (self.tokens if self._jumps else self._due).extend(self._guide.jump(self._room))

    @property
    def _room(self) -> int | None:
        return None if self.most is None else self.most - len(self.tokens)

    def __call__(self, logits: torch.Tensor, likeliest: int) -> int | None:
        """The next token, or ``None`` to end."""
        if self._due:
            token = self._due.pop(0)
            self.tokens.append(token)
        else:
            chosen = self._chosen(logits, likeliest)
            if chosen is None:
                self.finish = "stop"
                return None
            token = chosen
            self.tokens.append(token)
            if self._guide is not None:
                self._guide.take(token)
                if self._guide.ending:
                    self._must_come()
        if self._scores is not None:
            self.logprobs.append(self._score(logits, token, self._scores))
        if self._stops and any(stop in self._decode(self.tokens) for stop in self._stops):
            self.finish = "stop"
            return None
        if self._guide is not None and not self._due and self._guide.stuck:
            self.finish = "stop"  # nothing but the end may follow
            return None
        return token

    def _chosen(self, logits: torch.Tensor, likeliest: int) -> int | None:
        """The token of the model's choice, or ``None`` where it ends the answer."""
        scores, greedy = logits, self._temperature == 0.0
        # A likeliest token that fits stays the likeliest when others are ruled out, which takes longer.
        if self._guide is not None and not (greedy and self._guide.fits(likeliest, self._room)):
            scores = self._guide.masked(logits, self._room)
            likeliest = int(scores.argmax())
        token = likeliest if greedy else self._sample(scores)
        return None if token in self._ends else token

    def text(self) -> str:
        """The answer, cut before the first stop string."""
        text = self._decode(self.tokens)
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        return text[: min(found)] if found else text

    def _sample(self, logits: torch.Tensor) -> int:
        """A token by its chance; the likeliest always has one, however little ``top_p`` leaves."""
        scores, order = torch.sort(logits.double(), descending=True, stable=True)
        # From the likeliest down, so that a temperature next to zero leaves it alone and does not overflow.
        chances = torch.softmax((scores - scores[0]) / self._temperature, dim=-1)
        if self._top_k is not None:
            chances[self._top_k :] = 0.0
        kept = torch.cumsum(chances, dim=-1) - chances < self._top_p
        kept[0] = True
        chances = torch.where(kept, chances, 0.0)
        reach = torch.cumsum(chances, dim=-1)
        place = int(torch.searchsorted(reach, self._chance.random() * float(reach[-1]), right=True))
        return int(order[min(place, int((chances > 0).sum()) - 1)])

    def _score(self, logits: torch.Tensor, token: int, most: int) -> Any:
        scores = torch.log_softmax(logits.double(), dim=-1)
        best = torch.topk(scores, most).indices.tolist() if most else []
        return lm15.TokenLogprob(
            token=self._decode([token]),
            logprob=float(scores[token]),
            top=tuple(lm15.TopLogprob(token=self._decode([t]), logprob=float(scores[t])) for t in best),
        )
