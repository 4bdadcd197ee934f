"""How a command ends: messages in place of tracebacks, exit codes, what goes to standard error."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup


class Commands(TyperGroup):
    """Commands whose errors, where a user can mend them, are one message without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.TyperException):
            raise
        except KeyboardInterrupt:
            fail("interrupted; run the same command again to go on where it was", 130)
        except OSError as error:
            fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 1)
        except BaseException as error:
            code = getattr(error, "exit_code", None)  # dstill's errors; importing them here would slow down --help
            if isinstance(code, int):
                fail(str(error), code)
            if isinstance(error, SystemExit) or os.environ.get("DSTILL_TRACEBACK"):
                raise
            fail(_unforeseen(error), 1)


def fail(message: str, code: int) -> NoReturn:
    """Say what went wrong and leave with a code."""
    sys.stdout.flush()
    print(f"dstill: {message}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(code)  # calls may hang in threads of theirs; what is paid for is in the journal


def _unforeseen(error: BaseException) -> str:
    from .runtime.errors import failure
    from .runtime.secrets import redact

    return f"{redact(failure(error))}; DSTILL_TRACEBACK=1 shows the way there"


def end(stopped: str | None) -> None:
    """Leave with the budget's code if a budget ended the work early, with 1 if something failed in it."""
    if stopped is not None:
        print(f"dstill: stopped early: {stopped}; this is the best result so far", file=sys.stderr)
        raise typer.Exit(1 if "failed: " in stopped else 3)


def say(line: str) -> None:
    """A line of progress."""
    print(line, file=sys.stderr, flush=True)
