"""Search over the product of instructions and demonstration sets, with Optuna's TPE (Bergstra et al., 2011).

The choices are those that the history holds: every instruction and every demonstration set that some trial has, for
every predictor, and every setting of the knobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from ..candidate import KNOBS, Candidate, PredictorState
from ..history import History
from .base import Ground
from .study import study_of


@dataclass(frozen=True)
class CombinedParts:
    """New combinations of the instructions and demonstrations tried so far, asked of Optuna's TPE sampler."""

    ground: Ground

    @property
    def name(self) -> str:
        """``tpe``."""
        return "tpe"

    def propose(self, history: History, rng: Random, n: int) -> Sequence[Candidate]:
        """Up to ``n`` combinations that were not tried."""
        menus = _menus(history)
        if all(len(menu) < 2 for menu in menus.values()):
            return []
        space = _space(menus)
        study = study_of(history, rng.randrange(2**31), space, lambda candidate: _params(candidate, menus))
        made: list[Candidate] = []
        for _ in range(6 * n):
            trial = study.ask(space)
            candidate = _combine(menus, trial.params, history)
            if candidate not in made and not history.has(candidate):
                made.append(candidate)
            if len(made) == n:
                break
        return made


Menus = dict[str, list[Any]]
"""By parameter name (predictor and part), the choices in order of first appearance."""


def _menus(history: History) -> Menus:
    menus: Menus = {}
    for trial in history.trials:
        for key, value in _parts(trial.candidate).items():
            menu = menus.setdefault(key, [])
            if value not in menu:
                menu.append(value)
    return menus


def _parts(candidate: Candidate) -> dict[str, Any]:
    """A candidate's parts by parameter name; the knobs are one."""
    parts = {
        f"{name}:{part}": getattr(state, part)
        for name, state in candidate.predictors.items()
        for part in ("instructions", "shown")
    }
    return {**parts, KNOBS: candidate.knobs} if candidate.knobs else parts


def _space(menus: Menus) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution

    return {key: CategoricalDistribution(list(range(len(menu)))) for key, menu in menus.items()}


def _params(candidate: Candidate, menus: Menus) -> dict[str, int] | None:
    """Which of the choices it has; a vote says nothing of them."""
    if candidate.others:
        return None
    return {key: menus[key].index(value) for key, value in _parts(candidate).items()}


def _combine(menus: Menus, params: dict[str, int], history: History) -> Candidate:
    first = history.trials[0].candidate
    chosen = Candidate(
        {
            name: PredictorState(
                menus[f"{name}:instructions"][params[f"{name}:instructions"]],
                *menus[f"{name}:shown"][params[f"{name}:shown"]],
            )
            for name in first.predictors
        },
        knobs=menus[KNOBS][params[KNOBS]] if KNOBS in menus else {},
    )
    return chosen.made_from(*_sources(chosen, history))


def _sources(chosen: Candidate, history: History) -> list[Candidate]:
    """The trials that first had its parts, in order; what all share with the declared program has no other source."""
    numbers = {
        next(t.number for t in history.trials if _parts(t.candidate).get(key) == value)
        for key, value in _parts(chosen).items()
    }
    return [history.trials[number].candidate for number in sorted(numbers - {0} or {0})]
