"""From the name of a model to the model: ``lm="embedded"``, ``"openai/gpt-4.1-mini"``, ``"local:./folder"``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import dspy

from .engines.base import Engine
from .engines.closed import ClosedEngine
from .engines.hosted import HostedEngine
from .engines.recorded import RecordedEngine
from .errors import BadInput, ModelUnavailable
from .internals import CLIENT_KEYS, is_known_provider
from .lm import LM
from .session import Session

Model: TypeAlias = "str | Engine | LM | dspy.LM"
"""What a public call takes for a model."""

FORMS = (
    "embedded, embedded:small, provider/model (as DSPy and LiteLLM spell it), local:FOLDER, local:HUB/NAME, "
    "recorded:TRANSCRIPTS.jsonl, or any name with base_url for a server that speaks the OpenAI protocol"
)
"""The accepted spellings, for messages."""


def engine_for(model: str, *, base_url: str | None = None, **options: Any) -> Engine:
    """The engine that a name stands for; engines of local weights are shared within the process.

    Args:
        model: one of ``FORMS``.
        base_url: a server that speaks the OpenAI protocol.
        options: further arguments of the engine's class (``timeout``, ``prices``, ``media_tokens``, ``dtype``,
            ``batch``, ``constrained``).

    Raises:
        BadInput: for a name of no known form, or an option that this kind of model does not take.
        ModelUnavailable: for a local model that is not there.
    """
    if not isinstance(model, str) or not model.strip() or model.endswith(("/", ":")):
        raise BadInput(f"model {model!r} is no name; expected: {FORMS}")
    if options.get("prices") is not None:
        options["prices"] = tuple(options["prices"])
    if base_url is not None:
        _check(model, options, *_HOSTED)
        return HostedEngine(model, base_url=base_url, **options)
    head, colon, rest = model.partition(":")
    if head == "embedded" or (colon and head == "local"):
        _check(model, options, "dtype", "batch", "prices", "constrained")
    if head == "embedded":
        return _local(str(embedded_folder(model)), model, tuple(sorted({"constrained": True, **options}.items())))
    if colon and head == "local":
        return _local(rest, rest, tuple(sorted(options.items())))
    if colon and head == "recorded":
        _check(model, options)
        return RecordedEngine(rest)
    if is_known_provider(model):
        _check(model, options, *_HOSTED)
        return HostedEngine(model, **options)
    hint = f" (for weights on this machine write local:{model})" if "/" in model else ""
    raise BadInput(f"model {model!r} is not known{hint}; expected: {FORMS}")


def lm_for(model: Model, session: Session | None = None, **settings: Any) -> LM:
    """An LM on behalf of a session, from a name, an engine, or a DSPy LM.

    Raises:
        BadInput: for anything else.
    """
    if isinstance(model, LM):
        return model if session is None else model.on(session)
    if isinstance(model, str):
        options = {name: settings.pop(name) for name in _OPTIONS if name in settings}
        known = session.replay.models.get(_name_of(model)) if session is not None and session.replay else None
        engine = (
            engine_for(model, **options)
            if known is None
            else ClosedEngine(
                _name_of(model), known["identity"], known["max_tokens"],
                parameters=known.get("parameters"), media_tokens=options.get("media_tokens"),
            )
        )  # fmt: skip
        made = LM(engine, session, **settings)
        made.source = {"model": model, **{k: v for k, v in options.items() if k not in _PACE}}
        return made
    if isinstance(model, dspy.LM):
        if not isinstance(model.engine, str):
            return LM(model.engine, session, **{**model.kwargs, **settings})
        own = {name: value for name, value in model.kwargs.items() if name not in CLIENT_KEYS}
        costs = {name: settings.pop(name) for name in _COSTS if name in settings}
        hosted = HostedEngine.around(model, **costs)
        made = LM(hosted, session, **{**own, **settings})
        address = {} if hosted.base_url is None else {"base_url": hosted.base_url}
        made.source = {"model": model.model, **address, **costs}
        return made
    if isinstance(model, Engine):
        return LM(model, session, **settings)
    raise BadInput(f"lm={model!r}: expected a model's name ({FORMS}), a dspy.LM, or an engine")


def adopt(program: dspy.Module, session: Session | None) -> dspy.Module:
    """A copy of a program whose predictors' own models, where they have any, are called on behalf of a session."""
    own = {name: lm_for(p.lm, session) for name, p in program.named_predictors() if p.lm is not None}
    made = program.deepcopy()
    for name, predictor in made.named_predictors():
        predictor.lm = own.get(name)
    return made


_COSTS = ("prices", "media_tokens")
_HOSTED = ("timeout", *_COSTS)
_OPTIONS = ("base_url", *_HOSTED, "dtype", "batch", "constrained")
"""Settings that belong to the engine, not to the calls."""

_PACE = ("timeout", "batch")
"""Those that no answer depends on: an artifact does not keep them."""


def _is_encoder(architecture: str) -> bool:
    heads = ("ForMaskedLM", "ForSequenceClassification", "ForTokenClassification")
    return architecture.endswith(heads) or ("Bert" in architecture and architecture.endswith("Model"))


def _check(model: str, options: dict[str, Any], *known: str) -> None:
    for name in options:
        if name not in known:
            raise BadInput(
                f"model {model!r} takes no setting {name!r}; of {', '.join(_OPTIONS)} it takes: "
                f"{', '.join(known) or 'none'}"
            )


def _name_of(model: str) -> str:
    head, colon, rest = model.partition(":")
    return rest if colon and head == "local" else model


def embedded_folder(model: str) -> Path:
    """The folder of ``embedded`` or ``embedded:SIZE``.

    Raises:
        ModelUnavailable: for a size that is not shipped.
    """
    from . import embedded

    size = model.partition(":")[2] or "base"
    try:
        return embedded.folder(size)  # type: ignore[arg-type]  # it checks its argument
    except (KeyError, ValueError, FileNotFoundError) as error:
        raise ModelUnavailable(f"there is no model {model!r}: {error}") from error


@lru_cache(maxsize=32)
def _local(model: str, name: str, options: tuple[tuple[str, Any], ...]) -> Engine:
    from .engines.local.causal import CausalEngine
    from .engines.local.loading import find_folder, read_config
    from .engines.local.seq2seq import Seq2SeqEngine

    folder = find_folder(model)
    config = read_config(folder)
    classes = config.get("architectures") or []
    if classes and all(map(_is_encoder, classes)):
        raise BadInput(
            f"model {name!r} is an encoder ({', '.join(classes)}) and writes no text; it serves as the student of a "
            "classifier recipe (labels, soft-labels, gold)"
        )
    kind = Seq2SeqEngine if config.get("is_encoder_decoder") else CausalEngine
    return kind(folder, name=name, **dict(options))
