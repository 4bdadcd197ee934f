"""Reads the fields of a ChatAdapter prompt back, and writes fields as ChatAdapter would parse them.

Students and recorded teachers answer to a program's *inputs*; DSPy hands them a rendered prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from .internals import field_header_pattern
from .wire import Request

_REMINDER = "Respond with the corresponding output fields, starting with the field "


def input_fields(request: Request) -> dict[str, str]:
    """The input fields in the last message of a ChatAdapter prompt, as text; empty if it is no such prompt."""
    text = request.messages[-1].text or ""
    head, reminder, _ = text.rpartition(_REMINDER)
    body = head if reminder else text
    fields: dict[str, list[str]] = {}
    name: str | None = None
    for line in body.split("\n"):
        match = field_header_pattern.fullmatch(line.strip())
        if match is not None and match.group(1) not in fields:
            name = match.group(1)
            fields[name] = []
        elif name is not None:
            fields[name].append(line)
    return {field: "\n".join(lines).strip() for field, lines in fields.items()}


def render_fields(outputs: Mapping[str, Any]) -> str:
    """Output fields as an answer that ChatAdapter parses."""
    parts = [f"[[ ## {name} ## ]]\n{_text(value)}" for name, value in outputs.items()]
    return "\n\n".join([*parts, "[[ ## completed ## ]]"])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
