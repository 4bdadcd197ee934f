"""Models that several files of tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_models


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    made = {kind: tiny_models.causal(root / kind, kind) for kind in ("lfm2", "llama", "longrope", "mistral")}
    return made | {"t5": tiny_models.seq2seq(root / "t5")}
