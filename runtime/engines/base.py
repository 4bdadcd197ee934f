"""The seam to models: what an engine is, and a base class with the parts that most engines share."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from dspy import lm15

from ..budget import Cost
from ..journal import Identity
from ..wire import Request, Response, media_in, written_beside


@runtime_checkable
class Engine(Protocol):
    """One model behind DSPy's engine seam: a request in, a response out, one attempt.

    ``complete`` is called from many threads at once and may block. It raises ``dspy.lm15`` errors (or DSPy's own
    ``LMError``) for failures of a call, and a ``Stop`` for what would fail every call. It keeps no record, retries
    nothing and knows no budget: the door does that. The engine owns its connection and its weights until
    ``close``; requests and responses are values and belong to nobody.
    """

    name: str
    """What people call the model, e.g. ``openai/gpt-4.1-mini``."""
    concurrency: int
    """How many calls at once serve it well; a hint to those who ask."""
    max_tokens: int | None
    """The default length limit of an answer, in tokens; ``None`` leaves it to the provider."""
    repeatable: bool
    """Whether the answer is a function of the request and its seed alone, so that greedy samples are all equal."""

    @property
    def identity(self) -> Identity:
        """What the model *is*, as JSON; two engines of equal identity may stand in for one another."""
        ...

    def bound(self, request: Request) -> Cost:
        """An upper bound of what the call can cost; the budget reserves it."""
        ...

    def cost(self, request: Request, response: Response) -> Cost:
        """What the call did cost; at most ``bound`` of the same request."""
        ...

    def complete(self, request: Request) -> Response:
        """Answer the request once."""
        ...

    def close(self) -> None:
        """Give back connections, threads and weights; no call is under way."""
        ...


class Priced:
    """Costs from token counts and prices in pico-dollars per token; engines inherit it and count tokens."""

    name = "engine"
    concurrency = 16
    repeatable = False
    max_tokens: int | None = 1024
    longest_answer = 4096
    """Tokens reserved for an answer whose request sets no limit."""
    media_tokens: int | None = 0
    """The most tokens that one image, sound or file of a request can cost; ``None`` where nobody knows, so that a cap
    on tokens or dollars cannot hold. An engine that counts its prompts itself has nothing to add for them."""

    def __init__(self, *, input_pico: int = 0, output_pico: int = 0) -> None:
        self._input_pico = input_pico
        self._output_pico = output_pico

    def count(self, request: Request) -> int:
        """Input tokens of a request, or an upper bound where the tokenizer is not at hand.

        A byte-level tokenizer makes at most one token of a byte; each message adds a few of its own. What is written in
        JSON (tools, a response format, calls of tools) counts by its bytes, media by ``media_tokens`` each.
        """
        texts = [request.system or "", *(message.text or "" for message in request.messages)]
        plain = sum(len(str(text).encode()) for text in texts) + 16 * (len(texts) + 1)
        return plain + written_beside(request) + (self.media_tokens or 0) * media_in(request)

    def bound(self, request: Request) -> Cost:
        """``count`` tokens in, ``max_tokens`` (or the longest answer) out, at the engine's prices."""
        return self._cost(self.count(request), request.config.max_tokens or self.longest_answer)

    def cost(self, request: Request, response: Response) -> Cost:
        """By the usage that the response reports; the whole bound where it reports none."""
        usage = response.usage
        if usage.input_tokens is None or usage.output_tokens is None:
            return self.bound(request)
        return self._cost(usage.input_tokens, usage.output_tokens)

    def close(self) -> None:
        """Nothing to give back."""

    def _cost(self, read: int, written: int) -> Cost:
        return Cost(1, read + written, read * self._input_pico + written * self._output_pico)


def text_response(model: str, text: str, *, read: int, written: int, finish: str = "stop", **more: Any) -> Response:
    """A plain text response with its token counts."""
    usage = lm15.Usage(input_tokens=read, output_tokens=written)
    message = lm15.Message("assistant", (lm15.TextPart(text),))
    return Response(id=None, model=model, message=message, finish_reason=finish, usage=usage, **more)
