"""What a function, a class or a program says, in a form whose digest is the same in every process.

A form is JSON: source text, and the values that decide what the text does. Of objects that are neither functions nor
values the class's name is told: what they hold may differ from one process to the next.
"""

from __future__ import annotations

import datetime
import hashlib
import inspect
import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import lru_cache, partial
from pathlib import PurePath
from typing import Any

import dspy
import numpy as np
from pydantic import BaseModel, TypeAdapter

from ..runtime.canonical import canonical

_PLAIN = (
    str, bytes, bytearray, int, float, complex, bool, type(None), type(Ellipsis), range, PurePath, Decimal, Fraction,
    datetime.date, datetime.time, datetime.timedelta, np.generic,
)  # fmt: skip
"""Values whose ``repr`` is all that they are."""
_STATE = {"callbacks", "history", "lm"}
"""Attributes of DSPy's modules that change while they run, or are told apart elsewhere."""


def source_of(thing: Any) -> Any:
    """A function's source text, its constants, defaults, and what it closes over; a partial's function and arguments;
    a class's text; of an object that can be called, its class and its attributes; values as they are."""
    return _said(thing, ())


def source_of_program(program: dspy.Module) -> Any:
    """The classes of a program and of every module in it with their attributes, and its predictors: their state,
    settings and the types of their fields."""
    return _program(program, ())


def _program(program: dspy.Module, above: tuple[int, ...]) -> Any:
    inside = {name: m for name, m in program.named_sub_modules() if isinstance(m, dspy.Module)}
    modules = [
        [name, _text(type(module)), _attributes(module, above)]
        for name, module in sorted(inside.items())
        if not isinstance(module, dspy.Predict)
    ]
    predictors = [
        [name, _text(type(one)), _said(one.config, above), [_type(field.annotation) for field in _fields(one)]]
        for name, one in program.named_predictors()
    ]
    return [modules, predictors, program.dump_state()]


def _said(thing: Any, above: tuple[int, ...]) -> Any:
    """A thing's form; ``above`` are the ids of those that it is a part of."""
    if isinstance(thing, Enum):
        return [_name(type(thing)), thing.name]
    if isinstance(thing, _PLAIN):
        return repr(thing)
    if isinstance(thing, re.Pattern):
        return [repr(thing.pattern), thing.flags]
    if isinstance(thing, np.ndarray) and not thing.dtype.hasobject:
        return [thing.dtype.str, list(thing.shape), hashlib.sha256(thing.tobytes()).hexdigest()]
    if isinstance(thing, dspy.Example):
        return _said(thing.toDict(), above)
    if id(thing) in above:
        return "itself"
    above = (*above, id(thing))
    if isinstance(thing, list | tuple | deque):
        return [_said(one, above) for one in thing]
    if isinstance(thing, set | frozenset):
        return _sorted(_said(one, above) for one in thing)
    if isinstance(thing, Mapping):
        return _sorted([_said(key, above), _said(value, above)] for key, value in thing.items())
    if isinstance(thing, partial):
        return ["partial", _said(thing.func, above), _said(thing.args, above), _said(thing.keywords, above)]
    if inspect.ismethod(thing):
        return [_said(thing.__func__, above), _object(thing.__self__, above)]
    if inspect.isfunction(thing):
        return _function(thing, above)
    if inspect.isclass(thing) or inspect.isbuiltin(thing):
        return _text(thing)
    if isinstance(thing, dspy.Module):
        return _program(thing, above)
    if callable(thing) or isinstance(thing, BaseModel) or is_dataclass(thing):
        return _object(thing, above)
    return _name(type(thing))


def _object(thing: Any, above: tuple[int, ...]) -> Any:
    """What an object that is called can do: its class, and what it holds; of a function in a cache, the function."""
    if inspect.isclass(thing) or isinstance(thing, dspy.Module):
        return _said(thing, above)
    inside = getattr(thing, "__wrapped__", None)
    return [_text(type(thing)), _attributes(thing, above), *([] if inside is None else [_said(inside, above)])]


def _function(function: Any, above: tuple[int, ...]) -> Any:
    code = function.__code__
    constants = [_said(one, above) for one in code.co_consts if not inspect.iscode(one)]
    defaults = [_said(one, above) for one in (function.__defaults__, function.__kwdefaults__)]
    cells = [_cell(cell, above) for cell in function.__closure__ or ()]
    text = _text(function)
    # Of two lambdas in one line, and where there is no source, the text does not tell which it is.
    vague = function.__name__ == "<lambda>" or text == _name(function)
    exact = [list(code.co_varnames), hashlib.sha256(code.co_code).hexdigest()] if vague else []
    return [text, constants, list(code.co_names), defaults, cells, *exact]


def _attributes(thing: Any, above: tuple[int, ...]) -> Any:
    """Public attributes; modules within a module are told by their own names."""
    slots = {name for kind in type(thing).__mro__ for name in _listed(getattr(kind, "__slots__", ()))}
    held = {name: getattr(thing, name) for name in slots if hasattr(thing, name)} | getattr(thing, "__dict__", {})
    own = {
        name: value
        for name, value in held.items()
        if not name.startswith("_") and name not in _STATE and not isinstance(value, dspy.Module)
    }
    return {name: _said(own[name], above) for name in sorted(own)}


def _text(thing: Any) -> str:
    """Source text of a class or a function; where there is none, the full name."""
    return _read(thing)


@lru_cache(maxsize=1024)
def _read(thing: Any) -> str:
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        return _name(thing)


def _name(thing: Any) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', type(thing).__qualname__)}"


def _type(annotation: Any) -> Any:
    """A field's type: its JSON schema where it has one, which tells the values of enumerations and models."""
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", str(annotation))  # of functions in it, another one in every process
    try:
        return [text, TypeAdapter(annotation).json_schema()]
    except Exception:  # DSPy takes any type; pydantic has schemas for most
        return text


def _listed(slots: Any) -> Iterable[str]:
    return (slots,) if isinstance(slots, str) else slots


def _fields(predictor: Any) -> Iterable[Any]:
    return (*predictor.signature.input_fields.values(), *predictor.signature.output_fields.values())


def _cell(cell: Any, above: tuple[int, ...]) -> Any:
    try:
        return _said(cell.cell_contents, above)
    except ValueError:
        return "not bound yet"


def _sorted(forms: Iterable[Any]) -> list[Any]:
    return sorted(forms, key=canonical)
