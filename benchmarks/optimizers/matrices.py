"""The race on real score matrices: published outcomes of 40 to 48 LLMs on every example of three benchmarks.

    python benchmarks/optimizers/matrices.py [--data FOLDER] [--orders 1000]

Each LLM is a candidate, and the examples come in a random order. How often does a method pick one within a point of
the truly best, and after which share of a full pass? The race is ``dstill.optimizers.race`` with its default settings,
the same for all matrices, as the search runs it; no more is known to it than the scores that it has paid for. The
rivals (``rivals.py``) have a knob each. They are given the best setting for each matrix in hindsight: the cheapest with
which they fail no more often than the race does there. Besides the whole matrices: the 12 systems closest to each
other (near ties), the best with all that are 5 points or more behind it (a clear winner), and random halves: 20 systems
drawn anew in each order, on 300 examples.

Also counted: how often the truly best system was called ruled out, which may happen in 5 % of the orders at the most,
and what share of the others was.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import rivals
from common import RESULTS, data_folder, record
from dstill.optimizers import Candidate, History, PredictorState, Race
from dstill.optimizers.race import decide, enter, weigh, winner, work
from plot import chart
from rivals import Array, Picks

TASKS = {"gsm": "GSM8K", "crux": "CRUXEval", "math-l5": "MATH level 5"}
GOAL = {"GSM8K": 0.10, "CRUXEval": 0.05, "MATH level 5": 0.03}
"""Shares of a full pass that were asked for."""
POINT = 0.01
SHARES = [0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65,
          0.8, 1.0]  # fmt: skip
ALPHAS = [0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.005, 0.002, 0.001, 1e-4]
METHODS: dict[str, tuple[list[float], Callable[[Array], Picks]]] = {
    "uniform": (SHARES, lambda t: rivals.uniform(t, SHARES)),
    "successive halving": (SHARES, lambda t: rivals.halving(t, SHARES)),
    "t-test, blocks of 10": (ALPHAS, lambda t: rivals.t_race(t, ALPHAS, 10)),
    "t-test, blocks of 30": (ALPHAS, lambda t: rivals.t_race(t, ALPHAS, 30)),
    "WilcoxonPruner": (ALPHAS, lambda t: rivals.wilcoxon(t, ALPHAS)),
}


def load(data: Path) -> dict[str, Array]:
    """By task, outcomes (systems, examples): 0 or 1, nan where a system gave no answer."""
    path = data / "leaderboard" / "zeroeval_outcomes.jsonl.gz"
    if not path.is_file():
        sys.exit(f"there are no outcomes in {path}: give the folder of task data with --data")
    with gzip.open(path, "rt") as file:
        rows = [json.loads(line) for line in file]
    found = {}
    for key, task in TASKS.items():
        own = [row["correct"] for row in rows if row["task"] == key]
        systems = sorted({system for row in own for system in row})
        found[task] = np.array([[row.get(system, np.nan) for row in own] for system in systems], dtype=np.float64)
    return found


def parts(matrices: dict[str, Array]) -> dict[str, Array]:
    """The matrices, and of each the near ties and the clear winner."""
    found = dict(matrices)
    for task, table in matrices.items():
        means = np.nanmean(table, axis=1)
        order = np.argsort(-means, kind="stable")
        ranges = [means[order[i]] - means[order[i + 11]] for i in range(len(order) - 11)]
        start = int(np.argmin(ranges[: len(order) // 2]))
        found[f"{task}, near ties"] = table[order[start : start + 12]]
        behind = order[means[order] <= means[order[0]] - 0.05]
        found[f"{task}, clear winner"] = table[[order[0], *behind]]
    return found


def raced(table: Array, seed: int) -> tuple[int, int, History]:
    """The race on one order: whom it picks, evaluations, and its history."""
    race = Race(candidates=len(table), width=len(table))
    names = [Candidate({"system": PredictorState(f"system {index:03d}")}) for index in range(len(table))]
    history = History().add([(name, "published", ()) for name in names], 0)
    outcomes = [[None if value != value else value for value in row] for row in table.tolist()]
    spent = 0
    while todo := work(history, race, table.shape[1]):
        scores = [outcomes[trial][place] for trial, place in todo]
        spent += sum(score is not None for score in scores)
        history = decide(enter(history, todo, scores), race, table.shape[1], seed)
    return winner(history).number, spent, weigh(history, race)


def orders(table: Array, count: int, halves: bool) -> Iterator[Array]:
    """The matrix in random orders of its examples; of random halves of it, in random orders."""
    chance = np.random.default_rng(0)
    for _ in range(count):
        if halves:
            systems = chance.permutation(len(table))[:20]
            yield table[np.ix_(systems, chance.permutation(table.shape[1])[:300])]
        else:
            yield table[:, chance.permutation(table.shape[1])]


class Tally:
    """Successes, costs and regrets of one method with one setting."""

    def __init__(self) -> None:
        self.right: list[bool] = []
        self.share: list[float] = []
        self.lost: list[float] = []

    def add(self, table: Array, pick: int, spent: int) -> None:
        """Count one order."""
        means = np.nanmean(table, axis=1)
        lost = float(means.max() - means[pick])
        self.right.append(lost <= POINT + 1e-9)
        self.lost.append(100 * lost)
        self.share.append(spent / int((~np.isnan(table)).sum()))

    def figures(self) -> dict[str, float]:
        """Share of orders within a point, share of a full pass (mean and 95th percentile), mean points lost."""
        return {
            "within_a_point": round(float(np.mean(self.right)), 4), "share": round(float(np.mean(self.share)), 5),
            "share_95_percent": round(float(np.quantile(self.share, 0.95)), 5),
            "points_lost": round(float(np.mean(self.lost)), 4),
        }  # fmt: skip


def measure(table: Array, count: int, halves: bool = False) -> dict[str, Any]:
    """All methods on one matrix."""
    ours, wrong, out = Tally(), 0, []
    theirs = {name: [Tally() for _ in knobs] for name, (knobs, _) in METHODS.items()}
    for number, ordered in enumerate(orders(table, count, halves)):
        pick, spent, history = raced(ordered, number)
        ours.add(ordered, pick, spent)
        ruled = [trial.number for trial in history.trials if trial.why.startswith("ruled out")]
        means = np.nanmean(ordered, axis=1)
        wrong += set(np.flatnonzero(means == means.max())) <= set(ruled)
        out.append(len(ruled) / (len(ordered) - 1))
        for name, (_, method) in METHODS.items():
            for tally, (other, cost) in zip(theirs[name], method(ordered), strict=True):
                tally.add(ordered, other, cost)
    found: dict[str, Any] = {
        "shape": list(table.shape), "race": ours.figures(), "best_ruled_out": round(wrong / count, 4),
        "ruled_out": round(float(np.mean(out)), 4), "rivals": {}, "at_the_same_error": {},
    }  # fmt: skip
    for name, (knobs, _) in METHODS.items():
        curve = [{"knob": knob, **tally.figures()} for knob, tally in zip(knobs, theirs[name], strict=True)]
        found["rivals"][name] = curve
        enough = [point for point in curve if point["within_a_point"] >= found["race"]["within_a_point"]]
        found["at_the_same_error"][name] = min((point["share"] for point in enough), default=None)
    return found


def picture(task: str, found: dict[str, Any]) -> None:
    """Success against cost, of the race and its rivals."""
    lines = {
        name: sorted((100 * point["share"], 100 * point["within_a_point"]) for point in curve)
        for name, curve in found["rivals"].items()
    }
    race = found["race"]
    mark = {"race (one setting)": (100 * race["share"], 100 * race["within_a_point"])}
    name = task.lower().replace(" ", "-").replace(",", "")
    axes = ("% of a full pass", "% of orders within a point of the best")
    bounds = (0.0, min(100.0, 400 * race["share"]), 50.0, 100.0)
    chart(RESULTS / f"matrices-{name}.svg", task, axes, lines, marks=mark, bounds=bounds)


def main() -> None:
    """All matrices."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--orders", type=int, default=1000)
    parser.add_argument("--part-orders", type=int, default=300, help="orders of the sub-matrices")
    given = parser.parse_args()
    matrices = load(data_folder(given.data))
    found = {}
    for task, table in parts(matrices).items():
        found[task] = measure(table, given.orders if task in matrices else given.part_orders)
        print(task, found[task]["race"], found[task]["at_the_same_error"], flush=True)
        picture(task, found[task])
    for task, table in matrices.items():
        found[f"{task}, halves"] = measure(table, given.part_orders, halves=True)
        print(f"{task}, halves", found[f"{task}, halves"]["race"], flush=True)
    words = []
    for task in matrices:
        race, same = found[task]["race"], found[task]["at_the_same_error"]
        least = min((share, name) for name, share in same.items() if share is not None)
        words.append(
            f"{task} within a point in {100 * race['within_a_point']:.1f} % of orders with {100 * race['share']:.1f} % "
            f"of a full pass (asked for: 95 % with {100 * GOAL[task]:.0f} %; best rival tuned in hindsight to the same "
            f"error: {least[1]} {100 * least[0]:.1f} %)"
        )
    wrong = max(figures["best_ruled_out"] for figures in found.values())
    words.append(f"the best was ruled out in {100 * wrong:.1f} % of orders at the most")
    record("matrices", {"orders": given.orders, "part_orders": given.part_orders, "matrices": found}, "; ".join(words))


if __name__ == "__main__":
    main()
