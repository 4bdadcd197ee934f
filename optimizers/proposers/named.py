"""Proposers from outside of this package, by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from ...runtime.errors import BadInput, failure
from .base import Ground, Proposer


def check_named(asked: Mapping[str, int]) -> None:
    """Refuse what is no ``module:name`` with a number of candidates.

    Raises:
        BadInput: shows it.
    """
    for name, count in asked.items():
        module, _, kind = str(name).partition(":")
        whole = isinstance(count, int) and not isinstance(count, bool)
        if not module or not kind or not whole or count < 1:
            raise BadInput(
                f"Race(proposers={{{name!r}: {count!r}}}): expected module:name and how many candidates to ask it for, "
                "e.g. {'ideas:Shouted': 4}"
            )


def proposer_named(name: str, ground: Ground) -> Proposer:
    """What ``module:name`` makes of the ground.

    Raises:
        BadInput: for a name that leads nowhere, or to something that makes no proposer.
    """
    module, _, kind = name.partition(":")
    try:
        made = getattr(importlib.import_module(module), kind)(ground)
    except (ImportError, AttributeError) as error:
        raise BadInput(f"proposer {name!r}: there is none of that name: {error}") from error
    except Exception as error:
        raise BadInput(f"proposer {name!r} cannot be made of a Ground: {failure(error)}") from error
    if not isinstance(made, Proposer):
        raise BadInput(f"proposer {name!r} is a {type(made).__name__}: expected a dstill.optimizers.Proposer")
    return made
