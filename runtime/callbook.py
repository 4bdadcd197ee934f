"""The call book: the calls of one run in an Optuna study, which all of its workers read and write.

Every claim to a call is a trial. The storage numbers trials in one order for everybody, so whoever wants a call adds a
claim, reads the book, and owns the call if no earlier claim to it stands (the ticket of Lamport, "A new solution of
Dijkstra's concurrent programming problem", 1974; here the storage hands the tickets out). A trial that has ended can
never be changed again, so what an ended claim says is the same for everybody who reads it:

- running: its owner is asking the model, or waits for room in the budget;
- complete: with the answer; the value is how long the model took, in seconds;
- failed: with the error, when all attempts at the call were used up;
- pruned: void; its owner gave it back, or fell silent and lost it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .budget import Cost
from .errors import JournalFailed
from .secrets import redact
from .storages import Storage

Trial = Any
"""An ``optuna.trial.FrozenTrial``."""


class CallBook:
    """What stands in the book, as read last; thread-safe.

    Args:
        storage: an open Optuna storage.
        name: of the study.

    Raises:
        JournalFailed: from whatever reads or writes, if the storage cannot be reached.
    """

    def __init__(self, storage: Storage, name: str) -> None:
        self.storage, self.name = storage, name
        self.study = self.guard(_study_of_calls, storage, name)
        self.changed = threading.Condition()
        """Notified whenever the book was read."""
        self._reading = threading.Lock()
        self.trials: list[Trial] = []
        self.open: dict[int, Trial] = {}
        """Running claims by number."""
        self.workers: dict[int, Trial] = {}
        """Workers that have not left, by number."""
        self.spent: dict[str, Cost] = {}
        """Settled cost by run."""
        self._claims: dict[str, list[int]] = {}

    def read(self) -> None:
        """Read what has changed."""
        with self._reading:
            found = list(self.guard(self.storage.get_all_trials, self.study, False))
            # A storage may know a trial of this process's making before it has read those that came earlier.
            while found and found[-1].number != len(found) - 1:
                found.pop()
            with self.changed:
                fresh = [*self.workers, *self.open, *range(len(self.trials), len(found))]
                self.trials = found
                for number in fresh:
                    self._note(number, found[number])
                self.changed.notify_all()

    def add(self, **attributes: Any) -> Trial:
        """Write a new running trial, and read it back with everything that was written before it."""
        import optuna

        state = optuna.trial.TrialState.RUNNING
        template = optuna.trial.create_trial(state=state, user_attrs=attributes)
        mine = self.guard(self.storage.create_new_trial, self.study, template)
        while True:
            self.read()
            with self.changed:
                for trial in reversed(self.trials):
                    if trial._trial_id == mine:
                        return trial

    def write(self, trial: Trial, **attributes: Any) -> bool:
        """Set attributes of a running trial; whether it was still running."""
        for key, value in attributes.items():
            if not self.update(self.storage.set_trial_user_attr, trial._trial_id, key, value):
                return False
        return True

    def end(self, trial: Trial, state: str, value: float | None = None, **attributes: Any) -> bool:
        """End a running trial as ``COMPLETE``, ``FAIL`` or ``PRUNED``; whether it was still running."""
        import optuna

        kind, values = optuna.trial.TrialState[state], None if value is None else [value]
        return self.write(trial, **attributes) and self.update(
            self.storage.set_trial_state_values, trial._trial_id, kind, values
        )

    def standing(self, key: str) -> list[Trial]:
        """The claims to a call that are not void, in order."""
        with self.changed:
            found = [self.trials[number] for number in self._claims.get(key, ())]
        return [trial for trial in found if trial.state.name != "PRUNED"]

    def total(self, run: str) -> Cost:
        """The settled cost of a run and its parts."""
        return sum((cost for name, cost in self.spent.items() if _within(name, run)), Cost())

    def under_way(self, run: str, before: int) -> list[Cost]:
        """What running claims of a run and its parts may yet cost, those with lower numbers."""
        return [
            Cost(*trial.user_attrs["bound"]) + lost(trial)
            for number, trial in self.open.items()
            if number < before and _within(trial.user_attrs["run"], run)
        ]

    def update(self, act: Callable[..., Any], *args: Any) -> bool:
        """Change a trial; whether it was still running."""
        import optuna

        def attempt() -> bool:
            try:
                act(*args)
            except optuna.exceptions.UpdateFinishedTrialError:
                return False
            return True

        return bool(self.guard(attempt))

    def guard(self, act: Callable[..., Any], *args: Any) -> Any:
        """Do something with the storage.

        Raises:
            JournalFailed: if it fails.
        """
        try:
            return act(*args)
        except Exception as error:
            said = redact(str(error)).strip().partition("\n")[0] or type(error).__name__
            raise JournalFailed(f"the study {self.name!r} cannot be read or written: {said}") from error

    def _note(self, number: int, trial: Trial) -> None:
        said, running = trial.user_attrs, trial.state.name == "RUNNING"
        kept = self.open if "key" in said else self.workers
        if running:
            if "key" in said and number not in self.open:
                self._claims.setdefault(said["key"], []).append(number)
            kept[number] = trial
            return
        if "key" in said:
            if kept.pop(number, None) is None:
                self._claims.setdefault(said["key"], []).append(number)
            cost = lost(trial)
            if trial.state.name == "COMPLETE" and said["answer"]["run"] == said["run"]:
                cost += Cost(*said["answer"]["cost"])
            self.spent[said["run"]] = self.spent.get(said["run"], Cost()) + cost
        else:
            kept.pop(number, None)


def _study_of_calls(storage: Storage, name: str) -> int:
    """The id of the study, made where it is missing."""
    import optuna

    try:
        found: int = storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], name)
    except optuna.exceptions.DuplicatedStudyError:
        found = storage.get_study_id_from_name(name)
    return found


def lost(trial: Trial) -> Cost:
    """What attempts at a claimed call that brought no answer may have cost."""
    return Cost(*trial.user_attrs.get("lost", ()))


def _within(name: str, run: str) -> bool:
    return name == run or name.startswith(f"{run}/")
