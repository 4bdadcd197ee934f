"""A history as a study of Optuna, for proposers that ask its samplers.

It is built anew from the history in every call, so nothing is kept between calls. Several objectives make it a study of
several directions, which TPE splits by nondomination (Ozaki et al., "Multiobjective tree-structured Parzen estimator",
JAIR 73, 2022).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ..candidate import Candidate
from ..history import History


def study_of(
    history: History, seed: int, space: Mapping[str, Any], params: Callable[[Candidate], Mapping[str, Any] | None]
) -> Any:
    """A study that TPE samples, with every trial that has scores.

    Args:
        seed: the sampler's.
        space: what each parameter may be, Optuna's distributions by name.
        params: a candidate's parameters; ``None`` for one that says nothing of them.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=4)
    directions = ["maximize", *("minimize" for _ in history.objectives[1:])]
    study = optuna.create_study(directions=directions, sampler=sampler)
    for trial in history.trials:
        if trial.scores and (found := params(trial.candidate)) is not None:
            values = history.values(trial)
            study.add_trial(optuna.trial.create_trial(params=dict(found), distributions=dict(space), values=values))
    return study
