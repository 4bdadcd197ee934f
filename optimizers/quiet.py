"""DSPy's optimizers without what they print, and with the first few of their errors instead of hundreds."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

FEW = 3
"""Errors from one place that are shown; the others are counted."""


class _First(logging.Filter):
    """Lets the first ``FEW`` errors from each place in the code pass."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[tuple[str, int]] = Counter()
        self._counting = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        with self._counting:
            self.seen[record.pathname, record.lineno] += 1
            return self.seen[record.pathname, record.lineno] <= FEW

    @property
    def hidden(self) -> int:
        """How many did not."""
        return sum(max(0, count - FEW) for count in self.seen.values())


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what DSPy's optimizers print and log, and without their bars; warnings stay, and of errors the first."""
    import tqdm

    loggers = [logging.getLogger(name) for name in ("dspy", "gepa", "optuna")]
    levels = [logger.level for logger in loggers]
    filters = {handler: _First() for logger in loggers for handler in logger.handlers}
    bar = tqdm.tqdm.__init__

    def without(self: Any, *args: Any, **kwargs: Any) -> None:
        bar(self, *args, **{**kwargs, "disable": True})

    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        for handler, first in filters.items():
            handler.addFilter(first)
        tqdm.tqdm.__init__ = without
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tqdm.tqdm.__init__ = bar
        for handler, first in filters.items():
            handler.removeFilter(first)
        if hidden := max((first.hidden for first in filters.values()), default=0):
            loggers[0].error("%d more errors like these are not shown", hidden)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
