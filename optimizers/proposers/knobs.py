"""Values of the task's knobs, asked of Optuna's TPE (Bergstra et al., 2011)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from ...programs.knobs import Space, holds
from ..candidate import Candidate
from ..history import History
from .base import Ground, fresh
from .study import study_of


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
        space = dict(self.ground.knobs)
        study = study_of(history, rng.randrange(2**31), space, lambda candidate: _params(candidate, space))

        def drawn() -> Iterator[Candidate]:
            for _ in range(6 * n):
                values = study.ask(space).params
                yield leader.with_knobs(values).made_from(leader)

        return fresh(history, drawn(), n)


def _params(candidate: Candidate, space: Space) -> dict[str, Any] | None:
    """Its values of the knobs; a program that leaves one to its model says nothing of them, nor does a vote."""
    if candidate.others:
        return None
    values = {name: candidate.knobs.get(name) for name in space}
    return values if all(holds(space[name], value) for name, value in values.items()) else None
