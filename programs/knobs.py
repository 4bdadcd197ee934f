"""Knobs: numbers and choices of a program that a search may set, such as a retriever's ``k`` or a temperature.

A knob is named by its path from the program, as DSPy names predictors: ``retriever.k``, ``steps[0].threshold``,
``self.k`` or ``k``. Below a predictor stand the settings of its calls (``answer.temperature``), which DSPy keeps in the
predictor's ``config``. What a knob may be is one of Optuna's distributions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import dspy

from ..runtime.errors import BadInput

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value: TypeAlias = str | int | float | bool | None
"""What a knob can be set to."""
Space: TypeAlias = "Mapping[str, BaseDistribution]"
"""By path, what the knob may be."""

SETTINGS = ("temperature", "top_p", "max_tokens")
"""Settings of a predictor's calls that can be knobs though they are not set; others must be."""
_UNSET = object()


def checked(program: dspy.Module, knobs: Any) -> dict[str, BaseDistribution]:
    """The knobs that a task declares.

    Raises:
        BadInput: for a path that leads to no number, text or truth value; for anything but a distribution of Optuna,
            or a choice among other values; for a program whose own value the distribution does not hold; and where
            copies of the program share the object that has the knob.
    """
    if not isinstance(knobs, Mapping):
        raise BadInput(f"Task(knobs={knobs!r}): expected paths and distributions, e.g. {_EXAMPLE}")
    if not knobs:
        return {}
    from optuna.distributions import BaseDistribution, CategoricalDistribution

    copy = program.deepcopy()
    for name, space in knobs.items():
        if not isinstance(space, BaseDistribution):
            raise BadInput(f"knob {name!r} is {space!r}: expected a distribution of Optuna, e.g. {_EXAMPLE}")
        odd = [c for c in getattr(space, "choices", ()) if not isinstance(c, str | int | float | bool | None)]
        if isinstance(space, CategoricalDistribution) and odd:
            raise BadInput(f"knob {name!r} has the choice {odd[0]!r}: expected numbers, texts, truth values or None")
        owner, _ = place(program, name)
        if owner is place(copy, name)[0]:
            raise BadInput(f"knob {name!r} cannot be set: copies of the program share its {type(owner).__name__}")
        for value in read(program, [name]).values():
            if not holds(space, value) and not (value is None and isinstance(owner, dspy.Predict)):
                raise BadInput(f"knob {name!r}: the program as declared has {value!r}, which {space} does not hold")
    return dict(knobs)


def holds(space: BaseDistribution, value: Value) -> bool:
    """Whether a knob of this distribution may have a value."""
    import optuna

    try:
        optuna.trial.create_trial(params={"x": value}, distributions={"x": space}, value=0.0)
    except (ValueError, TypeError):
        return False
    return True


def read(program: dspy.Module, names: Iterable[str]) -> dict[str, Value]:
    """What a program's knobs are set to; ``None`` for a setting that a predictor leaves to its model."""
    found = {}
    for name in names:
        owner, last = place(program, name)
        found[name] = owner.config.get(last) if isinstance(owner, dspy.Predict) else getattr(owner, last)
    return found


def put(program: dspy.Module, values: Mapping[str, Value]) -> None:
    """Set knobs of a program.

    Raises:
        BadInput: for a path that leads to no knob.
    """
    for name, value in values.items():
        owner, last = place(program, name)
        if isinstance(owner, dspy.Predict):
            rest = {key: kept for key, kept in owner.config.items() if key != last}
            owner.config = rest if value is None else {**rest, last: value}
        else:
            setattr(owner, last, value)


def dump(space: Space) -> dict[str, str]:
    """As JSON: by path, Optuna's own JSON of the distribution."""
    from optuna.distributions import distribution_to_json

    return {name: distribution_to_json(found) for name, found in space.items()}


_EXAMPLE = '{"retriever.k": optuna.distributions.IntDistribution(1, 10)}'


def place(program: dspy.Module, name: str) -> tuple[Any, str]:
    """Who has a knob, and what it is called there.

    Raises:
        BadInput: for a path that leads to nothing that could be set.
    """
    parts = re.findall(r"[^.\[\]]+|\[[^\]]*\]", name) if isinstance(name, str) else []
    if parts[:1] == ["self"]:
        parts = parts[1:]
    if not parts or parts[-1].startswith("[") or any(part.startswith("_") for part in parts):
        raise BadInput(f"knob {name!r}: expected the path of an attribute; {_offer(program)}")
    owner: Any = program
    try:
        for part in parts[:-1]:
            owner = _item(owner, part[1:-1]) if part.startswith("[") else getattr(owner, part)
    except (AttributeError, LookupError, TypeError, ValueError):
        raise BadInput(f"knob {name!r}: the program has no {part!r} there; {_offer(program)}") from None
    last = parts[-1]
    if isinstance(owner, dspy.Predict):
        known = last in SETTINGS or last in owner.config
    else:
        known = isinstance(getattr(owner, last, _UNSET), str | int | float | bool | None)
    if not known:
        raise BadInput(f"knob {name!r}: the program has no {last!r} there that could be set; {_offer(program)}")
    return owner, last


def _item(owner: Any, key: str) -> Any:
    plain = key.strip("'\"")
    return owner[plain] if isinstance(owner, dict) else owner[int(plain)]


def _offer(program: dspy.Module) -> str:
    """Paths that could be knobs."""
    found = []
    for name, module in program.named_sub_modules():
        if isinstance(module, dspy.Predict):
            found += [f"{name}.{setting}" for setting in SETTINGS]
        else:
            found += [f"{name}.{a}" for a, v in vars(module).items() if _plain(v) and not a.startswith("_")]
    shown = [path.removeprefix("self.") if path.count(".") > 1 else path for path in found]
    return f"it has, for example: {', '.join(shown[:8])}"


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and value is not None
