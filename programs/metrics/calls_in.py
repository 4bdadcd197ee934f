"""Function calls read from an answer without running anything: Python calls, JSON calls, tool calls as objects."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_MOST = 200_000
"""Characters of a text that is read; no list of calls is longer."""

_FENCE = re.compile(r"```[a-zA-Z]*[ \t]*\n(.*?)```", re.DOTALL)
_UNKNOWN_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_RAW = re.compile(r"\b(?:r|R|br|Br|bR|BR|rb|Rb|rB|RB)['\"]")
_CONSTANTS = {"true": True, "false": False, "null": None}


class FunctionCall(NamedTuple):
    """A function by its (dotted) name, and its arguments by theirs."""

    name: str
    arguments: dict[str, Any]


def calls_in(value: Any) -> list[FunctionCall] | None:
    """The calls that an answer makes, in order; ``None`` where it makes none that can be read.

    Accepted are text and what it would parse to: Python calls with named literal arguments (``f(a=1)``,
    ``[f(a=1), g.h(b="x")]``, one a line), JSON (``{"name": "f", "arguments": {...}}`` with ``args`` or ``parameters``
    as well, OpenAI's ``{"function": {...}}``, BFCL's ``{"f": {...}}``, or a list of these), and objects with
    ``tool_calls`` such as ``dspy.ToolCalls``. One Markdown fence around text does not count. An empty list makes no
    calls, and is read as such.
    """
    if hasattr(value, "tool_calls"):
        value = value.tool_calls
    if not isinstance(value, str):
        return _of_json(value)
    if len(value) > _MOST:
        return None
    fence = _FENCE.search(value)
    text = (fence.group(1) if fence else value).strip()
    try:
        return _of_json(json.loads(text))
    except (ValueError, RecursionError):
        return _of_python(text)


def _of_json(value: Any) -> list[FunctionCall] | None:
    items = value if isinstance(value, list | tuple) else [value]
    found = [_one(item) for item in items]
    whole = [call for call in found if call is not None]
    return whole if len(whole) == len(found) else None


def _one(item: Any) -> FunctionCall | None:
    name = getattr(item, "name", None)
    if isinstance(name, str) and isinstance(getattr(item, "args", None), Mapping):  # dspy.ToolCalls.ToolCall
        return FunctionCall(name, dict(item.args))
    if not isinstance(item, Mapping):
        return None
    if isinstance(item.get("function"), Mapping):
        item = item["function"]
    given: Any
    if isinstance(item.get("name"), str):
        given = next((item[key] for key in ("arguments", "args", "parameters") if key in item), {})
        name = item["name"]
    elif len(item) == 1:
        (name, given), *_ = item.items()
    else:
        return None
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return None
    named = isinstance(given, Mapping) and isinstance(name, str) and all(isinstance(key, str) for key in given)
    return FunctionCall(name, dict(given)) if named else None


def _of_python(text: str) -> list[FunctionCall] | None:
    if not _RAW.search(text):
        text = _UNKNOWN_ESCAPE.sub(_kept, text)  # Python would warn of "\d", which stands for itself
    try:
        body = ast.parse(text).body
        found = []
        for statement in body:
            if not isinstance(statement, ast.Expr):
                return None
            node = statement.value
            found += [_call(n) for n in (node.elts if isinstance(node, ast.List | ast.Tuple) else [node])]
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):  # what literal_eval says of no literal
        return None
    return found if body else None


def _call(node: ast.expr) -> FunctionCall:
    if not isinstance(node, ast.Call) or node.args:
        raise ValueError("no call with named arguments")
    names, part = [], node.func
    while isinstance(part, ast.Attribute):
        names.append(part.attr)
        part = part.value
    if not isinstance(part, ast.Name):
        raise ValueError("no name of a function")
    arguments: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg in arguments:
            raise ValueError("an argument without a name, or given twice")
        arguments[keyword.arg] = ast.literal_eval(_Constants().visit(keyword.value))
    return FunctionCall(".".join([part.id, *reversed(names)]), arguments)


class _Constants(ast.NodeTransformer):
    """JSON's ``true``, ``false`` and ``null`` in Python text."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(_CONSTANTS[node.id]) if node.id in _CONSTANTS else node


def _kept(found: re.Match[str]) -> str:
    return found.group() if found.group(1) in "\\'\"abfnrtvxuUN01234567\n\r" else "\\" + found.group()
