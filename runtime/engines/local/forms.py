"""The form that a prompt asks an answer to have, read off the prompt as DSPy's adapters write it.

ChatAdapter and JSONAdapter end a prompt with the output fields in their order, and show in the system text how each is
to be written: a note for every type but text, with a JSON schema where the type is not a plain one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ...fields import CHAT, JSON, literals_in
from .answers import STRING, schema, value
from .grammar import Part, Text, Then, either, text

NOTE = " " * 8 + "# note: the value you produce "
SCHEMA, ENUM = "must adhere to the JSON schema: ", "must be one of: "
PLAIN = {
    "must be a single int value": "int", "must be a single float value": "float", "must be True or False": "bool",
}  # fmt: skip
CHAT_FIELD = re.compile(r"`\[\[ ## (\w+) ## \]\]`")
JSON_FIELD = re.compile(r"(?:order of fields: |, then )`(\w+)`")


def asked_form(system: str, last: str) -> Part | None:
    """What the answer to a prompt may be; ``None`` where it does not say, and anything may be answered.

    Args:
        system: the system text.
        last: the last message, from where the output fields are asked for.
    """
    if last.startswith(CHAT):
        parts: list[Part] = []
        for name in CHAT_FIELD.findall(last)[:-1]:  # the last is the mark of the end
            parts += [text(f"[[ ## {name} ## ]]\n"), value(_as_text(kind_in(system, name))), text("\n\n")]
        return Then((*parts, text("[[ ## completed ## ]]\n")))
    if last.startswith(JSON):
        members: list[Part] = []
        for name in JSON_FIELD.findall(last):  # in the lines in which JSONAdapter writes demonstrations
            members += [text(f"{',' if members else '{'}\n  {json.dumps(name)}: "), _in_json(kind_in(system, name))]
        return Then((*members, Text(b"\n}")))
    return None


def response_form(wanted: Mapping[str, Any]) -> Part:
    """What an answer in a response format may be: ``{"type": "json_object"}``, or ``json_schema`` with a schema."""
    return schema(wanted["schema"] if wanted.get("type") == "json_schema" else {"type": "object"})


def asked_at(last: str) -> int:
    """Where in the last message the output fields are asked for; -1 where they are not."""
    return max(last.rfind(CHAT), last.rfind(JSON))


def kind_in(system: str, field: str) -> dict[str, Any]:
    """What values a system text allows for an output field, as ``answers.value`` takes it; text where it is silent."""
    literals = literals_in(system, field)
    if literals is not None:
        return {"literal": literals}
    found = re.search(rf"{{{re.escape(field)}}}{NOTE}(.*?)(?:\",?)?$", system, re.M)
    if found is None:
        return {"type": "text"}
    said = found[1]
    if said in PLAIN:
        return {"type": PLAIN[said]}
    if said.startswith(ENUM):
        return {"literal": said.removeprefix(ENUM).split("; ")}
    written = said.removeprefix(SCHEMA)
    for one in (written, written.replace('\\"', '"')):  # JSONAdapter shows it within a text of JSON
        try:
            return {"schema": _in_order(json.loads(one))}
        except json.JSONDecodeError:
            continue
    return {"type": "text"}


def _in_order(body: Any) -> Any:
    """A schema with its properties as they were declared, which DSPy sorts by name, but not what is required."""
    if isinstance(body, list):
        return [_in_order(one) for one in body]
    if not isinstance(body, dict):
        return body
    found = {name: _in_order(one) for name, one in body.items()}
    members = found.get("properties")
    if isinstance(members, dict):
        first = [name for name in found.get("required", []) if name in members]
        found["properties"] = {name: members[name] for name in dict.fromkeys([*first, *members])}
    return found


def _as_text(kind: dict[str, Any]) -> dict[str, Any]:
    """A kind as ChatAdapter reads it: of what may be any text or nothing it takes quotes for part of the text."""
    choices = kind.get("schema", {}).get("anyOf", ())
    return {"type": "text"} if {"type": "string"} in choices and {"type": "null"} in choices else kind


def _in_json(kind: dict[str, Any]) -> Part:
    if "literal" in kind:
        return either([json.dumps(one, ensure_ascii=False) for one in kind["literal"]])
    if kind.get("type") == "bool":
        return either(["true", "false"])
    if kind.get("type") == "text":
        return STRING
    return value(kind)
