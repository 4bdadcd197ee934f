"""How a generative student is asked and how its answers are read; written into its folder as ``student.json``.

DSPy hands a student the program's rendered prompt. Most students were trained on a shorter one of their own: the
declared instructions and the inputs, no demonstrations (what the teacher learned from its context is in the weights).
Output fields that the student leaves out, such as a rationale that is not wanted at inference, come back empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from enum import Enum
from itertools import takewhile
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import dspy
import orjson

from ...runtime.errors import BadInput
from ...runtime.fields import render_fields
from ...runtime.internals import field_header_pattern, format_field_value

Style = Literal["chat", "inputs", "bare", "program"]
"""``chat``: as ChatAdapter renders it without demonstrations. ``inputs``: its input fields alone, answered in its form;
what was said around them is in the weights. ``bare``: ``name: value`` lines and nothing else. ``program``: no prompt of
its own, but the program's, with the compiled instructions and demonstrations."""


@dataclass(frozen=True)
class Format:
    """The student's own prompt, and the way from its answer to the program's adapter."""

    style: Style
    system: str
    """The system text (empty but in the chat style)."""
    reminder: str
    """What follows the inputs (empty but in the chat style)."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    """Fields that the student writes, in order."""
    left_out: tuple[str, ...]
    """Fields of the program's predictor that it does not write."""
    order: tuple[str, ...]
    """All output fields in the order of the predictor."""
    adapter: str
    """The adapter that reads the answers: ``chat`` or ``json``."""
    task: str = ""
    """A prefix of the inputs that tells tasks apart, as in distilling step by step."""
    types: Mapping[str, Any] = field(default_factory=dict)
    """What values its fields have, as ``runtime.engines.local.answers.value`` takes it; answers are held to it."""
    breaks: bool = True
    """Whether its tokenizer writes line breaks; without any (T5's has none) an answer is one line."""
    lead: bool = False
    """Whether its tokenizer begins a text with a space, as SentencePiece's do."""

    @classmethod
    def of(
        cls, signature: Any, *, outputs: Sequence[str], style: Style, adapter: str, task: str = "",
        breaks: bool = True, lead: bool = False,
    ) -> Format:  # fmt: skip
        """The format of a student that writes some of a signature's output fields.

        Raises:
            BadInput: for an adapter whose answers students cannot write.
        """
        if adapter not in ("chat", "json"):
            raise BadInput(f"a student cannot answer under the {adapter!r} adapter; expected chat or json")
        left_out = tuple(name for name in signature.output_fields if name not in outputs)
        shorter = signature
        for name in left_out:
            shorter = shorter.delete(name)
        chat = dspy.ChatAdapter()
        return cls(
            style=style,
            system=chat.format_system_message(shorter) if style == "chat" else "",
            reminder=chat.user_message_output_requirements(shorter) if style == "chat" else "",
            inputs=tuple(signature.input_fields),
            outputs=tuple(outputs),
            left_out=left_out,
            order=tuple(signature.output_fields),
            adapter=adapter,
            task=task,
            types={name: kind_of(signature.output_fields[name].annotation) for name in outputs},
            breaks=breaks,
            lead=lead,
        )

    def prompt(self, inputs: Mapping[str, str]) -> list[dict[str, str]]:
        """The student's messages for some inputs, which are stripped as they are where they are read from a program's
        prompt; those that are not given are empty. With the ``program`` style it has none of its own."""
        assert self.style != "program"
        inputs = {name: inputs.get(name, "").strip() for name in self.inputs}
        if self.style == "bare":
            lines = [f"{name}: {inputs[name]}" for name in self.inputs]
            return [{"role": "user", "content": "\n".join([*([self.task] if self.task else []), *lines])}]
        parts = [f"[[ ## {name} ## ]]\n{inputs[name]}" for name in self.inputs]
        if self.task:
            parts.insert(0, self.task)
        if self.style == "inputs":
            return [{"role": "user", "content": "\n\n".join(parts)}]
        user = "\n\n".join([*parts, self.reminder]).strip()
        return [{"role": "system", "content": self.system}, {"role": "user", "content": user}]

    def answer(self, outputs: Mapping[str, str]) -> str:
        """What the student should write."""
        if self._as_json:
            return json.dumps({name: self._typed(name, outputs[name]) for name in self.outputs}, indent=2)
        if self.style == "bare":
            text = "\n".join(f"{name}: {outputs[name]}" for name in self.outputs)
        else:
            text = render_fields({name: outputs[name] for name in self.outputs}) + "\n"
        return text if self.breaks else " ".join(text.split())

    def translate(self, text: str) -> str:
        """The student's answer as the program's adapter reads it."""
        if self.style == "program":
            return text if self._as_json else self._broken(text)
        found = self.read(text)
        if self.adapter == "json":
            values = {name: None if self._missing(name, value) else value for name, value in found.items()}
            return orjson.dumps({name: values.get(name, "") for name in self.order}).decode()
        missing = [name for name in self.outputs if name not in found]
        if missing:
            return text  # unreadable, and shown as such
        return render_fields({name: found.get(name, "") for name in self.order})

    def read(self, text: str) -> dict[str, str]:
        """The fields in the student's answer."""
        found: dict[str, list[str]] = {}
        name: str | None = None
        for line in self._broken(text).strip().split("\n"):  # a form feed, say, is a sign of the text
            head = self._head(line)
            if head is not None and head[0] not in found:
                name = head[0]
                found[name] = [head[1]] if head[1] else []
            elif name is not None:
                found[name].append(line)
        return {n: "\n".join(lines).strip() for n, lines in found.items() if n in self.outputs}

    def _broken(self, text: str) -> str:
        """An answer with a line break where each field begins and, but in the bare style, after its head."""
        if self.breaks:
            return text
        if self.style != "bare":
            return re.sub(rf"\s*({field_header_pattern.pattern})\s*", r"\n\1\n", text).strip()
        done = ""
        for name in self.outputs:
            before, head, text = text.partition(f"{name}: ")
            if not head:
                return done + before
            done += f"{before.rstrip()}\n{head}" if done else f"{before}{head}"
        return done + text

    def _head(self, line: str) -> tuple[str, str] | None:
        if self.style != "bare":
            match = field_header_pattern.match(line.strip())
            return None if match is None else (match.group(1), line.strip()[match.end() :].strip())
        name, colon, rest = line.partition(":")
        return (name, rest) if colon and name in self.outputs else None

    def grammar(self) -> Any:
        """The form of its answers as a part of a grammar; ``None`` for a student that does not know its types."""
        if not self.types or self._as_json:
            return None
        from ...runtime.engines.local.answers import HEADING, value
        from ...runtime.engines.local.grammar import Many, Then, Without, text

        line, gap = ("\n", "\n\n") if self.breaks else (" ", " ")
        parts: list[Any] = [text(" ")] if self.lead else []
        for place, name in enumerate(self.outputs):
            if self.style == "bare":
                # no text has what would be read as a later field's beginning, or as its own, which an earlier field
                # then ended before; nor a heading, since answers are handed on under headings
                others = [_ascii(f"{line}{other}:") for other in self.outputs[max(place, 1) :]]
                free = Without((HEADING, *others, *(() if self.breaks else (b"\n",))))
                parts += [*([text(line)] if place else []), text(f"{name}: "), value(self.types[name], free=free)]
            else:
                parts += [text(f"[[ ## {name} ## ]]{line}"), value(self.types[name]), text(gap)]
        last = [Many(text("\n"), 0, 1)] if self.breaks else []
        end: list[Any] = [] if self.style == "bare" else [text("[[ ## completed ## ]]"), *last]
        return Then((*parts, *end))

    @property
    def _as_json(self) -> bool:
        """Whether its own answers, before they are translated, are JSON."""
        return self.style == "program" and self.adapter == "json"

    def _typed(self, name: str, value: str) -> Any:
        """A value as JSON has it, from how it stands in an answer."""
        if self._missing(name, value):
            return None
        if self.types[name].get("type") in ("text", "date") or "literal" in self.types[name]:
            return value
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value

    def _missing(self, name: str, value: str) -> bool:
        """Whether a text stands for no value. JSON tells it from the text ``None``, which answers do not."""
        kind = self.types.get(name, {})
        return value == "None" and (kind.get("optional", False) or {"literal": ["None"]} in kind.get("any", ()))

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def load(cls, body: Mapping[str, Any]) -> Format:
        """The inverse of ``dump``."""
        lists = ("inputs", "outputs", "left_out", "order")
        values: dict[str, Any] = {name: tuple(value) if name in lists else value for name, value in body.items()}
        return cls(**values)


def written(field: Any, value: Any) -> str:
    """A field's value as it stands in a prompt or an answer."""
    return enum_text(value) if isinstance(value, Enum) else str(format_field_value(field, value))


def enum_text(member: Enum) -> str:
    """A member of an enumeration as DSPy reads it back: by its value where that is a text, else by its name."""
    return member.value if isinstance(member.value, str) else member.name


def admits_none(annotation: Any) -> bool:
    """Whether a type is one of several, of which one is to have no value."""
    return get_origin(annotation) in (Union, UnionType) and type(None) in get_args(annotation)


def _ascii(word: str) -> bytes:
    """A word up to its first sign beyond ASCII."""
    return "".join(takewhile(str.isascii, word)).encode()


def kind_of(annotation: Any) -> dict[str, Any]:
    """A field's type as JSON; see ``runtime.engines.local.answers.value``. Values stand as DSPy writes and reads them:
    those of a text's kind (choices, dates) without quotes, and nothing as ``None``."""
    plain = {str: "text", int: "int", float: "float", bool: "bool", date: "date"}
    if get_origin(annotation) is Literal:
        return {"literal": [str(one) for one in get_args(annotation)]}
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return {"literal": [enum_text(one) for one in annotation]}
    if annotation in plain:
        return {"type": plain[annotation]}
    if annotation is type(None):
        return {"literal": ["None"]}
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind_of(one) for one in get_args(annotation)]
        if {"type": "text"} not in kinds:
            return {"any": kinds}
        return {"type": "text", "optional": True} if admits_none(annotation) else {"type": "text"}
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        found = TypeAdapter(annotation).json_schema()
    except (PydanticUserError, TypeError):
        return {"type": "text"}
    return {"schema": found} if found and found.get("type") != "string" else {"type": "text"}
