"""Typed errors. A user's mistake shows the value and what would be accepted; a stop cannot be swallowed.

Two families, kept apart on purpose:

- ``DstillError`` (an ``Exception``): something the user can mend. The command line prints its message alone,
  without a traceback, and exits with its ``exit_code``.
- ``Stop`` (a ``BaseException``): the run must end now. DSPy's optimizers and its Evaluate catch ``Exception``
  and would score a stop as a wrong answer, so a stop is not one.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import ClassVar


class DstillError(Exception):
    """Base of the errors that a user can mend."""

    exit_code: ClassVar[int] = 1


class BadInput(DstillError):
    """An argument, a recipe or a data file that cannot be used; the message names the place."""

    exit_code = 2


class RunBusy(DstillError):
    """Another process works on the same run directory."""

    exit_code = 4


class Damaged(DstillError):
    """A stored file is not what its manifest or its format says."""

    exit_code = 5


class StudentFailed(DstillError):
    """A distilled student crashed on a call; to whoever counts it is the program's own failure, and no model's."""


class Stop(BaseException):
    """The run ends here; everything paid for is in the journal."""

    exit_code: ClassVar[int] = 3


class BudgetExhausted(Stop):
    """No further call fits the budget; the best result so far is kept."""

    exit_code = 3


class JournalFailed(Stop):
    """The journal cannot be written (a full disk, a lost device); nothing more may be paid for."""

    exit_code = 8


class ModelUnavailable(Stop):
    """A model that does not exist, cannot be loaded, or lacks its key: every further call would fail as well."""

    exit_code = 7


class CassetteMiss(Stop):
    """A recorded or replayed run was asked for something that was never recorded."""

    exit_code = 6


class Unbounded(Stop):
    """A call of which nobody knows how much it may cost, under a cap on just that: nothing was sent."""

    exit_code = 2


class BadMetric(Stop):
    """A metric that raises, or returns something that is no score."""

    exit_code = 2


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what it was raised from, and so on; each once, even where one is its own cause."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__


def failure(error: BaseException) -> str:
    """An error of somebody else's code in a line: its type, what it says, and the line that raised it."""
    said = str(error).strip().partition("\n")[0]
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" ({last[0].filename}, line {last[0].lineno})" if last and not isinstance(error, SyntaxError) else ""
    return f"{type(error).__name__}{': ' if said else ''}{said}{place}"
