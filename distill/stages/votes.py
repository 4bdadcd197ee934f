"""Several answers to one input, from samples or from several teachers, made into one row."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
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
    text, wanted = "", row.outputs.get(field, "")
    whole = "".join(token for token, _ in row.tokens)
    head = max(whole.rfind(f"[[ ## {field} ## ]]"), whole.rfind(f'"{field}"'))  # as the chat or json adapter has it
    start = whole.find(wanted, head + len(field)) if wanted and head >= 0 else whole.rfind(wanted) if wanted else -1
    for token, top in row.tokens:
        if start >= 0 and len(text) + len(token) > start:
            return _spread({**top}, labels)
        text += token
    return None


def _spread(top: dict[str, float], labels: Sequence[str]) -> dict[str, float] | None:
    found = dict.fromkeys(labels, 0.0)
    for token, logprob in top.items():
        fitting = [label for label in labels if token.strip() and label.startswith(token.strip())]
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
