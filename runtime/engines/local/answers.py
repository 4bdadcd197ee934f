"""The forms of answers: types of a program's fields and JSON schemas as parts of a grammar."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .grammar import Either, Many, One, Part, Text, Then, Without, either, sign, text

DEPTH = 5
"""How deep JSON may be nested; below, values are plain ones."""

DIGIT, SPACE = One(((48, 57),)), Many(Text(b" "), 0, 1)
WHOLE: Part = Then((Many(Text(b"-"), 0, 1), Either((Text(b"0"), Then((One(((49, 57),)), Many(DIGIT, 0, 15)))))))
NUMBER: Part = Then((
    WHOLE, Many(Then((Text(b"."), Many(DIGIT, 1, 17))), 0, 1),
    Many(Then((One(((69, 69), (101, 101))), Many(One(((43, 43), (45, 45))), 0, 1), Many(DIGIT, 1, 2))), 0, 1),
))  # fmt: skip
HEX = One(((48, 57), (65, 70), (97, 102)))
CHARACTER: Part = Either((
    sign(but='"\\' + "".join(map(chr, range(32)))),
    Then((Text(b"\\"), One(tuple((ord(c), ord(c)) for c in '"\\/bfnrt')))),
    Then((Text(b"\\u"), HEX, HEX, HEX, HEX)),
))  # fmt: skip
STRING: Part = Then((Text(b'"'), Many(CHARACTER), Text(b'"')))
DATE: Part = Then((
    Many(DIGIT, 4, 4), Text(b"-"), either([f"{month:02}" for month in range(1, 13)]), Text(b"-"),
    either([f"{day:02}" for day in range(1, 32)]),
))  # fmt: skip
HEADING = b"[[ ##"
"""What a field's heading begins with."""
FREE: Part = Without((HEADING,))
"""Any text in which no field's heading begins."""


def value(kind: Mapping[str, Any], *, free: Part = FREE) -> Part:
    """A field's value, of a kind as it stands in a student's format.

    ``{"literal": [...]}``: one of these texts. ``{"type": "int"}``, ``float``, ``bool``, ``date``, ``text``.
    ``{"schema": ...}``: JSON. ``{"any": [...]}``: a value of any of these kinds.
    """
    if "literal" in kind:
        return either([str(one) for one in kind["literal"]])
    if "any" in kind:
        return Either(tuple(value(one, free=free) for one in kind["any"]))
    if "schema" in kind:
        return schema(kind["schema"])
    plain: dict[str, Part] = {"int": WHOLE, "float": NUMBER, "bool": either(["True", "False"]), "date": DATE}
    return plain.get(kind.get("type", "text"), free)


def schema(body: Mapping[str, Any]) -> Part:
    """JSON of a schema: properties in their order, all of them, as the places of a tuple; references are followed to a
    bounded depth. Bounds of numbers, patterns, lengths and formats of strings, and ``allOf`` are not looked at."""
    return _json(body, body.get("$defs", {}), DEPTH)


def _json(body: Any, definitions: Mapping[str, Any], depth: int) -> Part:
    if not isinstance(body, Mapping):
        return _any(depth)
    if "$ref" in body:
        name = str(body["$ref"]).rpartition("/")[2]
        return _json(definitions[name], definitions, depth - 1) if name in definitions and depth > 0 else _any(0)
    if "enum" in body or "const" in body:
        return either([json.dumps(one, ensure_ascii=False) for one in body.get("enum", [body.get("const")])])
    for key in ("anyOf", "oneOf"):
        if key in body:
            return Either(tuple(_json(one, definitions, depth) for one in body[key]))
    kind = body.get("type")
    if isinstance(kind, list):
        return Either(tuple(_json({**body, "type": one}, definitions, depth) for one in kind))
    plain: dict[Any, Part] = {
        "string": STRING, "integer": WHOLE, "number": NUMBER, "boolean": either(["true", "false"]),
        "null": Text(b"null"),
    }  # fmt: skip
    if kind in plain:
        return plain[kind]
    if kind == "array" and body.get("prefixItems"):
        return _tuple(body, definitions, depth)
    if kind == "array":
        one = _json(body.get("items", {}), definitions, depth - 1) if depth > 0 else _any(0)
        return _list(one, int(body.get("minItems", 0)), body.get("maxItems"))
    if kind == "object" and body.get("properties"):
        members = [
            Then((text(json.dumps(name, ensure_ascii=False) + ":"), SPACE, _json(one, definitions, depth - 1)))
            for name, one in body["properties"].items()
        ]
        return Then((Text(b"{"), *_joined(members), Text(b"}")))
    if kind == "object":
        more = body.get("additionalProperties", {})
        if more is False:
            return Text(b"{}")
        inner = _json(more, definitions, depth - 1) if depth > 0 else _any(0)
        return _list(Then((STRING, Text(b":"), SPACE, inner)), 0, None, ends=(b"{", b"}"))
    return _any(depth)


def _tuple(body: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> Part:
    """A list with a schema for each of its first places, all of which are written; more only where it is asked for."""
    most = body.get("maxItems")
    firsts = [_json(one, definitions, depth - 1) for one in body["prefixItems"][:most]]
    rest = body.get("items", False)
    least = max(0, int(body.get("minItems", 0)) - len(firsts))
    left = None if most is None else most - len(firsts)
    if rest is False and not least:
        left = 0
    further = Many(Then((Text(b","), SPACE, _json(rest, definitions, depth - 1))), least, left)
    return Then((Text(b"["), *_joined(firsts), further, Text(b"]")))


def _any(depth: int) -> Part:
    """Any JSON value, lists and objects nested at most twice."""
    plain = (STRING, NUMBER, either(["true", "false", "null"]))
    found: Part = Either(plain)
    for _ in range(min(depth, 2)):
        pair = Then((STRING, Text(b":"), SPACE, found))
        found = Either((*plain, _list(found, 0, None), _list(pair, 0, None, ends=(b"{", b"}"))))
    return found


def _list(one: Part, least: int, most: int | None, ends: tuple[bytes, bytes] = (b"[", b"]")) -> Part:
    rest = Then((Text(b","), SPACE, one))
    first, last = Text(ends[0]), Text(ends[1])
    if most is not None and most < 1:
        return Then((first, last))
    full = Then((first, one, Many(rest, max(0, least - 1), None if most is None else most - 1), last))
    return full if least > 0 else Either((Then((first, last)), full))


def _joined(parts: Sequence[Part]) -> list[Part]:
    found: list[Part] = []
    for part in parts:
        found += [Text(b","), SPACE, part] if found else [part]
    return found
