"""What a function, a class or a program says, in a form whose digest is the same in every process.

A form is JSON: source text, and the values that decide what the text does. Of objects that are neither functions nor
values the class's name is told: what they hold may differ from one process to the next.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import is_dataclass
from functools import lru_cache, partial
from re import Pattern
from typing import Any

import dspy
from pydantic import BaseModel, TypeAdapter

from ..runtime.canonical import canonical

_PLAIN = (str, bytes, int, float, complex, bool, Pattern, type(None), type(Ellipsis))
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
    if isinstance(thing, _PLAIN):
        return repr(thing)
    if id(thing) in above:
        return "itself"
    above = (*above, id(thing))
    if isinstance(thing, list | tuple):
        return [_said(one, above) for one in thing]
    if isinstance(thing, set | frozenset):
        return _sorted(_said(one, above) for one in thing)
    if isinstance(thing, dict):
        return _sorted([_said(key, above), _said(value, above)] for key, value in thing.items())
    if isinstance(thing, partial):
        return ["partial", _said(thing.func, above), _said(thing.args, above), _said(thing.keywords, above)]
    if inspect.ismethod(thing):
        return [_said(thing.__func__, above), _said(thing.__self__, above)]
    if inspect.isfunction(thing):
        return _function(thing, above)
    if inspect.isclass(thing) or inspect.isbuiltin(thing):
        return _text(thing)
    if isinstance(thing, dspy.Module):
        return _program(thing, above)
    if callable(thing) or isinstance(thing, BaseModel) or is_dataclass(thing):
        return [_text(type(thing)), _attributes(thing, above)]
    return _name(type(thing))


def _function(function: Any, above: tuple[int, ...]) -> Any:
    code = function.__code__
    constants = [_said(one, above) for one in code.co_consts if not inspect.iscode(one)]
    defaults = [_said(one, above) for one in (function.__defaults__, function.__kwdefaults__)]
    cells = [_cell(cell, above) for cell in function.__closure__ or ()]
    return [_text(function), constants, list(code.co_names), defaults, cells]


def _attributes(thing: Any, above: tuple[int, ...]) -> Any:
    """Public attributes; modules within a module are told by their own names."""
    own = {
        name: value
        for name, value in getattr(thing, "__dict__", {}).items()
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
    try:
        return [str(annotation), TypeAdapter(annotation).json_schema()]
    except Exception:  # DSPy takes any type; pydantic has schemas for most
        return str(annotation)


def _fields(predictor: Any) -> Iterable[Any]:
    return (*predictor.signature.input_fields.values(), *predictor.signature.output_fields.values())


def _cell(cell: Any, above: tuple[int, ...]) -> Any:
    try:
        return _said(cell.cell_contents, above)
    except ValueError:
        return "not bound yet"


def _sorted(forms: Iterable[Any]) -> list[Any]:
    return sorted(forms, key=canonical)
