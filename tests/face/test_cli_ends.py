"""Runs that end before they are done: Ctrl-C, a second process, a full disk; in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import fakes
import tests_support
from commands import SUPPORT, recipe, start, wait_for


def test_ctrl_c_keeps_what_is_paid_for(server: tests_support.OpenAIServer, tmp_path: Path) -> None:
    go = threading.Event()

    def held(handler: Any, body: dict[str, Any]) -> None:
        if len(server.requests) > 40:
            go.wait(60)
        fakes.painting(handler, body)

    server.script = [held]
    words = ("run", str(recipe(tmp_path, server.url, tail=["[eval]", 'split = "dev"'])))
    with start(tmp_path, *words) as first:
        wait_for(lambda: len(server.requests) > 40)
        first.send_signal(signal.SIGINT)
        _, err = first.communicate(timeout=60)
        go.set()
    assert first.returncode == 130
    assert "interrupted; run the same command again" in err
    assert "Traceback" not in err
    server.script = [fakes.painting]
    with start(tmp_path, *words) as second:
        _, err = second.communicate(timeout=120)
    assert second.returncode == 0, err
    prompts = [json.dumps(body["messages"]) for body in server.requests]
    in_flight = 32  # may have been sent and not answered when it was interrupted
    assert len(prompts) - len(set(prompts)) <= in_flight


def test_ctrl_c_while_modules_are_imported() -> None:
    early = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "dstill.cli": os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from dstill.start import main
main()
"""
    done = subprocess.run([sys.executable, "-c", early], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "dstill: interrupted before it had begun\n")


def test_two_processes_on_one_run_directory(server: tests_support.OpenAIServer, tmp_path: Path) -> None:
    go = threading.Event()

    def held(handler: Any, body: dict[str, Any]) -> None:
        go.wait(60)
        fakes.painting(handler, body)

    server.script = [held]
    words = ("run", str(recipe(tmp_path, server.url)))
    with start(tmp_path, *words) as first:
        wait_for(lambda: len(server.requests) > 0)
        with start(tmp_path, *words) as second:
            _, err = second.communicate(timeout=60)
            go.set()
        assert second.returncode == 4
        assert "another process is working on runs/small" in err
        _, err = first.communicate(timeout=120)
    assert first.returncode == 0, err


def test_a_full_disk(server: tests_support.OpenAIServer, tmp_path: Path) -> None:
    """The limit of a file's size stands in for the disk's: writes fail in the same place."""
    server.script = [fakes.painting]
    words = ["run", str(recipe(tmp_path, server.url))]
    limited = (
        "import resource, signal, sys\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, 90_000))\n"
        f"sys.argv = ['dstill', *{words!r}]\nfrom dstill.cli import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited], cwd=tmp_path, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": SUPPORT}, check=False,
    )  # fmt: skip
    assert done.returncode == 8, done.stderr
    assert "journal" in done.stderr
    assert "Traceback" not in done.stderr
    paid = len(server.requests)
    with start(tmp_path, *words) as again:
        _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    prompts = [json.dumps(body["messages"]) for body in server.requests]
    assert paid < len(prompts)
    assert len(prompts) - len(set(prompts)) <= 32
