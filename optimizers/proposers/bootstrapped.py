"""Demonstrations from the program's own successful runs (``dspy.BootstrapFewShot``; DSPy, 2310.03714, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from ...runtime.derive import derive
from ..candidate import Candidate, Demo
from ..history import History
from .base import Ground, fresh

Teacher = Literal["lm", "prompt_lm"]


@dataclass(frozen=True)
class BootstrappedDemos:
    """Random sets of up to ``k`` traces that the metric accepts, filled up with labelled examples.

    The teacher is the best trial so far, so that called again it bootstraps from a better program. It runs on the
    same ``pool`` training examples each time; runs that the journal knows are free.
    """

    ground: Ground
    k: int
    pool: int
    teacher: Teacher = "lm"
    """The model that the teacher runs on: the program's own, or the one that writes instructions."""

    @property
    def name(self) -> str:
        """``bootstrapped-k``."""
        return f"bootstrapped-{self.k}"

    def propose(self, history: History, rng: Random, n: int) -> Sequence[Candidate]:
        """Up to ``n`` new sets; none if no run succeeds."""
        teacher = history.leader().candidate if history.trials else self.ground.baseline
        chance = derive(self.ground.seed, "bootstrap pool")
        places = sorted(chance.sample(range(len(self.ground.train)), min(self.pool, len(self.ground.train))))
        lm = self.ground.prompt_lm if self.teacher == "prompt_lm" else None
        traces = self.ground.traces(teacher, places, lm)
        pools: dict[str, list[tuple[int, Demo]]] = {name: [] for name in self.ground.baseline.predictors}
        for place, steps in traces.items():
            for step in steps:
                pools[step.predictor].append((place, step.demo))
        if not any(pools.values()):
            return []
        labelled = {name: self.ground.labelled(name) for name in pools}

        def drawn() -> Candidate:
            candidate = teacher
            for name, pool in pools.items():
                chosen = rng.sample(pool, min(rng.randint(1, self.k), len(pool))) if pool else []
                used = {place for place, _ in chosen}
                rest = [demo for place, demo in labelled[name] if place not in used]
                filled = [demo for _, demo in chosen] + rng.sample(rest, min(self.k - len(chosen), len(rest)))
                if filled:
                    candidate = candidate.with_state(name, demos=tuple(filled))
            return candidate

        return fresh(history, (drawn() for _ in range(4 * n)), n)
