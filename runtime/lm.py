"""``dspy.LM`` behind the door, with a short path for plain text calls.

DSPy turns each call's messages into an OpenAI-shaped request, that into its own, and the answer back through the
same steps; all of it is needed for images, tools or streams, and none of it for text. The short path goes from
the messages to the journal's key directly, and gives the same keys and the same outputs as the long one.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import dspy
from dspy import lm15

from .canonical import JSON, is_json
from .door import Door
from .engines.base import Engine
from .internals import outputs_of, public_error
from .session import Session
from .wire import Request, Response, Wire, request_of_chat, seeded, settings_of, wire_of, wire_of_chat, with_seed

_sample: ContextVar[int] = ContextVar("dstill_sample", default=0)

MOST_SAMPLES = 10_000
"""Samples of a whole program's run; see ``LM``."""

_SHORT = frozenset({"temperature", "max_tokens", "top_p", "stop", "seed", "rollout_id"})
"""Settings that the short path knows; any other one takes the long path."""

_FIRST, _LATER = frozenset({"system", "user", "assistant"}), frozenset({"user", "assistant"})


class LM(dspy.LM):
    """A language model that programs call; every call goes through the session's journal and budget.

    Args:
        engine: the model.
        session: the run on whose behalf it is called; one of its own, in memory, where none is given.
        temperature, max_tokens: defaults of every call, as in DSPy; the engine's own where they are left out.
        settings: further generation settings, as ``dspy.LM`` takes them.

    A call's ``rollout_id`` is the index of its sample: equal requests of different index are different calls. Within
    ``dspy.context(dstill_sample=N)`` all of them are those of a whole program's N-th run, whatever rollouts it asks for
    itself; DSPy hands the setting on to the threads it makes.
    """

    def __init__(
        self,
        engine: Engine,
        session: Session | None = None,
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        **settings: Any,
    ) -> None:
        self.door = Door(engine, session or Session())
        seam = _Seam(self.door)
        super().__init__(
            engine.name,
            temperature=temperature,
            max_tokens=max_tokens if max_tokens is not None else engine.max_tokens,
            cache=False,
            num_retries=0,
            engine=seam,
            async_engine=_AsyncSeam(seam),
            **settings,
        )
        self._configs: dict[Any, tuple[Any, dict[str, Any]]] = {}
        self.source: dict[str, JSON] = {"model": engine.name}
        """What ``lm_for`` takes to open the same engine again."""

    @property
    def spec(self) -> dict[str, Any]:
        """The model as an artifact keeps it: ``lm_for(spec["model"], **spec["settings"])`` opens it again."""
        plain = {name: value for name, value in self.kwargs.items() if value is not None and is_json(value)}
        options = {name: value for name, value in self.source.items() if name != "model"}
        return {"model": self.source["model"], "settings": {**options, **plain}}

    def on(self, session: Session) -> LM:
        """The same model, on behalf of another run."""
        other: LM = self.copy()
        other.door = Door(self.door.engine, session)
        other._engine_spec = _Seam(other.door)
        other._async_engine_spec = _AsyncSeam(other._engine_spec)
        return other

    def copy(self, **changes: Any) -> Any:
        """DSPy's copy; the weights and connections behind it are shared."""
        other = super().copy(**changes)
        other._configs = {}
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> LM:
        return self  # programs are copied by the hundred; a model is a place, not a value

    def __call__(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """DSPy's call: a list with one text (or dictionary) per answer."""
        if prompt is None and messages and self.is_plain(kwargs) and _is_text(messages):
            return self.short(messages, kwargs)
        token = _sample.set(self._rollout(kwargs))
        try:
            return super().__call__(prompt, messages=messages, **kwargs)
        finally:
            _sample.reset(token)

    async def acall(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """DSPy's async call."""
        token = _sample.set(self._rollout(kwargs))
        try:
            return await super().acall(prompt, messages=messages, **kwargs)
        finally:
            _sample.reset(token)

    def is_plain(self, kwargs: dict[str, Any]) -> bool:
        """Whether a call with these settings may take the short path: text only, and watched by nobody."""
        settings = dspy.settings
        return bool(
            settings.disable_history
            and not settings.callbacks
            and settings.usage_tracker is None
            and settings.send_stream is None
            and not self.callbacks
            and _SHORT.issuperset(kwargs)
            and _SHORT.issuperset(self.kwargs)
        )

    def short(self, messages: list[dict[str, str]], kwargs: dict[str, Any]) -> list[Any]:
        """The short path: plain text messages to one output.

        Raises:
            LMError: DSPy's typed error for a call that failed.
            ValueError: for text that is not valid Unicode.
        """
        config, settings = self._config(kwargs)
        try:
            wire: Wire = wire_of_chat(messages, settings)
        except TypeError as error:
            raise ValueError(f"the prompt holds text that is not valid Unicode ({error})") from None
        try:
            entry = self.door.ask(
                wire,
                lambda seed: request_of_chat(self.model, messages, seeded(config, seed)),
                self._rollout(kwargs),
            )
        except Exception as error:
            found = public_error(error, self.model)
            if found is error:  # DSPy's own already, which must not become its own cause
                raise
            raise found from error
        if entry.answer.full is None:
            return [entry.answer.text]
        outputs: list[Any] = outputs_of(entry.answer.response(self.model))
        return outputs

    def dump_state(self) -> dict[str, Any]:
        """A plain ``dspy.LM`` of the same name and settings, so that a saved program loads into plain DSPy."""
        settings = {name: value for name, value in self.kwargs.items() if name != "rollout_id"}
        state = {"_dspy_lm_class": "dspy.clients.lm.LM", "model": self.model, "model_type": self.model_type}
        return {**state, "cache": False, "num_retries": 0, **settings}

    def _rollout(self, kwargs: dict[str, Any]) -> int:
        own = int(kwargs.get("rollout_id") or self.kwargs.get("rollout_id") or 0)
        return own + (int(dspy.settings.get("dstill_sample") or 0) << 48)  # above what take_sample counts with

    def _config(self, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        key = (*kwargs.items(), *self.kwargs.items())
        try:
            return self._configs[key]
        except (KeyError, TypeError):
            pass
        merged = {**self.kwargs, **kwargs, "rollout_id": None}
        config = lm15.Config(**{name: value for name, value in merged.items() if value is not None})
        found = config, settings_of(config)
        if len(self._configs) < 1000 and _hashable(key):
            self._configs[key] = found
        return found


class _Seam:
    """The door as DSPy's engine. The answers of one call with ``n`` > 1 are further samples of its rollout."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.supported_params = getattr(door.engine, "supported_params", ())
        self.supports_response_schema = getattr(door.engine, "supports_response_schema", False)
        self.supports_function_calling = getattr(door.engine, "supports_function_calling", False)
        self.supports_reasoning = getattr(door.engine, "supports_reasoning", False)

    def complete(self, request: Request) -> Response:
        return self.ask(request, take_sample())

    def ask(self, request: Request, sample: int) -> Response:
        entry = self.door.ask(wire_of(request), lambda seed: with_seed(request, seed), sample)
        return entry.answer.response(request.model)


class _AsyncSeam:
    """The same for DSPy's async calls; the blocking work is done in a thread."""

    def __init__(self, seam: _Seam) -> None:
        self._seam = seam

    async def complete(self, request: Request) -> Response:
        return await asyncio.to_thread(self._seam.ask, request, take_sample())


def take_sample() -> int:
    """The index of the sample to ask for; each taking moves on to the next one of the same rollout."""
    sample = _sample.get()
    _sample.set(sample + (1 << 32))
    return sample


def _is_text(messages: list[dict[str, Any]]) -> bool:
    first, *rest = messages
    return (
        type(first["content"]) is str
        and first["role"] in _FIRST
        and all(type(m["content"]) is str and m["role"] in _LATER for m in rest)
        and messages[-1]["role"] != "system"
        and first["content"] != ""
    )


def _hashable(key: Any) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True
