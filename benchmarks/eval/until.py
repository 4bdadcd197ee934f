"""How often an evaluation that stops when decided is wrong, and how many examples it saves.

    python benchmarks/eval/until.py

Evaluations of ``--examples`` right-or-wrong pairs are made up, ``--runs`` of each kind: two systems that disagree on a
tenth or three tenths of the examples, with true differences from a loss of twice the margin to a gain of 20 points.
Each is looked at as ``evaluate_until`` looks, and ends at the first look that decides. A decision is wrong if it is
better without a gain, not worse with a loss of the margin or more, or worse without a loss.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import record
from dstill.eval.statistics import decisions
from dstill.eval.until import DECISIONS, looks


def simulated(gain: float, disagree: float, margin: float, examples: int, runs: int) -> dict[str, Any]:
    """How one kind of evaluation ends."""
    chance = np.random.default_rng(round(1e4 * (1 + gain) + 1e6 * disagree))
    at = np.array(list(looks(examples))) - 1
    shares = [(disagree + gain) / 2, 1 - disagree, (disagree - gain) / 2]
    ends, met = [], []
    for start in range(0, runs, 100):
        count = min(100, runs - start)
        apart = chance.choice([1.0, 0.0, -1.0], (count, examples), p=shares)
        path = decisions(apart, margin=margin)[:, at]
        first = np.where((path != 0).any(axis=1), (path != 0).argmax(axis=1), len(at) - 1)
        ends.append(path[np.arange(count), first])
        met.append(at[first] + 1)
    end, examined = np.concatenate(ends), np.concatenate(met)
    true = {2: gain > 0, 1: gain > -margin, -1: gain < 0, 0: True}
    return {
        "wrong": float(np.mean([not true[int(code)] for code in end])),
        **{name: float((end == code).mean()) for code, name in DECISIONS.items()},
        "median_examples": float(np.median(examined)), "mean_examples": float(examined.mean()),
        "examples_90_percent": float(np.quantile(examined, 0.9)),
    }  # fmt: skip


def main() -> None:
    """Every gain, every share of disagreements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--margin", type=float, default=0.05)
    given = parser.parse_args()
    m = given.margin
    found = {
        f"gain={gain:g} disagree={disagree:g}": simulated(gain, disagree, m, given.examples, given.runs)
        for disagree in (0.1, 0.3)
        for gain in (-2 * m, -m, -m / 2, 0.0, m / 2, m, 2 * m, 0.2)
        if abs(gain) <= disagree
    }
    worst = max(found.values(), key=lambda one: float(one["wrong"]))
    shown = ", ".join(
        f"{100 * gain:+g} points {found[f'gain={gain:g} disagree=0.3']['median_examples']:.0f}"
        for gain in (-2 * m, 0.0, 2 * m, 0.2)
    )
    line = (
        f"wrong in {100 * worst['wrong']:.1f} % at the most; examples met of {given.examples} in the median, of "
        f"systems that disagree on 30 %: {shown}"
    )
    command = " ".join(["python", "benchmarks/eval/until.py", *sys.argv[1:]])
    record("until", {"command": command, "runs": given.runs, "examples": given.examples, "margin": m, **found}, line)


if __name__ == "__main__":
    main()
