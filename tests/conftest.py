"""Every test runs with no key, no network, and DSPy's state as it was."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator

import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["HF_HUB_OFFLINE"] = "1"
# What is compiled once serves all the processes that tests start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Threads that wait by spinning starve each other on shared machines.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Tests run side by side, one for each core, and so do the processes that they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_API_BASE", "_BASE_URL")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to anywhere but this machine is a test's mistake."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else "local"
        if host not in ("127.0.0.1", "::1", "localhost", "local"):
            raise AssertionError(f"a test tried to reach {host}")
        real(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture
def server() -> Iterator[object]:
    """A real HTTP server that speaks the OpenAI protocol and misbehaves on request."""
    from tests_support import OpenAIServer

    with OpenAIServer() as running:
        yield running


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Models to fine-tune: tiny, random, and made once a file."""
    import tiny_models

    root = tmp_path_factory.mktemp("bases")
    return {
        "causal": str(tiny_models.causal(root / "causal", "lfm2", context=1024, text=tiny_models.PROMPT)),
        "encoder": str(tiny_models.encoder(root / "encoder", text=tiny_models.PROMPT)),
    }
