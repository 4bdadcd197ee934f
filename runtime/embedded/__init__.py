"""The embedded LM: a tiny transformer, trained from nothing by this repository, that follows instructions and learns
from demonstrations in a small English of its own. `folder()` is where its weights lie; transformers loads them.
"""

from __future__ import annotations

from ._weights import SIZES as SIZES
from ._weights import Size as Size
from ._weights import folder as folder

__all__ = ["SIZES", "Size", "folder"]
