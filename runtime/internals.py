"""Everything of DSPy that is not its public face: when DSPy moves, this is the file that moves with it.

Checked against dspy 3.4.1. Nothing here knows of the rest of dstill, but for how a chain of errors is walked.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Any

# Prices come from the table that DSPy ships; asking the network for another one would make a run depend on it.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import dspy
from dspy import lm15
from dspy._vendor.lm15 import serde as serde
from dspy._vendor.lm15.transports import ConnectError
from dspy.adapters.chat_adapter import field_header_pattern as field_header_pattern
from dspy.adapters.types import History
from dspy.adapters.types.base_type import CUSTOM_TYPE_START_IDENTIFIER as CUSTOM_TYPE_START_IDENTIFIER
from dspy.adapters.types.base_type import Type
from dspy.adapters.utils import format_field_value as format_field_value
from dspy.clients import execution
from dspy.clients.backend_selection import CLIENT_KEYS as CLIENT_KEYS
from dspy.clients.call_result import CallResult
from dspy.clients.capabilities import resolve
from dspy.clients.costs import estimate_cost
from dspy.clients.errors import wrap_error
from dspy.clients.lm import _is_openai_reasoning_model
from dspy.clients.model_metadata import model_info
from dspy.utils import exceptions
from dspy.utils.exceptions import AdapterParseError as AdapterParseError
from dspy.utils.exceptions import ContextWindowExceededError as ContextWindowExceededError
from dspy.utils.exceptions import LMError as LMError

from .errors import causes


@dataclass(frozen=True, slots=True)
class Listing:
    """What DSPy's table says of a hosted model; ``None`` where it says nothing."""

    provider: str
    input_usd: float | None = None
    """Dollars per token read, at the dearest tier that a text call can meet."""
    output_usd: float | None = None
    """Dollars per token written, at the dearest tier."""
    max_output: int | None = None
    """Most tokens one answer can have."""


def listing(lm: dspy.LM) -> Listing:
    """The provider, prices and limits of a hosted ``dspy.LM``; no network, no credential."""
    try:
        route = resolve(lm)
        provider, model = route.provider, route.model
    except lm15.LM15Error:
        head, _, model = lm.model.partition("/")
        provider = head
    info = model_info(provider, model)
    limit = info.get("max_output_tokens") or info.get("max_tokens")
    return Listing(
        provider,
        _dearest(info, "input_cost_per_token", "cache_creation_input_token_cost"),
        _dearest(info, "output_cost_per_token", "output_cost_per_reasoning_token"),
        int(limit) if isinstance(limit, int | float) else None,
    )


def ask_provider(lm: dspy.LM, request: lm15.Request) -> lm15.Response:
    """One attempt at a hosted model.

    Raises:
        LMError: DSPy's typed errors, with ``status``, ``retry_after`` and rate-limit headers where there are any.
    """
    call = execution.prepare(lm, request, None, {"cache": False})
    return execution.execute(lm, call).typed(request, lm.model_type)


def price(request: lm15.Request, response: lm15.Response, provider: str) -> float | None:
    """Dollars for a response by DSPy's table, ``None`` where it cannot say."""
    model = request.model.partition("/")[2] or request.model
    usd, _ = estimate_cost(response, provider=provider, requested_model=model, request=request)
    return None if usd is None else float(usd)


def _dearest(info: dict[str, Any], *names: str) -> float | None:
    rates = [
        rate
        for key, rate in info.items()
        if key.startswith(names)
        and not key.endswith(("_priority", "_flex", "_batches"))
        and isinstance(rate, int | float)
    ]
    return max(rates) if isinstance(info.get(names[0]), int | float) else None


def public_error(error: Exception, model: str) -> Exception:
    """The DSPy error that a caller of ``dspy.LM`` sees for an engine's failure."""
    found: Exception = wrap_error(error, model=model)
    return found


def retryable_errors() -> tuple[type[Exception], ...]:
    """Failures that may pass: rate limits, timeouts, server and transport failures."""
    return (
        lm15.RateLimitError, lm15.TimeoutError, lm15.ServerError, lm15.TransportError,
        exceptions.LMRateLimitError, exceptions.LMTimeoutError, exceptions.LMServerError, exceptions.LMTransportError,
    )  # fmt: skip


def unbilled_errors() -> tuple[type[Exception], ...]:
    """Failures in which the provider did no work that it bills."""
    return (
        lm15.RateLimitError, lm15.ServerError, lm15.InvalidRequestError, lm15.AuthError, lm15.BillingError,
        lm15.ConfigurationError, lm15.CapabilityError,
        exceptions.LMRateLimitError, exceptions.LMServerError, exceptions.LMInvalidRequestError,
        exceptions.LMAuthError, exceptions.LMBillingError, exceptions.LMConfigurationError,
        exceptions.LMUnsupportedFeatureError,
    )  # fmt: skip


def fatal_errors() -> tuple[type[Exception], ...]:
    """Failures that every further call would meet: a missing or refused key, an unpaid bill, an unknown model."""
    return (
        lm15.AuthError, lm15.BillingError, lm15.ConfigurationError, lm15.UnsupportedModelError,
        exceptions.LMAuthError, exceptions.LMBillingError, exceptions.LMConfigurationError,
        exceptions.LMUnsupportedModelError,
    )  # fmt: skip


def never_connected(error: BaseException) -> bool:
    """Whether a failure happened before anything was sent (nobody listens, no such host)."""
    return any(isinstance(one, ConnectError | ConnectionRefusedError | socket.gaierror) for one in causes(error))


def outputs_of(response: lm15.Response) -> list[Any]:
    """What ``dspy.LM`` returns for a response that is more than text."""
    return list(CallResult.native(response, logprobs=response.logprobs is not None).outputs)


def is_reasoning_model(model: str) -> bool:
    """Whether DSPy refuses ``temperature`` and a small ``max_tokens`` for this model."""
    return bool(_is_openai_reasoning_model(model))


def is_plain_type(annotation: Any) -> bool:
    """Whether a field of this type is rendered as text and nothing else."""
    return annotation is not History and not Type.extract_custom_type_from_annotation(annotation)


def is_known_provider(model: str) -> bool:
    """Whether DSPy's own clients or LiteLLM know where a model's name leads; no network."""
    try:
        resolve(dspy.LM(model))
    except lm15.LM15Error:
        head, slash, _ = model.partition("/")
        if not slash:
            return False
        import litellm

        return head in {str(getattr(name, "value", name)) for name in litellm.provider_list}
    return True
