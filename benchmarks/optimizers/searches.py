"""Simulated searches: how good is the candidate in the lead after so many evaluations, and what does the share matter?

    python benchmarks/optimizers/searches.py [--seeds 100] [--shares 0.25 0.5 1]

A search can propose without end. Candidates' true means are normal around 45 % with a standard deviation of 12 points
(``anywhere``), or three in five lie near the one in the lead, 4 points lower in the mean and 7 apart (``near``).
Answers are right or wrong, on 105 examples of unequal difficulty that all candidates meet in the same order. One rule
is to go on with whoever may still be the best (``standing``, the rule once few can come); the others let whoever
promises less than a share of what a new candidate does make room (``prospects``; its ``HOLD`` is the share).
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from common import record
from dstill.optimizers import Candidate, History, PredictorState, Race, prospects
from dstill.optimizers.race import decide, enter, work

ROWS = 105
BUDGETS = [40, 80, 160, 240, 400, 800, 1600]
"""Evaluations after which the lead is looked at."""
CENTRE, SPREAD = 0.45, 0.12
NEAR, LOWER, APART = 0.6, 0.04, 0.07


class World:
    """Candidates with true means, and their scores on examples of unequal difficulty (a logistic model)."""

    def __init__(self, seed: int, near: bool) -> None:
        self._chance, self._near = np.random.default_rng(seed), near
        self._ease = self._chance.normal(0, 1.3, ROWS)
        self._levels = np.linspace(-6, 6, 400)
        self._means = (1 / (1 + np.exp(-(self._levels[:, None] + self._ease)))).mean(axis=1)
        self.truth: list[float] = []
        self.scores: list[Any] = []
        self.add(0.3)

    def add(self, truth: float) -> None:
        """A candidate with this true mean."""
        self.truth.append(float(np.clip(truth, 0.02, 0.98)))
        level = np.interp(self.truth[-1], self._means, self._levels)
        self.scores.append((self._chance.random(ROWS) < 1 / (1 + np.exp(-(level + self._ease)))).astype(float))

    def propose(self, lead: int) -> None:
        """One more candidate."""
        if self._near and len(self.truth) > 8 and self._chance.random() < NEAR:
            self.add(self._chance.normal(self.truth[lead] - LOWER, APART))
        else:
            self.add(self._chance.normal(CENTRE, SPREAD))


def leads(seed: int, near: bool, share: float | None) -> Iterator[float]:
    """The true mean of who leads after each of the budgets; by ``standing`` where there is no share."""
    prospects.HOLD = share or 0.0
    world, race, spent, rounds = World(seed, near), Race(), 0, 0
    history = History(coming=share is not None).add([(_named(0), "declared", ())], 0)
    for budget in BUDGETS:
        while True:
            while sum(t.number != history.leader().number for t in history.live) < race.width:
                world.propose(history.leader().number)
                history = history.add([(_named(len(history.trials)), "drawn", ())], rounds)
            todo = work(history, race, ROWS)
            if spent + len(todo) > budget:
                break
            found = [float(world.scores[trial][place]) for trial, place in todo]
            history = decide(enter(history, todo, found), race, ROWS, seed)
            spent, rounds = spent + len(todo), rounds + 1
        yield world.truth[history.leader().number]


def _named(number: int) -> Candidate:
    return Candidate({"self": PredictorState(f"candidate {number:05d}")})


def main() -> None:
    """All rules in both worlds."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--seeds", type=int, default=100)
    cli.add_argument("--shares", type=float, nargs="+", default=[0.25, 0.5, 1.0])
    a = cli.parse_args()
    rules: dict[str, float | None] = {"standing": None, **{f"share {share:g}": share for share in a.shares}}
    figures: dict[str, Any] = {"budgets": BUDGETS, "seeds": a.seeds, "worlds": {}}
    lines = []
    for world in ("anywhere", "near"):
        found = figures["worlds"][world] = {}
        for name, share in rules.items():
            each = [[100 * truth for truth in leads(seed, world == "near", share)] for seed in range(a.seeds)]
            means = [statistics.mean(column) for column in zip(*each, strict=True)]
            errors = [statistics.stdev(column) / a.seeds**0.5 for column in zip(*each, strict=True)]
            found[name] = {"mean": means, "standard_error": errors}
            told = [f"{b}: {m:.1f}±{e:.1f}" for b, m, e in zip(BUDGETS, means, errors, strict=True)]
            print(world, name, *told, flush=True)
        shown = {name: " / ".join(f"{found[name]['mean'][place]:.1f}" for place in (2, 4, 6)) for name in rules}
        told = [f"{name} {means}" for name, means in shown.items()]
        lines.append(f"{world}, % right of who leads after 160 / 400 / 1,600 evaluations: {', '.join(told)}")
    record("searches", figures, "; ".join(lines))


if __name__ == "__main__":
    main()
