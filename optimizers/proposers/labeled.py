"""k-shot: labelled training examples as demonstrations (``dspy.LabeledFewShot``; "Language models are few-shot
learners", Brown et al., 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from ..candidate import Candidate
from ..history import History
from .base import Ground, fresh


@dataclass(frozen=True)
class LabeledDemos:
    """Random sets of ``k`` labelled examples, for every predictor whose fields the examples have."""

    ground: Ground
    k: int

    @property
    def name(self) -> str:
        """``labeled-k``."""
        return f"labeled-{self.k}"

    def propose(self, history: History, rng: Random, n: int) -> Sequence[Candidate]:
        """Up to ``n`` new sets."""
        pools = {name: self.ground.labelled(name) for name in self.ground.baseline.predictors}

        def drawn() -> Candidate:
            candidate = self.ground.baseline
            for name, pool in pools.items():
                if pool:
                    chosen = rng.sample(pool, min(self.k, len(pool)))
                    candidate = candidate.with_state(name, demos=tuple(demo for _, demo in chosen))
            return candidate.made_from(self.ground.baseline)

        return fresh(history, (drawn() for _ in range(4 * n)), n)
