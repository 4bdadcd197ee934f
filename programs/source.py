"""What a class or a function says, in a form whose digest is the same in every process."""

from __future__ import annotations

import inspect
from typing import Any

_PLAIN = (str, int, float, bool, tuple, frozenset, type(None))


def source_of(thing: Any) -> Any:
    """Source text; for a function also its constants and what it closes over. Where there is none, the full name."""
    try:
        text = inspect.getsource(thing if inspect.isroutine(thing) or inspect.isclass(thing) else type(thing))
    except (OSError, TypeError):
        text = f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', type(thing).__qualname__)}"
    code = getattr(thing, "__code__", None)
    if code is None:
        return text
    cells = [repr(cell.cell_contents) for cell in thing.__closure__ or () if isinstance(cell.cell_contents, _PLAIN)]
    return [text, [repr(value) for value in code.co_consts if isinstance(value, _PLAIN)], list(code.co_names), cells]
