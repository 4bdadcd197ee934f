"""Honest progress: what is done of what, what is spent, the best so far, the time left; silent where nobody looks."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Protocol


class Bar(Protocol):
    """One piece of work under way. Called from many threads."""

    def advance(self, count: int = 1) -> None:
        """So much more is done."""
        ...

    def note(self, text: str) -> None:
        """What to show beside the bar (spent, left, best so far)."""
        ...

    def total(self, count: int) -> None:
        """The amount of work, once it is known better."""
        ...


class Silent:
    """A bar that shows nothing."""

    def advance(self, count: int = 1) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def total(self, count: int) -> None:
        """Nothing."""


def is_live() -> bool:
    """Whether somebody is watching: standard error is a terminal, or this is a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Bar]:
    """A bar for the length of the block: rich's on a terminal, a line in a notebook, otherwise ``Silent``."""
    if not is_live():
        yield Silent()
        return
    if "ipykernel" in sys.modules:
        bar = _Line(label, total)
        try:
            yield bar
        finally:
            bar.clear()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as display:
        yield _Rich(display, display.add_task(label, total=total, note=""))


class _Line:
    """A line of text below a notebook's cell, which needs no widgets; gone when the work is done."""

    EVERY = 0.5
    """Seconds between two states of the line."""

    def __init__(self, label: str, total: int | None) -> None:
        display: Any = import_module("IPython.display").display

        self._lock = threading.Lock()
        self._label, self._total, self._done, self._note = label, total, 0, ""
        self._start = self._shown = time.monotonic()
        self._place: Any = display({"text/plain": f"{label} ..."}, raw=True, display_id=True)

    def advance(self, count: int = 1) -> None:
        with self._lock:
            self._done += count
        self._show()

    def note(self, text: str) -> None:
        self._note = text
        self._show()

    def total(self, count: int) -> None:
        self._total = count

    def clear(self) -> None:
        """Leave nothing behind."""
        self._place.update({"text/plain": ""}, raw=True)

    def _show(self) -> None:
        now = time.monotonic()
        with self._lock:
            if now - self._shown < self.EVERY:
                return
            self._shown = now
            left = ""
            if self._total and self._done:
                seconds = (now - self._start) * (self._total - self._done) / self._done
                left = f", {int(seconds) // 60}:{int(seconds) % 60:02d} left"
            done = f"{self._done}/{self._total}" if self._total else f"{self._done}"
            text = f"{self._label}  {done}{left}  {self._note}"
            self._place.update({"text/plain": text}, raw=True)


class _Rich:
    def __init__(self, display: Any, task: Any) -> None:
        self._display, self._task, self._lock = display, task, threading.Lock()

    def advance(self, count: int = 1) -> None:
        self._display.advance(self._task, count)

    def note(self, text: str) -> None:
        self._display.update(self._task, note=text)

    def total(self, count: int) -> None:
        self._display.update(self._task, total=count)
