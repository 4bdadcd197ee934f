"""The command's entry point: Ctrl-C while its modules are still being imported is no traceback either."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """``dstill``."""
    signal.signal(signal.SIGINT, _leave)
    from .cli import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _leave(*_: object) -> None:
    sys.stderr.write("dstill: interrupted before it had begun\n")
    sys.stderr.flush()
    os._exit(130)
