"""Bases to train: tiny, random, and made once a file."""

from __future__ import annotations

import pytest
import tiny_models


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("bases")
    return {
        "causal": str(tiny_models.causal(root / "causal", "lfm2", context=1024)),
        "encoder": str(tiny_models.encoder(root / "encoder")),
    }
