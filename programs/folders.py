"""Folders of data files: one file a split."""

from __future__ import annotations

from pathlib import Path

from ..runtime.errors import BadInput


def find_file(folder: Path, split: str) -> Path:
    """``<folder>/<split>.jsonl`` or its gzip.

    Raises:
        BadInput: where neither is there, naming both.
    """
    for name in (f"{split}.jsonl", f"{split}.jsonl.gz"):
        if (folder / name).is_file():
            return folder / name
    raise BadInput(f"there is no {split} data: looked for {folder / split}.jsonl and {folder / split}.jsonl.gz")
