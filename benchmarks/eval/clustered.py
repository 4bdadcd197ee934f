"""How often boards of clustered examples are wrong: equal systems told apart, and intervals that miss the truth.

    python benchmarks/eval/clustered.py [--runs 2000]

Each of five systems answers five questions on every document, right or wrong. Its answers on one document have a
correlation of 0.3 (a beta-binomial), those of two systems none, and all are right equally often. ``alone`` is what a
board says that takes the questions for independent; ``clusters`` is told the documents. Score: how often the 95 %
interval of a system's score misses the truth; pair: how often the interval of a difference leaves out 0, and how often
the test says p <= 0.05; board: how often any of the ten pairs is called established.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import record
from dstill.eval import statistics as st

SYSTEMS, EACH, TOGETHER = 5, 5, 0.3


def drawn(chance: np.random.Generator, documents: int, accuracy: float) -> NDArray[np.float64]:
    """Scores of all systems, ``(SYSTEMS, EACH * documents)``, document after document."""
    size = 1 / TOGETHER - 1
    rates = chance.beta(accuracy * size, (1 - accuracy) * size, (SYSTEMS, documents))
    return (chance.random((SYSTEMS, documents * EACH)) < np.repeat(rates, EACH, axis=1)).astype(float)


def judged(table: NDArray[np.float64], labels: NDArray[np.intp] | None, accuracy: float, seed: int) -> list[bool]:
    """Whether the score's interval misses, the difference's does, its test errs, and any pair is established."""
    score = st.mean_interval(table[0]) if labels is None else st.cluster_score(table[0], labels)
    assert score is not None
    pair = st.paired(table[:2], clusters=labels, seed=seed)
    board = st.all_pairs(table, clusters=labels, resamples=500, seed=seed)
    return [
        not score.low <= accuracy <= score.high, not pair.low[0, 1] <= 0 <= pair.high[0, 1],
        bool(pair.p[0, 1] <= 0.05), bool(board.better().any()),
    ]  # fmt: skip


def main() -> None:
    """All sizes and accuracies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--documents", type=int, nargs="+", default=[10, 20, 50, 200])
    parser.add_argument("--accuracies", type=float, nargs="+", default=[0.5, 0.9])
    given = parser.parse_args()
    names = ("score", "pair", "test", "board")
    rates: dict[str, Any] = {}
    for documents in given.documents:
        labels = np.arange(documents * EACH) // EACH
        for accuracy in given.accuracies:
            chance = np.random.default_rng([documents, round(100 * accuracy)])
            wrong = np.zeros((2, len(names)))
            for run in range(given.runs):
                table = drawn(chance, documents, accuracy)
                wrong += [judged(table, own, accuracy, run) for own in (None, labels)]
            alone, clusters = (dict(zip(names, map(float, row), strict=True)) for row in wrong / given.runs)
            rates[f"documents={documents} accuracy={accuracy}"] = {"alone": alone, "clusters": clusters}
    most = {
        how: ", ".join(f"{name} {100 * max(cell[how][name] for cell in rates.values()):.1f}" for name in names)
        for how in ("alone", "clusters")
    }
    line = f"most errors in %, of 5 allowed: told the clusters {most['clusters']}; taken alone {most['alone']}"
    command = " ".join(["python", "benchmarks/eval/clustered.py", *sys.argv[1:]])
    record("clustered", {"command": command, "runs": given.runs, "rates": rates}, line)


if __name__ == "__main__":
    main()
