"""Values of the task's knobs, asked of Optuna's TPE (Bergstra et al., 2011).

A study is built anew from the history in every call, so nothing is kept between calls.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from ...programs.knobs import Space, holds
from ..candidate import Candidate
from ..history import History
from .base import Ground, fresh


@dataclass(frozen=True)
class KnobValues:
    """The leader's prompt with other values of the knobs."""

    ground: Ground

    @property
    def name(self) -> str:
        """``knobs``."""
        return "knobs"

    def propose(self, history: History, rng: Random, n: int) -> Sequence[Candidate]:
        """Up to ``n`` settings that were not tried; none without knobs, or where few are possible and all known."""
        if not self.ground.knobs:
            return []
        leader = history.leader().candidate if history.trials else self.ground.baseline
        study = _study(history, self.ground.knobs, rng.randrange(2**31))

        def drawn() -> Iterator[Candidate]:
            for _ in range(6 * n):
                values = study.ask(dict(self.ground.knobs)).params
                yield leader.with_knobs(values).made_from(leader)

        return fresh(history, drawn(), n)


def _study(history: History, space: Space, seed: int) -> Any:
    """What was tried, as Optuna's trials; a program that leaves a knob to its model says nothing of it."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=4)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for trial in history.trials:
        values = {name: trial.candidate.knobs[name] for name in space if name in trial.candidate.knobs}
        if trial.scores and len(values) == len(space) and all(holds(space[name], v) for name, v in values.items()):
            study.add_trial(
                optuna.trial.create_trial(params=values, distributions=dict(space), value=history.estimate(trial))
            )
    return study
