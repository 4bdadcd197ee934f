"""A sample of an inspect log: its scores, output, failure and usage.

What inspect's ``value_to_float`` makes of a grade counts here too: C is 1, P 0.5, I and N 0. A value that is not a
number (NaN) is inspect's sign for unscored.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ..rows import Failure
from .sample import Mark
from .streams import amount

GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
USAGE = ("input_tokens", "input_tokens_cache_read", "input_tokens_cache_write", "output_tokens", "total_cost")


def marks_of(body: dict[str, Any], head: dict[str, Any]) -> dict[str, Mark]:
    """What every scorer gave; a value that has parts gives a mark for each, ``scorer.part``."""
    scores = body.get("scores")
    if scores is None and body.get("score") is not None:  # before version 2 there was one scorer, named in the head
        named = (head.get("results") or {}).get("scores") or [{}]
        scores = {named[0].get("name", "score"): body["score"]}
    if not isinstance(scores or {}, dict):
        raise TypeError(f"scores are {str(scores)[:60]!r}, expected an object, a scorer each")
    return {name: mark for scorer, score in (scores or {}).items() for name, mark in _marks(scorer, score, body)}


def _marks(scorer: str, score: Any, body: dict[str, Any]) -> Iterator[tuple[str, Mark]]:
    if not isinstance(score, dict):
        score = {"value": score}
    value, said = score.get("value"), str(score.get("explanation") or "")
    if isinstance(value, dict):
        for name, part in value.items():
            yield f"{scorer}.{name}", _mark(part, said, score, body)
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield f"{scorer}.{place}", _mark(part, said, score, body)
    else:
        yield scorer, _mark(value, said, score, body)


def _mark(value: Any, said: str, score: dict[str, Any], body: dict[str, Any]) -> Mark:
    if body.get("invalidation"):
        why = str(body["invalidation"].get("reason") or "somebody declared the sample invalid")
        return Mark(None, said, Failure("error", "Invalidated", why))
    if value == "N":
        return Mark(0.0, said, Failure("program", "NoAnswer", said))
    if isinstance(value, str):
        return Mark(GRADES.get(value, WORDS.get(value.lower(), value)), said)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Mark(None, said, Failure("abstained", str(score.get("reason") or ""), said))
    return Mark(value, said)


def failure_of(body: dict[str, Any]) -> Failure | None:
    """The error that halted the sample. Whose it was is not recorded."""
    error = body.get("error")
    if not error:
        return None
    lines = str(error.get("message", "")).strip().splitlines()
    return Failure("error", "Error", lines[0][:300] if lines else "")


def asked_of(body: dict[str, Any]) -> dict[str, Any]:
    """The example: what was asked, the target, and the metadata."""
    found: dict[str, Any] = {"input": _text(body.get("input"), body)}
    if body.get("target") not in (None, "", []):
        found["target"] = body["target"]
    return {**found, **(body.get("metadata") or {})}


def completion_of(body: dict[str, Any]) -> str:
    """What the model said in the end."""
    choices = (body.get("output") or {}).get("choices") or [{}]
    return _text((choices[0].get("message") or {}).get("content"), body)


def usage_of(body: dict[str, Any]) -> dict[str, float]:
    """Tokens and dollars of all models but those that graded."""
    graders = (body.get("role_usage") or {}).get("grader") or {}
    spent = list((body.get("model_usage") or {}).values())
    return {name: max(0.0, sum(amount(one, name) for one in spent) - amount(graders, name)) for name in USAGE}


def _text(value: Any, body: dict[str, Any]) -> str:
    """Text, the text parts of content, or the last message of several; long ones may lie among the attachments."""
    if isinstance(value, list):
        parts = value[-1:] if value and isinstance(value[-1], dict) and "role" in value[-1] else value
        return "\n".join(filter(None, (_text(part, body) for part in parts)))
    if isinstance(value, dict):
        return _text(value.get("content", value.get("text")), body)
    text = "" if value is None else str(value)
    start = "attachment://"
    return str((body.get("attachments") or {}).get(text[len(start) :], text)) if text.startswith(start) else text
