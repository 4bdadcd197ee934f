"""What tests of the command line share: a recipe, processes of its own, waiting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SUPPORT = str(Path(__file__).parent)
Cli = Callable[..., tuple[int, str, str]]
"""A command's words to its exit code, output and errors."""


def recipe(tmp_path: Path, url: str, **more: Any) -> Path:
    lines = [
        'name = "small"', "[task]", 'name = "fakes:task"', f"args = {more.get('args', '{}')}",
        "[lm]", 'model = "openai/painter"', f'base_url = "{url}"', more.get("lm", ""),
        "[budget]", more.get("budget", ""),
        "[[compile]]", 'name = "zero"', 'optimizer = "zero-shot"',
        "[[compile]]", 'name = "shots"', 'optimizer = "k-shot"', "options = { k = 2 }",
    ]  # fmt: skip
    path = tmp_path / "small.toml"
    path.write_text("\n".join([*lines, *more.get("tail", [])]))
    return path


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as behind `&` in a shell, which a process would inherit
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [sys.executable, "-m", "dstill.cli", *words], cwd=folder, text=True,
        env={**os.environ, "PYTHONPATH": SUPPORT}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
