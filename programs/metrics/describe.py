"""How metrics are told apart: by name and source, or by value."""

from __future__ import annotations

from typing import Any

from ...runtime.canonical import digest
from ..source import source_of
from .base import Metric, name_of


def metric_digest(metric: Metric) -> str:
    """Digest of a metric: its name and its source (or its value, for a metric that is one)."""
    return digest([name_of(metric), repr(metric) if _is_value(metric) else source_of(metric)])


def described(metric: Any) -> str:
    """A metric's value, or for a function its name and the digest of its source (its ``repr`` holds an address)."""
    return repr(metric) if _is_value(metric) else f"{name_of(metric)}#{metric_digest(metric)[:16]}"


def _is_value(metric: Any) -> bool:
    return hasattr(metric, "__dataclass_fields__")
