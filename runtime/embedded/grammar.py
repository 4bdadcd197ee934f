"""A tiny template grammar: `[a|b|]` chooses, `{slot}` is filled, everything else is itself.

A template is parsed once into a tree and expanded many times. The same slot in one expansion keeps its value
(`{item}` twice is the same item); a trailing digit asks for another one of the same kind (`{item2}`).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache

_TIDY = re.compile(r" +([ .,?!])")  # what an empty alternative leaves behind
Node = str | tuple[str, ...] | list["list[Node]"]  # text, ("slot",), or the alternatives of a choice
Fill = Callable[[str], str]


def parse(text: str) -> list[Node]:
    """The tree of a template; raises ValueError on unbalanced brackets."""
    return _sequence(text, 0, "")[0]


def _sequence(text: str, at: int, stops: str) -> tuple[list[Node], int]:
    nodes: list[Node] = []
    plain = ""
    while at < len(text) and text[at] not in stops:
        if text[at] == "[":
            alternatives: list[list[Node]] = []
            while text[at] != "]":
                branch, at = _sequence(text, at + 1, "|]")
                if at >= len(text):
                    raise ValueError(f"a choice is not closed in template {text!r}")
                alternatives.append(branch)
            nodes, plain = [*nodes, plain, alternatives], ""
        elif text[at] == "{":
            end = text.index("}", at)
            nodes, plain = [*nodes, plain, (text[at + 1 : end],)], ""
            at = end
        elif text[at] == "]":
            raise ValueError(f"unbalanced bracket at {at} in template {text!r}")
        else:
            plain += text[at]
        at += 1
    nodes.append(plain)
    return [node for node in nodes if node != ""], at


@cache
def _parsed(template: str) -> tuple[Node, ...]:
    return tuple(parse(template))


def expand(template: str, rng: random.Random, fill: Fill) -> str:
    """One sentence of the template; `fill(slot)` gives a slot's value."""
    text = _expand(_parsed(template), rng, fill)
    return _TIDY.sub(r"\1", text).strip() if " " in text else text


def _expand(nodes: tuple[Node, ...] | list[Node], rng: random.Random, fill: Fill) -> str:
    out = []
    for node in nodes:
        if isinstance(node, str):
            out.append(node)
        elif isinstance(node, tuple):
            out.append(fill(node[0]))
        else:
            out.append(_expand(node[int(rng.random() * len(node))], rng, fill))
    return "".join(out)
