"""Nearest-neighbour demonstrations: for every input those labelled examples that are most like it.

See ``optimizers/nearest.py`` for how they are chosen, and from whom the idea is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from ...runtime.derive import derive
from ..candidate import Candidate
from ..history import History
from ..nearest import can_choose
from .base import Ground, fresh

MOST = 200
"""Labelled examples in a pool; of more, as many at random."""


@dataclass(frozen=True)
class NearestDemos:
    """The leader's instructions, and for every input the ``k`` labelled examples nearest to it, or fewer."""

    ground: Ground
    k: int

    @property
    def name(self) -> str:
        """``nearest-k``."""
        return f"nearest-{self.k}"

    def propose(self, history: History, rng: Random, n: int) -> Sequence[Candidate]:
        """Up to ``n`` candidates, of ``k`` demonstrations and of fewer; none if no predictor has labelled examples."""
        parent = history.leader().candidate if history.trials else self.ground.baseline
        kinds = dict(self.ground.program.named_predictors())
        pools = {}
        for name in parent.predictors:
            demos = [demo for _, demo in self.ground.labelled(name)] if can_choose(kinds[name]) else []
            if len(demos) > MOST:
                places = derive(self.ground.seed, "nearest pool", name).sample(range(len(demos)), MOST)
                demos = [demos[place] for place in sorted(places)]
            pools[name] = tuple(demos)

        def drawn() -> Iterator[Candidate]:
            for k in range(self.k, 0, -1):
                candidate = parent
                for name, pool in pools.items():
                    if pool:
                        fixed = tuple(rng.sample(pool, min(k, len(pool))))
                        candidate = candidate.with_state(name, demos=fixed, pool=pool)
                yield candidate.made_from(parent)

        return fresh(history, drawn(), n) if any(pools.values()) else []
