"""Declared tasks by name, and tasks of the user's own by dotted path."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..runtime.errors import BadInput, DstillError, failure
from .task import Task

TASKS = ("triage", "nli", "math_word", "lab")
"""The declared tasks; each is the module of that name in this folder."""


def task_named(name: str, /, **arguments: Any) -> Task:
    """The task of a name: one of ``TASKS``, or ``module:function`` where the function returns a Task.

    Raises:
        BadInput: for a name that leads nowhere, arguments that the task does not take, or a function that returns
            something else.
    """
    if not isinstance(name, str):
        raise BadInput(f"task {name!r}: expected a name, one of {', '.join(TASKS)}, or module:function")
    make = _maker(name)
    try:
        inspect.signature(make).bind(**arguments)
    except TypeError as error:
        takes = ", ".join(inspect.signature(make).parameters) or "no arguments"
        raise BadInput(f"task {name!r}: {error}; it takes: {takes}") from None
    try:
        made = make(**arguments)
    except (DstillError, OSError):
        raise
    except Exception as error:
        raise BadInput(f"task {name!r} raised {failure(error)}") from error
    if not isinstance(made, Task):
        raise BadInput(f"task {name!r} returned a {type(made).__name__}: expected a dstill.Task")
    return replace(made, source={"name": name, "args": arguments})


def _maker(name: str) -> Callable[..., Any]:
    if name in TASKS:
        made: Callable[..., Any] = importlib.import_module(f".{name}", __package__).task
        return made
    module, colon, function = name.partition(":")
    if not colon or not module or not function:
        raise BadInput(f"task {name!r} is not known; expected one of {', '.join(TASKS)}, or module:function")
    try:
        found = getattr(importlib.import_module(module), function)
    except ImportError as error:
        raise BadInput(f"task {name!r}: cannot import {module}: {error}") from None
    except AttributeError:
        raise BadInput(f"task {name!r}: {module} has no {function}") from None
    except Exception as error:
        raise BadInput(f"task {name!r}: importing {module} raised {failure(error)}") from error
    if not callable(found):
        raise BadInput(f"task {name!r}: {function} is a {type(found).__name__}, not a function that returns a Task")
    maker: Callable[..., Any] = found
    return maker
