"""Options of optimizers are of the types of their defaults, which is said before anything is spent."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ..runtime.errors import BadInput


def check_types(options: Any) -> None:
    """Refuse a dataclass with a field that is not of its default's type; a whole number will do for a float.

    Raises:
        BadInput: names the option and a value that would do.
    """
    for field in fields(options):
        default = field.default_factory() if callable(field.default_factory) else field.default
        value, wanted = getattr(options, field.name), type(default)
        if isinstance(value, bool) or not isinstance(value, int | float if wanted is float else wanted):
            kind = type(options).__name__
            raise BadInput(f"{kind}({field.name}={value!r}): expected a value like {default!r}")
