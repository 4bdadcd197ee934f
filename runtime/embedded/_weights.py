"""Where the shipped weights lie."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

Size = Literal["base", "small", "encoder"]
SIZES: tuple[Size, ...] = get_args(Size)


def folder(size: Size = "base") -> Path:
    """The weights folder of a size: config, safetensors, tokenizer with chat template, model card."""
    if size not in SIZES:
        raise ValueError(f"no embedded LM of size {size!r}; there are {', '.join(map(repr, SIZES))}")
    return Path(__file__).parent / "weights" / size
