"""A search as a study of Optuna while it goes on, for optuna-dashboard; the first of its workers writes it."""

from __future__ import annotations

from typing import Any

from ..programs.knobs import holds
from ..runtime.workers import Workers
from .history import History, Trial
from .studies import attributes, course, means, menus, objectives_of, parts, study_of

MOST = 100_000
"""Choices of an instruction or demonstrations there may be: their number is not known before the search has ended."""


FIXED = ("number", "origin", "parents", "born", "digest", "candidate")
"""What is known of a trial before it is evaluated."""


class Live:
    """The study of a run under way.

    A trial is running while it is evaluated, then complete or pruned. A parameter is the number of a choice, in order
    of appearance, or a knob; what a choice says is in the attribute ``candidate``. Optuna changes nothing of a trial
    that has ended, so a pruned one keeps what was said when it was dropped.

    Args:
        workers: who do the run; the study has their name.
        config: the run's configuration.
    """

    def __init__(self, workers: Workers, config: dict[str, Any]) -> None:
        self._workers, self._storage = workers, workers.storage
        self._names = objectives_of(config)
        self._knobs = config.get("knobs", {})
        self._guard = workers.book.guard
        self._study: int = self._guard(study_of, self._storage, workers.name, config)._study_id

    def show(self, history: History) -> None:
        """Write what is new, if that is this worker's to do."""
        if self._workers.first:
            self._add(history)
            self._update(history, None)

    def end(self, history: History, best: int, verdict: str) -> None:
        """Write how it ended."""
        if self._workers.first:
            self._add(history)
        for key, value in (("best", best), ("verdict", verdict)):
            self._guard(self._storage.set_study_user_attr, self._study, key, value)
        self._update(history, best)

    def _add(self, history: History) -> None:
        import optuna

        shown, state = menus(history.trials), optuna.trial.TrialState.RUNNING
        for trial in history.trials[len(self._read()) :]:
            params, space = self._params(trial, shown)
            body = attributes(trial, None)
            template = optuna.trial.create_trial(
                state=state, params=params, distributions=space,
                user_attrs={name: body[name] for name in FIXED},
            )  # fmt: skip
            self._guard(self._storage.create_new_trial, self._study, template)

    def _update(self, history: History, best: int | None) -> None:
        import optuna

        states, book = optuna.trial.TrialState, self._workers.book
        for trial, there in zip(history.trials, self._read(), strict=False):
            if there.state.is_finished():
                continue
            if trial.decision != "dropped" and best is None:
                steps = course(trial, self._names)
                if steps and max(steps) not in there.intermediate_values:
                    step = max(steps)
                    book.update(self._storage.set_trial_intermediate_value, there._trial_id, step, steps[step])
                continue
            body = attributes(trial, best)
            values = means(trial, self._names)
            done = trial.decision in ("finished", "winner") and values is not None
            book.write(there, **{name: body[name] for name in body if name not in there.user_attrs})
            state = states.COMPLETE if done else states.PRUNED
            book.update(self._storage.set_trial_state_values, there._trial_id, state, values)

    def _read(self) -> list[Any]:
        found: list[Any] = self._guard(self._storage.get_all_trials, self._study, False)
        return found

    def _params(self, trial: Trial, shown: dict[str, list[Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
        from optuna.distributions import IntDistribution, json_to_distribution

        told: dict[str, Any] = {key: shown[key].index(value) for key, value in parts(trial.candidate).items()}
        space: dict[str, Any] = {key: IntDistribution(0, MOST) for key in told}
        for name, value in trial.candidate.knobs.items():
            if name in self._knobs and holds(own := json_to_distribution(self._knobs[name]), value):
                told[name], space[name] = value, own
        return told, space
