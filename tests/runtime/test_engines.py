"""Every engine of the runtime under the contract; what is particular to each stands in its own file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_models
from contracts import EngineContract
from dstill.runtime import Engine, RecordedEngine, ScriptedEngine
from dstill.runtime.engines.hosted import HostedEngine
from dstill.runtime.engines.local.causal import CausalEngine
from dstill.runtime.engines.local.seq2seq import Seq2SeqEngine
from tests_support import OpenAIServer


class TestScripted(EngineContract):
    def make(self, folder: Path) -> Engine:
        return ScriptedEngine(lambda request: f"{request.config.seed}", repeatable=True, input_pico=3, output_pico=5)


class TestRecorded(EngineContract):
    def make(self, folder: Path) -> Engine:
        line = {"messages": [{"role": "user", "content": "the quick brown fox"}], "text": "jumps"}
        (folder / "answers.jsonl").write_text(json.dumps(line))
        return RecordedEngine(folder / "answers.jsonl")


class TestHosted(EngineContract):
    @pytest.fixture(autouse=True)
    def _server(self, server: OpenAIServer) -> None:
        self.url = server.url

    def make(self, folder: Path) -> Engine:
        return HostedEngine("tiny", base_url=self.url, prices=(1.0, 2.0))


class TestCausal(EngineContract):
    def make(self, folder: Path) -> Engine:
        if not (folder / "model").exists():
            tiny_models.causal(folder / "model", "llama")
        return CausalEngine(folder / "model", prices=(1.0, 2.0))


class TestSeq2Seq(EngineContract):
    def make(self, folder: Path) -> Engine:
        if not (folder / "model").exists():
            tiny_models.seq2seq(folder / "model")
        return Seq2SeqEngine(folder / "model")
