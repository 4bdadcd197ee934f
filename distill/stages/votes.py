"""Several answers to one input, from samples or from several teachers, made into one row."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..state import Pair, TokenTop


def label_of(row: Pair) -> str:
    """A row's answer without its rationale, where that is not all of it."""
    return "\n".join(value for name, value in row.outputs.items() if name != "reasoning" or len(row.outputs) == 1)


def agreed(rows: Sequence[tuple[Pair, bool]]) -> list[Pair]:
    """One row for each input: the commonest of its usable answers, and how many of all answers agree with it.

    Args:
        rows: answers in order, and whether each may be learned from. An answer that may not be still has a vote in
            the shares and the confidence (self-consistency, Wang et al., 2203.11171, is no better than its voters).
    """
    merged: dict[tuple[tuple[str, str], ...], list[tuple[Pair, bool]]] = {}
    for row in rows:
        merged.setdefault(tuple(row[0].inputs.items()), []).append(row)
    found = []
    for same in merged.values():
        votes = Counter(label_of(row) for row, _ in same)
        usable = [row for row, fit in same if fit]
        if not usable:
            continue
        first = max(usable, key=lambda row: votes[label_of(row)])  # the earliest of the commonest
        shares = {label: count / len(same) for label, count in sorted(votes.items())}
        found.append(replace(first, soft=shares, confidence=shares[label_of(first)]))
    return found


def shares_by_logprobs(row: Pair, labels: Sequence[str], field: str) -> dict[str, float] | None:
    """The teacher's probability of each label, from the alternatives to the token at which its answer's label begins.

    Each alternative counts for the labels that begin with it: for one label alone its whole probability, for several
    an equal part. ``None`` where the tokens do not lead to the label, or no alternative fits one.
    """
    if row.tokens is None:
        return None
    whole = "".join(token for token, _ in row.tokens)
    chat, quoted = (max((m.end() for m in re.finditer(head, whole)), default=-1) for head in _heads(field))
    spelled = _in_json if quoted > chat else _as_said
    wanted = row.outputs.get(field, "")
    begun = max(chat, quoted)
    places = [whole.find(one, begun) if begun >= 0 else whole.rfind(one) for one in spelled(wanted) if one]
    start, at = min((place for place in places if place >= 0), default=None), 0
    for token, top in row.tokens:
        at += len(token)
        if start is not None and at > start:
            return _spread(top, {label: spelled(label) for label in labels})
    return None


def untold(rows: Sequence[Pair], labels: Sequence[str], field: str) -> int:
    """Rows of a teacher that told its tokens, in which no probability of a label was found."""
    return sum(row.tokens is not None and shares_by_logprobs(row, labels, field) is None for row in rows)


def _heads(field: str) -> tuple[str, str]:
    """Patterns of what stands before a field's value under the chat and the json adapter."""
    return rf"\[\[ ## {field} ## \]\]", rf'"{field}"\s*:'


def _as_said(label: str) -> tuple[str, ...]:
    return (label,)


def _in_json(label: str) -> tuple[str, ...]:
    """How a label may stand in JSON, within its quotes, if it has any."""
    plain = {"True": "true", "False": "false", "None": "null"}
    return label, json.dumps(label)[1:-1], json.dumps(label, ensure_ascii=False)[1:-1], plain.get(label, label)


def _spread(top: Mapping[str, float], labels: Mapping[str, Sequence[str]]) -> dict[str, float] | None:
    found = dict.fromkeys(labels, 0.0)
    for token, logprob in top.items():
        text = token.strip().strip('"')  # a token may begin or end with the quotes of JSON
        fitting = [label for label, forms in labels.items() if text and any(one.startswith(text) for one in forms)]
        for label in fitting:
            found[label] += math.exp(logprob) / len(fitting)
    total = sum(found.values())
    return {label: share / total for label, share in found.items()} if total > 0 else None


def tops_of(said: Any) -> tuple[TokenTop, ...]:
    """The tokens of an answer with their likeliest alternatives, from what DSPy hands on with a prediction."""
    found = []
    for token in said["content"]:
        top = {one["token"]: float(one["logprob"]) for one in token["top_logprobs"]}
        found.append((str(token["token"]), {**top, str(token["token"]): float(token["logprob"])}))
    return tuple(found)
