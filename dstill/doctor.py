"""What is installed, which models can be reached, and what to do about what is missing."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit

from .runtime.home import runs_folder

PACKAGES = ("dspy", "torch", "transformers", "peft", "optuna", "numpy", "scipy")
EXTRAS = {
    "pyarrow": "Parquet files",
    "datasets": "data sets by name",
    "litellm": "providers that DSPy does not speak to",
}
KEYS = {
    "OPENAI_API_KEY": "openai/...", "ANTHROPIC_API_KEY": "anthropic/...", "GEMINI_API_KEY": "gemini/...",
    "OPENROUTER_API_KEY": "openrouter/...", "GROQ_API_KEY": "groq/...",
}  # fmt: skip
SERVERS = {"http://localhost:11434/v1": "Ollama", "http://localhost:8000/v1": "vLLM"}


class Line(str):
    """A line of the examination; ``bad`` if something that dstill needs is missing."""

    bad = False


def examine() -> Iterator[Line]:
    """The lines, as they are found."""
    yield _line(True, f"Python {sys.version.split()[0]}, dstill {version('dstill')}")
    for name in PACKAGES:
        yield _package(name, needed=True)
    for name, use in EXTRAS.items():
        yield _package(name, needed=False, use=use)
    yield from _places()
    yield from _models()


def _line(good: bool, text: str, advice: str = "", *, needed: bool = True) -> Line:
    mark = "ok     " if good else "MISSING" if needed else "not set"
    made = Line(f"{mark}  {text}" + (f"\n           {advice}" if advice and not good else ""))
    made.bad = needed and not good
    return made


def _package(name: str, *, needed: bool, use: str = "") -> Line:
    try:
        return _line(True, f"{name} {version(name)}" + (f", for {use}" if use else ""))
    except PackageNotFoundError:
        return _line(False, name + (f", for {use}" if use else ""), f"pip install {name}", needed=needed)


def _places() -> Iterator[Line]:
    folder = runs_folder()
    place = folder if folder.exists() else Path.cwd()
    free = shutil.disk_usage(place).free / 2**30
    good = os.access(place, os.W_OK) and free > 1
    yield _line(good, f"runs lie in {folder} ({free:.0f} GiB free)", "set DSTILL_RUNS to a folder with room")


def _models() -> Iterator[Line]:
    from .runtime.models import embedded_folder

    for size in ("embedded", "embedded:small", "embedded:encoder"):
        try:
            weights = embedded_folder(size) / "model.safetensors"
            yield _line(weights.is_file(), f"{size}, a model that comes with dstill", "reinstall dstill")
        except BaseException as error:
            yield _line(False, f"{size}, a model that comes with dstill ({error})", "reinstall dstill")
    for key, models in KEYS.items():
        yield _line(bool(os.environ.get(key)), f"{key}, for {models}", f"export {key}=... to use them", needed=False)
    for url, server in SERVERS.items():
        parts = urlsplit(url)
        with socket.socket() as probe:
            probe.settimeout(0.3)
            there = probe.connect_ex((parts.hostname or "", parts.port or 80)) == 0
        yield _line(there, f"{server} at {url}", f"start it to use base_url = {url!r}", needed=False)
    try:
        import torch

        yield _line(torch.cuda.is_available(), "an accelerator, for training", "everything works without", needed=False)
    except ImportError:
        return
