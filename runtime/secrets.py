"""Keeps credentials out of whatever is written down: errors, journals, logs, artifacts."""

from __future__ import annotations

import os
import re

_NAMES = re.compile(r"(API_?KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$", re.IGNORECASE)
_SHAPES = re.compile(
    r"\b(?:sk|pk|rk|hf|gsk|xai|key|AIza)[-_][A-Za-z0-9_\-]{12,}|(?<=Bearer )\S{8,}|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"
)


_known: set[str] = set()


def remember(key: object) -> None:
    """A credential that was given in code: no message or journal may show it, whatever a server says."""
    if isinstance(key, str) and len(key) >= 6:
        _known.add(key)


def redact(text: str) -> str:
    """``text`` without credential variables of the environment, remembered keys, and what looks like a key or,
    in an address, like a user with a password."""
    for key in _known:
        text = text.replace(key, "[key]")
    for name, value in os.environ.items():
        if len(value) >= 6 and _NAMES.search(name) and value in text:
            text = text.replace(value, f"[{name}]")
    return _SHAPES.sub("[key]", text)
