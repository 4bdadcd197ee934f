"""Optimizers by name and as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeAlias

from ..runtime.errors import BadInput
from .dspy_optimizers import optimizer_class
from .options import check_types
from .race import Race


@dataclass(frozen=True)
class ZeroShot:
    """The program as declared; the baseline of every board."""


@dataclass(frozen=True)
class FewShot:
    """Labelled training examples as demonstrations, of every answer as many, drawn once, with no selection: k-shot."""

    k: int = 4
    """Demonstrations for each predictor."""

    def __post_init__(self) -> None:
        check_types(self)
        if self.k < 1:
            raise BadInput(f"FewShot(k={self.k}): expected at least 1")


@dataclass(frozen=True)
class Bootstrap:
    """Demonstrations from the program's own successful runs on training examples, with no selection."""

    k: int = 4
    """Demonstrations for each predictor."""
    pool: int = 48
    """Training examples to run on."""

    def __post_init__(self) -> None:
        check_types(self)
        if self.k < 1 or self.pool < 1:
            raise BadInput(f"Bootstrap(k={self.k}, pool={self.pool}): expected at least 1 of each")


@dataclass(frozen=True)
class Dspy:
    """One of DSPy's optimizers."""

    name: str
    """Its class: ``MIPROv2``, ``GEPA``, ``SIMBA``, ``COPRO``, ``BootstrapFewShotWithRandomSearch``, ..."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of its constructor, or of its ``compile``."""
    confirm: float = 0.3
    """Share of the dev split that it never sees; the winner's gain is measured there."""

    def __post_init__(self) -> None:
        optimizer_class(self.name)
        if not isinstance(self.options, Mapping):
            raise BadInput(f"Dspy(options={self.options!r}): expected a dictionary, e.g. {{'auto': 'light'}}")
        if isinstance(self.confirm, bool) or not isinstance(self.confirm, int | float) or not 0 < self.confirm < 1:
            raise BadInput(f"Dspy(confirm={self.confirm!r}): expected a number between 0 and 1")


OBJECT = "object"
"""The key under which an option that JSON cannot hold stands in a configuration, as its ``repr``."""

Optimizer: TypeAlias = ZeroShot | FewShot | Bootstrap | Race | Dspy
NAMES: dict[str, type[Optimizer]] = {
    "zero-shot": ZeroShot, "k-shot": FewShot, "bootstrap": Bootstrap, "race": Race,
}  # fmt: skip


def optimizer_of(spec: str | Optimizer, **options: Any) -> Optimizer:
    """The optimizer of a name (``zero-shot``, ``k-shot``, ``bootstrap``, ``race``, ``dspy:NAME``) or a value.

    Raises:
        BadInput: for an unknown name, or an option that it does not take or of a wrong type.
    """
    if not isinstance(spec, str):
        if not isinstance(spec, ZeroShot | FewShot | Bootstrap | Race | Dspy):
            raise BadInput(f"optimizer={spec!r}: expected a name ({_names()}) or one of dstill.optimizers' values")
        return spec
    head, colon, name = spec.partition(":")
    if colon and head == "dspy":
        return Dspy(name, options)
    if spec not in NAMES:
        raise BadInput(f"optimizer {spec!r} is not known; expected one of: {_names()}")
    kind = NAMES[spec]
    known = [f.name for f in fields(kind)]
    for option in options:
        if option not in known:
            raise BadInput(f"optimizer {spec} takes no option {option!r}; it takes: {', '.join(known) or 'none'}")
    return kind(**options)


def kept_apart(optimizer: Optimizer) -> float:
    """The share of the dev split that has no part in choosing; the race's for optimizers that choose nothing."""
    return float(getattr(optimizer, "confirm", Race().confirm))


def dump(optimizer: Optimizer) -> dict[str, Any]:
    """As JSON, for configurations."""
    name = next((n for n, kind in NAMES.items() if type(optimizer) is kind), None)
    if isinstance(optimizer, Dspy):
        options = {key: value if _plain(value) else {OBJECT: repr(value)} for key, value in optimizer.options.items()}
        return {"name": f"dspy:{optimizer.name}", "options": options, "confirm": optimizer.confirm}
    return {"name": name, **{option: value for option, value in asdict(optimizer).items() if value != {}}}


def _plain(value: Any) -> bool:
    """Whether JSON holds it as it is."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _plain(item) for key, item in value.items())
    return all(map(_plain, value)) if isinstance(value, list) else isinstance(value, str | int | float | bool | None)


def _names() -> str:
    return ", ".join([*NAMES, "dspy:NAME (MIPROv2, GEPA, SIMBA, COPRO, BootstrapFewShotWithRandomSearch, ...)"])
