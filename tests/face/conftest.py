"""The command line in this process."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import fakes
import pytest
import tests_support
from commands import Cli


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """``cli("verify", "runs/x")`` gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def leave(code: int) -> None:
        raise SystemExit(code)

    def call(*words: Any) -> tuple[int, str, str]:
        from dstill.cli import main

        monkeypatch.setattr(sys, "argv", ["dstill", *map(str, words)])
        monkeypatch.setattr(os, "_exit", leave)
        monkeypatch.setattr(sys, "path", list(sys.path))
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return call


@pytest.fixture
def paint(server: tests_support.OpenAIServer) -> list[str]:
    """Options that name the small task and a real server that knows it three times out of four."""
    server.script = [fakes.painting]
    return ["--task", "fakes:task", "--lm", "openai/painter", "--base-url", server.url]
