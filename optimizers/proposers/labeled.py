"""k-shot: labelled training examples as demonstrations (``dspy.LabeledFewShot``; "Language models are few-shot
learners", Brown et al., 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from random import Random

from ..blame import to_mend
from ..candidate import Candidate, Demo
from ..history import History
from .base import Ground, fresh

KEPT = 0.75
"""The share of its demonstrations that a set made from the best one keeps."""


@dataclass(frozen=True)
class LabeledDemos:
    """The best trial with other sets of ``k`` labelled examples, in every predictor whose fields the examples have.

    Where it shows some already, a coin decides whether all predictors get another set or one, and another whether the
    sets are new or keep most of what is there: half of the search is near the best, half is not.
    """

    ground: Ground
    k: int

    @property
    def name(self) -> str:
        """``labeled-k``."""
        return f"labeled-{self.k}"

    def propose(self, history: History, rng: Random, n: int) -> Sequence[Candidate]:
        """Up to ``n`` new sets."""
        best = history.leader().candidate if history.trials else self.ground.baseline
        pools = {n: pool for n in self.ground.baseline.predictors if (pool := self._pool(n))}

        def drawn() -> Candidate:
            candidate = best
            some = any(best.predictors[name].demos for name in pools)
            names = to_mend(history, list(pools), rng, 1) if some and rng.random() < 0.5 else list(pools)
            near = some and rng.random() < 0.5
            for name in names:
                shown = best.predictors[name].demos if near else ()
                kept = [demo for demo in shown[: self.k] if rng.random() < KEPT]
                others = [demo for demo in self._set(name, pools[name], rng) if demo not in kept]
                demos = [*kept, *others[: self.k - len(kept)]]
                candidate = candidate.with_state(name, demos=tuple(rng.sample(demos, len(demos))))
            return candidate.made_from(best)

        return fresh(history, (drawn() for _ in range(4 * n)), n)

    def _pool(self, name: str) -> list[Demo]:
        return [demo for _, demo in self.ground.labelled(name)]

    def _set(self, name: str, pool: Sequence[Demo], rng: Random) -> list[Demo]:
        """A random set in random order; of answers that come again and again, each as often as any other."""
        drawn = rng.sample(pool, len(pool))
        outputs = self.ground.outputs(name)
        answers: dict[str, list[Demo]] = {}
        for demo in drawn:
            answers.setdefault(str([demo.get(field) for field in outputs]), []).append(demo)
        if 2 * len(answers) <= len(drawn):
            drawn = [demo for turn in zip_longest(*answers.values()) for demo in turn if demo is not None]
        return rng.sample(drawn[: self.k], min(self.k, len(drawn)))
