"""How a metric made of other metrics writes them down, so that its digest is the same in every process."""

from __future__ import annotations

from typing import Any


def described(metric: Any) -> str:
    """A metric's value, or for a function its name and the digest of its source (its ``repr`` holds an address)."""
    if hasattr(metric, "__dataclass_fields__"):
        return repr(metric)
    from ..task import metric_digest  # above this package in the same room
    from .base import name_of

    return f"{name_of(metric)}#{metric_digest(metric)[:16]}"
