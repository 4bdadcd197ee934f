"""Which failures are worth another attempt, how long to wait, and which may have been billed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from dspy import lm15

from .derive import derive
from .internals import (
    ContextWindowExceededError,
    LMError,
    fatal_errors,
    never_connected,
    retryable_errors,
    unbilled_errors,
)
from .secrets import redact


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how patiently a failed call is tried again.

    Waits double from ``first`` up to ``longest`` seconds, each multiplied by a jitter in [0.5, 1), and are never
    shorter than what the provider asked for ("full jitter" with a floor; Brooker, "Exponential Backoff And
    Jitter", 2015). A provider that asks for more than ``longest`` ends the call.
    """

    attempts: int = 5
    """Attempts in all, the first included."""
    first: float = 0.5
    """Seconds before the second attempt."""
    longest: float = 60.0
    """The longest single wait, in seconds."""
    seed: int = 0
    """The stream of the jitter."""

    def wait(self, attempt: int, asked: float | None, key: bytes) -> float | None:
        """Seconds before the next attempt after ``attempt`` (1 for the first) failed; ``None`` to give up."""
        if attempt >= self.attempts or (asked is not None and asked > self.longest):
            return None
        jitter = 0.5 + derive(self.seed, "retry", key.hex(), attempt).random() / 2
        backoff: float = self.first * 2 ** (attempt - 1)
        return max(asked or 0.0, min(self.longest, backoff) * jitter)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failure means."""

    again: bool
    """Another attempt may succeed."""
    billed: bool
    """The provider may have done the work, so its whole bound counts as spent."""
    fatal: bool
    """Every further call to this model would fail as well."""
    asked: float | None
    """Seconds that the provider asked to wait."""
    unreachable: bool = False
    """Nobody was there; fatal once the attempts are used up."""


def judge(error: Exception) -> Verdict:
    """The meaning of an error that an engine raised (``dspy.lm15`` errors or DSPy's own).

    A refusal (rate limit, credentials, a malformed request) costs nothing, nor does a server that says it failed.
    Where the outcome is unknown (a timeout, a cut connection, an unreadable body), the call may have been billed.
    """
    if not isinstance(error, lm15.LM15Error | LMError):
        return Verdict(False, True, False, None)
    if never_connected(error):
        return Verdict(True, False, False, None, unreachable=True)
    asked = error.retry_after
    return Verdict(
        again=isinstance(error, retryable_errors()),
        billed=not isinstance(error, unbilled_errors()),
        fatal=isinstance(error, fatal_errors()),
        asked=asked if isinstance(asked, int | float) and asked >= 0 else None,
    )


def told(error: Exception) -> tuple[str, str]:
    """A failed call in words for other workers: whose fault it was, and a message of one line without credentials."""
    said = (redact(str(error)).strip().splitlines() or [type(error).__name__])[0][:300]
    if isinstance(error, ContextWindowExceededError | lm15.ContextLengthError):
        return "context", said
    return ("lm" if isinstance(error, lm15.LM15Error | LMError) else "program"), said


def retold(kind: str, message: str) -> Exception:
    """The error that another worker met, as one of the same kind."""
    kinds: dict[str, type[Exception]] = {"context": lm15.ContextLengthError, "lm": lm15.ProviderError}
    return kinds.get(kind, RuntimeError)(message)


class Gate:
    """Holds back every call to a model while its provider has asked for quiet."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._until = 0.0

    def close_for(self, seconds: float) -> None:
        """Nobody passes for this long (a longer closing already under way stands)."""
        with self._lock:
            self._until = max(self._until, self._clock() + seconds)

    def enter(self) -> None:
        """Wait until the gate is open."""
        while (wait := self._until - self._clock()) > 0:
            self._sleep(wait)
