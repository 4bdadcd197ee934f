"""Canonical JSON and digests: equal values have equal bytes, on every machine and in every order of insertion."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import orjson

JSON = Any  # str | int | float | bool | None | list[JSON] | dict[str, JSON]


def canonical(value: JSON) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces.

    Raises:
        TypeError: for a value that is not JSON (the message names its type).
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def pretty(value: JSON) -> bytes:
    """The same value for people: sorted keys, two spaces, a final newline."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def encodable(text: str) -> str:
    """A text without halves of characters, which no file, socket or tokenizer takes: each becomes ``?``."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def is_json(value: Any) -> bool:
    """Whether a value is JSON as it stands."""
    try:
        canonical(value)
    except TypeError:
        return False
    return True


def as_json(value: Any) -> JSON:
    """A field's value as JSON: models, examples and arrays become objects and lists, anything else that is not JSON
    its text; sets and whole numbers beyond 64 bits too."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    if value is None or isinstance(value, int | float | bool):
        return value
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((as_json(item) for item in value), key=canonical)
    if isinstance(value, dict):
        return {encodable(str(name)): as_json(item) for name, item in value.items()}
    for method, options in (("model_dump", {"mode": "json"}), ("toDict", {}), ("tolist", {})):
        if callable(found := getattr(value, method, None)):
            return as_json(found(**options))
    return encodable(str(value))


def digest(value: JSON) -> str:
    """SHA-256 of the canonical JSON, as 64 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path, *, pattern: str = "**/*") -> str:
    """SHA-256 over the names and digests of a folder's files (hidden ones left out)."""
    names = sorted(p for p in folder.glob(pattern) if p.is_file() and not p.name.startswith("."))
    return digest([[p.relative_to(folder).as_posix(), file_digest(p)] for p in names])
