"""Reads the fields of a chat or json adapter's prompt back, and writes fields as that adapter would parse them.

Students and recorded teachers answer to a program's *inputs*; DSPy hands them a rendered prompt.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from typing import Any

import orjson

from .internals import field_header_pattern
from .wire import Request

CHAT = "Respond with the corresponding output fields, starting with the field "
"""Where the chat adapter's last message begins to ask for output fields."""
JSON = "Respond with a JSON object in the following order of fields: "
"""The same of the JSON adapter."""


_DECLARED = re.compile(r"^Your input fields are:\n(.*?)^Your output fields are:", re.M | re.S)
_NAMED = re.compile(r"^\d+\. `(\w+)`", re.M)


def input_fields(request: Request, names: Collection[str] = ()) -> dict[str, str]:
    """The input fields in the last message of such a prompt, as text; empty if it is none.

    Args:
        names: the fields; left out, those that the system text declares. A line of a text that looks like the head of
            another field (in a trajectory of ReAct, for one) is part of the text.
    """
    text = request.messages[-1].text or ""
    known = names or _declared(str(request.system or ""))
    end = max(text.rfind(CHAT), text.rfind(JSON))
    body = text if end < 0 else text[:end]
    fields: dict[str, list[str]] = {}
    name: str | None = None
    for line in body.split("\n"):
        match = field_header_pattern.fullmatch(line.strip())
        if match is not None and match.group(1) not in fields and (not known or match.group(1) in known):
            name = match.group(1)
            fields[name] = []
        elif name is not None:
            fields[name].append(line)
    return {field: "\n".join(lines).strip() for field, lines in fields.items()}


def _declared(system: str) -> list[str]:
    """The input fields that a system text names; none where it is not an adapter's."""
    found = _DECLARED.search(system)
    return _NAMED.findall(found.group(1)) if found else []


def asks_for_json(request: Request) -> bool:
    """Whether a prompt is the json adapter's."""
    text = request.messages[-1].text or ""
    return text.rfind(JSON) > text.rfind(CHAT)


def answer_to(request: Request, outputs: Mapping[str, Any]) -> str:
    """Output fields in the form that a prompt asks for."""
    if asks_for_json(request):
        return orjson.dumps(dict(outputs)).decode()
    return render_fields(outputs)


def literals_of(request: Request, field: str) -> list[str] | None:
    """The values that a prompt allows for an output field of a ``Literal`` type; ``None`` where it names none."""
    return literals_in(str(request.system or ""), field)


def literals_in(system: str, field: str) -> list[str] | None:
    """The same of its system text."""
    found = re.search(rf"`{re.escape(field)}` \(Literal(\[.*?\])\)(?::|$)", system, re.M)
    if found is None:
        return None
    try:
        return [str(value) for value in ast.literal_eval(found.group(1))]
    except (ValueError, SyntaxError):
        return None


def render_fields(outputs: Mapping[str, Any]) -> str:
    """Output fields as an answer that ChatAdapter parses."""
    parts = [f"[[ ## {name} ## ]]\n{_text(value)}" for name, value in outputs.items()]
    return "\n\n".join([*parts, "[[ ## completed ## ]]"])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
