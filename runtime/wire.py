"""The canonical form of a request and of an answer: what the journal keys by, stores, and reads back.

A request is two pieces of canonical JSON: its *prefix* (system text and every message but the last, which many
requests of one program share, and which is stored once) and its *tail* (the last message, tools, and the
generation settings). The model's name is not part of it: what the model *is* stands in the journal's key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import orjson
from dspy.lm15 import (
    AudioPart,
    BinaryPart,
    Config,
    DocumentPart,
    ImagePart,
    Message,
    TextPart,
    ToolResultPart,
    Usage,
    VideoPart,
)
from dspy.lm15 import Request as Request
from dspy.lm15 import Response as Response

from .canonical import as_json, canonical, encodable
from .internals import serde

Chat = Sequence[dict[str, str]]
"""OpenAI-style messages whose content is plain text."""

_NO_SETTINGS = Config()
_MEDIA = (ImagePart, AudioPart, VideoPart, DocumentPart, BinaryPart)
_TOOLS = 600
"""Tokens that a provider's own words on how tools are called may take; Anthropic's took 530 at the most."""


@dataclass(frozen=True, slots=True)
class Wire:
    """A canonical request; both parts are canonical JSON."""

    prefix: bytes
    tail: bytes

    def key(self, model: bytes, sample: int) -> bytes:
        """The journal's content key, 32 bytes: the model's identity, this request, and the sample's index."""
        parts = (model, hashlib.sha256(self.prefix).digest(), hashlib.sha256(self.tail).digest())
        return hashlib.sha256(b"dstill call 1\0" + b"".join(parts) + b"%d" % sample).digest()


def settings_of(config: Any) -> dict[str, Any]:
    """The generation settings that are set, as JSON."""
    return {} if config == _NO_SETTINGS else dict(serde.config_to_dict(config))


def wire_of(request: Request) -> Wire:
    """The canonical form of an lm15 request."""
    system = request.system
    if system is not None and not isinstance(system, str):
        system = [serde.part_to_dict(part) for part in system]
    messages = [_message(message) for message in request.messages]
    tail: dict[str, Any] = {"message": messages[-1], "settings": settings_of(request.config)}
    if request.tools:
        tail["tools"] = [serde.tool_to_dict(tool) for tool in request.tools]
    return Wire(canonical({"messages": messages[:-1], "system": system}), canonical(tail))


def media_in(request: Request) -> int:
    """How many images, sounds, videos and files a request holds, those that tools gave back among them."""
    return sum(isinstance(part, _MEDIA) for part in _parts(request))


def written_beside(request: Request) -> int:
    """Bytes of what a model reads of a request beside the system text and messages of text alone: the other messages'
    parts, media left out, and in JSON the tools and the form of the answer."""
    mixed = (message for message in request.messages if message.text is None)
    parts = (part for message in mixed for part in _flat(message.parts) if not isinstance(part, _MEDIA))
    found = sum(
        len(part.text.encode()) if type(part) is TextPart else len(canonical(serde.part_to_dict(part)))
        for part in parts
    )
    settings = settings_of(request.config)
    found += sum(len(canonical(settings[name])) for name in ("response_format", "tool_choice") if name in settings)
    tools = sum(len(canonical(serde.tool_to_dict(tool))) for tool in request.tools)
    return found + (tools + _TOOLS if request.tools else 0)


def wire_of_chat(chat: Chat, settings: dict[str, Any]) -> Wire:
    """``wire_of`` for plain text messages, without building the request: the same bytes, several times faster."""
    system = chat[0]["content"] if chat[0]["role"] == "system" else None
    body = [[m["role"], m["content"]] for m in (chat if system is None else chat[1:])]
    return Wire(
        canonical({"messages": body[:-1], "system": system}),
        canonical({"message": body[-1], "settings": settings}),
    )


def request_of_chat(model: str, chat: Chat, config: Any) -> Request:
    """The lm15 request of plain text messages."""
    system = chat[0]["content"] if chat[0]["role"] == "system" else None
    rest = chat if system is None else chat[1:]
    earlier = [_shared_message(m["role"], m["content"]) for m in rest[:-1]]
    last = Message(rest[-1]["role"], (TextPart(rest[-1]["content"]),))
    return Request(model=model, messages=(*earlier, last), system=system, config=config)


def request_of_wire(wire: Wire, model: str) -> Request:
    """The lm15 request back from its canonical form (round trip of ``wire_of``)."""
    prefix, tail = orjson.loads(wire.prefix), orjson.loads(wire.tail)
    system = prefix["system"]
    if isinstance(system, list):
        system = tuple(serde.part_from_dict(part) for part in system)
    messages = tuple(_unmessage(m) for m in [*prefix["messages"], tail["message"]])
    tools = tuple(serde.tool_from_dict(tool) for tool in tail.get("tools", ()))
    config = serde.config_from_dict(tail["settings"]) if tail["settings"] else _NO_SETTINGS
    return Request(model=model, messages=messages, system=system, tools=tools, config=config)


def seeded(config: Any, seed: int | None) -> Any:
    """Settings with a sampling seed; without one, as they are."""
    return config if seed is None else replace(config, seed=seed)


def with_seed(request: Request, seed: int | None) -> Request:
    """The request with a sampling seed; without one, as it is."""
    config = seeded(request.config, seed)
    return request if config is request.config else replace(request, config=config)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered: its text and usage, or, where it is more than text, the whole response."""

    text: str
    finish: str = "stop"
    input_tokens: int | None = None
    output_tokens: int | None = None
    full: dict[str, Any] | None = None
    """The canonical JSON of a response that is more than text (tool calls, log-probabilities, media)."""

    @classmethod
    def of(cls, response: Response) -> Answer:
        """The answer in a response; provider data beside it is not kept."""
        usage = response.usage
        parts = response.message.parts
        plain = all(type(part) is TextPart for part in parts) and response.logprobs is None
        text = "".join(part.text for part in parts if type(part) is TextPart)
        full = None if plain else as_json(serde.response_to_dict(response))  # as_json: no halves of characters
        return cls(encodable(text), response.finish_reason, usage.input_tokens, usage.output_tokens, full)

    def response(self, model: str) -> Response:
        """The lm15 response that a caller of the engine sees."""
        if self.full is not None:
            return serde.response_from_dict(self.full)
        usage = Usage(input_tokens=self.input_tokens, output_tokens=self.output_tokens)
        message = Message("assistant", (TextPart(self.text),))
        return Response(id=None, model=model, message=message, finish_reason=self.finish, usage=usage)

    def dump(self) -> bytes:
        """Canonical JSON."""
        usage = [self.input_tokens, self.output_tokens]
        body: dict[str, Any] = {"finish": self.finish, "text": self.text, "usage": usage}
        if self.full is not None:
            body["full"] = self.full
        return canonical(body)

    @classmethod
    def load(cls, data: bytes | str) -> Answer:
        """The inverse of ``dump``."""
        body = orjson.loads(data)
        read, written = body["usage"]
        return cls(body["text"], body["finish"], read, written, body.get("full"))


def _parts(request: Request) -> Iterator[Any]:
    system = request.system
    yield from () if system is None or isinstance(system, str) else system
    for message in request.messages:
        yield from _flat(message.parts)


def _flat(parts: Sequence[Any]) -> Iterator[Any]:
    """Parts, and in place of what a tool gave back its own, under a part that keeps the name of the call."""
    for part in parts:
        if type(part) is ToolResultPart:
            yield replace(part, content=(TextPart(""),))
            yield from part.content
        else:
            yield part


def _message(message: Any) -> Any:
    parts = message.parts
    if len(parts) == 1 and type(parts[0]) is TextPart and not message.continuation:
        part = parts[0]
        if not part.continuation:
            return [message.role, part.text]
    return serde.message_to_dict(message)


def _unmessage(body: Any) -> Any:
    if isinstance(body, list):
        return Message(body[0], (TextPart(body[1]),))
    return serde.message_from_dict(body)


@lru_cache(maxsize=4096)
def _shared_message(role: str, text: str) -> Any:
    return Message(role, (TextPart(text),))
