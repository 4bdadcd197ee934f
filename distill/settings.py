"""Settings of stages and trainings: each is checked against what its field is declared to take."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..runtime.errors import BadInput


def check_settings(made: Any) -> None:
    """Refuse a value that a frozen dataclass does not declare; a whole number is a number too.

    Raises:
        BadInput: showing the first such value and what would be accepted.
    """
    hints = get_type_hints(type(made))
    for field in fields(made):
        value = getattr(made, field.name)
        if not _declared(value, hints[field.name]):
            raise BadInput(f"{type(made).__name__}({field.name}={value!r}): expected {_words(hints[field.name])}")


def fits(value: Any, wanted: Any) -> bool:
    """Whether a value is of a declared type, a whole number being no ``float``."""
    if get_origin(wanted) is not None and type(None) in get_args(wanted):
        return value is None or any(fits(value, kind) for kind in get_args(wanted) if kind is not type(None))
    if get_origin(wanted) is dict:
        name, kind = get_args(wanted)
        return isinstance(value, dict) and all(
            isinstance(one, name) and _declared(part, kind) for one, part in value.items()
        )
    if get_origin(wanted) is not None:
        return value in get_args(wanted)
    if wanted is bool or isinstance(value, bool):
        return wanted is bool and isinstance(value, bool)
    return isinstance(value, wanted)


def _declared(value: Any, wanted: Any) -> bool:
    if get_origin(wanted) is tuple:
        return isinstance(value, tuple | list) and all(isinstance(one, get_args(wanted)[0]) for one in value)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return True
    return fits(value, wanted)


def _words(wanted: Any) -> str:
    if get_origin(wanted) is Literal:
        return "one of: " + ", ".join(map(str, get_args(wanted)))
    if get_origin(wanted) is tuple:
        return "a tuple of texts"
    if get_origin(wanted) is dict:
        return "a dict of numbers by name"
    if type(None) in get_args(wanted):
        return " or ".join("None" if kind is type(None) else f"{kind.__name__}(...)" for kind in get_args(wanted))
    return {int: "a whole number", float: "a number", bool: "True or False", str: "text"}.get(
        wanted, f"{wanted.__name__}(...)"
    )
