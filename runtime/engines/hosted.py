"""Hosted models through DSPy's own clients, and any server that speaks the OpenAI protocol by its base URL."""

from __future__ import annotations

import math
import os
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import dspy
from dspy import lm15

from ..budget import PICO, Cost, per_token
from ..errors import BadInput
from ..internals import ask_provider, is_reasoning_model, listing, price
from ..journal import Identity
from ..secrets import remember
from ..wire import Request, Response
from .base import Priced

DEFAULT_TIMEOUT = 120.0
"""Seconds to wait for the next byte of an answer."""


_DIALECTS = ("openai/", "ollama/", "hosted_vllm/", "lm_studio/")
"""Prefixes that say how a server of one's own wants its settings spelled; vLLM's, the plainest, by default."""


class HostedEngine(Priced):
    """A model behind an HTTP API, one attempt a call; the door retries.

    Args:
        model: as DSPy and LiteLLM spell it: ``openai/gpt-4.1-mini``, ``anthropic/claude-sonnet-4-6``.
        base_url: a server that speaks the OpenAI protocol (vLLM, Ollama's ``/v1``, a gateway); the model's name is
            then what that server calls it, with ``openai/`` or ``ollama/`` in front where its dialect matters.
        timeout: seconds to wait for the next byte.
        prices: dollars per million tokens read and written, where DSPy's table has none (or another).
        media_tokens: the most tokens that one image, sound or file can cost; a call that holds one is refused without
            it where tokens or dollars have a cap.

    Keys come from the environment only (``OPENAI_API_KEY`` and so on); a ``base_url`` without a key in the
    environment is called with a placeholder, as local servers expect.

    Raises:
        BadInput: for a base URL that is no http(s) URL, or a timeout, a price or media_tokens that make no sense.
    """

    concurrency = 32

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        prices: tuple[float, float] | None = None,
        media_tokens: int | None = None,
    ) -> None:
        if not 0 < timeout < math.inf:
            raise BadInput(f"timeout={timeout!r}: expected seconds, more than 0")
        options: dict[str, Any] = {"timeout": timeout}
        wire_name = model
        if base_url is not None:
            wire_name = model if model.startswith(_DIALECTS) else f"hosted_vllm/{model}"
            options |= {"api_base": _checked(base_url), "api_key": os.environ.get("OPENAI_API_KEY") or "none"}
        self._set_up(dspy.LM(wire_name, cache=False, num_retries=0, **options), model, prices, media_tokens)

    @classmethod
    def around(
        cls, lm: dspy.LM, *, prices: tuple[float, float] | None = None, media_tokens: int | None = None
    ) -> HostedEngine:
        """The engine of a ``dspy.LM`` that a user has set up, with its own address and key."""
        engine = cls.__new__(cls)
        engine._set_up(lm.copy(cache=False, num_retries=0), lm.model, prices, media_tokens)
        return engine

    def _set_up(self, lm: dspy.LM, name: str, prices: tuple[float, float] | None, media_tokens: int | None) -> None:
        whole = isinstance(media_tokens, int) and not isinstance(media_tokens, bool)
        if media_tokens is not None and not (whole and media_tokens >= 0):
            raise BadInput(f"media_tokens={media_tokens!r}: expected a whole number of tokens, 0 or more")
        Priced.__init__(self)
        self.name, self._lm, self.media_tokens = name, lm, media_tokens
        self.base_url: str | None = lm.kwargs.get("api_base") or lm.kwargs.get("base_url")
        remember(lm.kwargs.get("api_key"))
        self._listing = listing(lm)
        if is_reasoning_model(lm.model):
            self.max_tokens = None
        if self._listing.max_output is not None:
            self.longest_answer = self._listing.max_output
        self._by_table = prices is None and self.base_url is None
        if prices is not None:
            self._input_pico, self._output_pico = per_token(prices[0]), per_token(prices[1])
        elif self._by_table:
            self._input_pico = per_token((self._listing.input_usd or 0.0) * 1e6)
            self._output_pico = per_token((self._listing.output_usd or 0.0) * 1e6)
        self.priced = not self._by_table or self._listing.input_usd is not None
        """Whether the price is known; a budget in dollars needs that. A server of one's own is free."""
        for name in (
            "supported_params",
            "supports_response_schema",
            "supports_function_calling",
            "supports_reasoning",
        ):
            setattr(self, name, getattr(lm, name))

    @property
    def identity(self) -> Identity:
        """Provider or endpoint, and model; never a key."""
        model = self._lm.model.partition("/")[2] or self._lm.model
        if self.base_url is not None:
            return {"kind": "hosted", "endpoint": self.base_url.rstrip("/"), "model": model}
        return {"kind": "hosted", "provider": self._listing.provider, "model": model}

    def complete(self, request: Request) -> Response:
        """One attempt.

        Raises:
            LMError: DSPy's typed error, with ``retry_after`` where the server gave one.
        """
        if request.model != self._lm.model:
            request = lm15.Request(
                model=self._lm.model, messages=request.messages, system=request.system, tools=request.tools,
                config=request.config,
            )  # fmt: skip
        with dspy.context(disable_history=True, track_usage=False, send_stream=None, callbacks=[]):
            return ask_provider(self._lm, request)

    def cost(self, request: Request, response: Response) -> Cost:
        """By the provider's usage and DSPy's price table, which knows of cached and reasoning tokens."""
        cost = super().cost(request, response)
        usd = price(request, response, self._listing.provider) if self._by_table else None
        return cost if usd is None else Cost(cost.calls, cost.tokens, min(cost.pico, math.ceil(usd * PICO)))

    def close(self) -> None:
        """Close the connections."""
        self._lm.close()


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.username or parts.password or parts.query:
        shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        raise BadInput(f"base_url {shown!r}: expected http(s)://host[:port]/path, without credentials or a query")
    return url.rstrip("/")
