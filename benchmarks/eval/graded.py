"""How often the intervals of graded scores hold the truth, and how wide they are: scores near an end of their range,
few examples, rare losses.

    python benchmarks/eval/graded.py

Evaluations are made up, ``--runs`` of each kind (an eighth for the bootstrap). A mean's scores come from beta
distributions with the mean at 2, 50, 90 and 99 % and a + b of 0.5 (nearly right or wrong), 2 and 8; or they are 1 but
for a part that is anything between 0 and 1, as token F1 often is. Pairs differ everywhere by a little, or on half of
the examples, or on few by much. Widths are held against those of Student's t, whose coverage stands beside.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import record
from dstill.eval import statistics as st
from dstill.eval.statistics.intervals import END_OF_DIFFERENCES

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, float, tuple[int, int]], tuple[Array, float]]
"""Chance, a mean or a size, a shape -> scores or differences, and their true mean."""
RESAMPLES = 1_000


def beta(strength: float) -> Draw:
    return lambda chance, mean, shape: (chance.beta(strength * mean, strength * (1 - mean), shape), mean)


def partly(chance: np.random.Generator, mean: float, shape: tuple[int, int]) -> tuple[Array, float]:
    """0 or 1 but for a part that is uniform between them."""
    part = 2 * min(mean, 1 - mean)
    return np.where(chance.random(shape) < part, chance.random(shape), float(mean > 0.5)), mean


def everywhere(chance: np.random.Generator, spread: float, shape: tuple[int, int]) -> tuple[Array, float]:
    """Differences on every example, normal with a spread, two points on average."""
    return np.clip(chance.normal(0.02, spread, shape), -1, 1), 0.02


def half(chance: np.random.Generator, mean: float, shape: tuple[int, int]) -> tuple[Array, float]:
    """Two equal systems of graded scores that agree on half of the examples."""
    a, b = chance.beta(2 * mean, 2 * (1 - mean), (2, *shape))
    return np.where(chance.random(shape) < 0.5, 0.0, a - b), 0.0


def rare(chance: np.random.Generator, share: float, shape: tuple[int, int]) -> tuple[Array, float]:
    """A system that loses something between nothing and all on a share of the examples."""
    return np.where(chance.random(shape) < share, -chance.random(shape), 0.0), -share / 2


MEANS: dict[str, Draw] = {"beta 0.5": beta(0.5), "beta 2": beta(2), "beta 8": beta(8), "partly": partly}
PAIRS: dict[str, tuple[Draw, tuple[float, ...]]] = {
    "everywhere, spread": (everywhere, (0.05, 0.1, 0.2)), "half, mean": (half, (0.02, 0.5, 0.9, 0.99)),
    "rare, share": (rare, (0.02, 0.05, 0.2)),
}  # fmt: skip


def student(values: Array, level: float = 0.95) -> tuple[Array, Array]:
    """The ends of Student's t, plain."""
    n, mean = values.shape[1], values.mean(axis=1)
    reach = stats.t.ppf(0.5 + level / 2, n - 1) * values.std(axis=1, ddof=1) / np.sqrt(n)
    return mean - reach, mean + reach


def ours(values: Array, level: float, *, pairs: bool) -> tuple[Array, Array]:
    """``bounded_mean``, or ``paired_interval`` of graded scores."""
    cubes = (values**3).sum(axis=1)
    how: dict[str, Any] = {"low": -1.0, "ends": END_OF_DIFFERENCES, "cubes": cubes} if pairs else {}
    return st.bounded_bounds(values.sum(axis=1), (values**2).sum(axis=1), values.shape[1], level, **how)


def bootstrap(values: Array) -> tuple[Array, Array]:
    found = [st.bca(row, resamples=RESAMPLES, seed=seed) for seed, row in enumerate(values)]
    return np.array([x.low for x in found]), np.array([x.high for x in found])


def share(ends: tuple[Array, Array], truth: float) -> float:
    return float(((ends[0] <= truth + 1e-12) & (truth - 1e-12 <= ends[1])).mean())


def one(draw: Draw, how: float, n: int, runs: int, *, pairs: bool, seed: int) -> dict[str, float]:
    """Coverages and widths of one kind of evaluation; of pairs also how often a one-sided 95 % bound is too high."""
    values, truth = draw(np.random.default_rng([seed, n, round(1000 * how)]), how, (runs, n))
    mine, plain, few = ours(values, 0.95, pairs=pairs), student(values), values[: max(1, runs // 8)]
    low, _ = ours(values, 0.9, pairs=pairs)
    found = {
        "ours": share(mine, truth), "student": share(plain, truth), "bca": share(bootstrap(few), truth),
        "width": float((mine[1] - mine[0]).mean() / max(1e-9, (plain[1] - plain[0]).mean())),
    }  # fmt: skip
    return found | ({"one_sided_errors": float((low > truth + 1e-12).mean())} if pairs else {})


def main() -> None:
    """All kinds, all sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 20, 100, 1000])
    given = parser.parse_args()
    means: dict[str, Any] = {}
    pairs: dict[str, Any] = {}
    for n in given.sizes:
        for seed, (name, draw) in enumerate(MEANS.items()):
            for mean in (0.02, 0.5, 0.9, 0.99):
                means[f"{name}, mean {mean}, n={n}"] = one(draw, mean, n, given.runs, pairs=False, seed=seed)
        for seed, (name, (draw, hows)) in enumerate(PAIRS.items()):
            for how in hows:
                pairs[f"{name} {how}, n={n}"] = one(draw, how, n, given.runs, pairs=True, seed=100 + seed)
    least = {
        kind: {name: min(row[name] for row in rows.values()) for name in ("ours", "student", "bca")}
        for kind, rows in (("means", means), ("pairs", pairs))
    }
    errors = max(row["one_sided_errors"] for row in pairs.values())
    shown = "; ".join(
        f"{kind}: ours {100 * row['ours']:.1f}, Student's t {100 * row['student']:.1f}, BCa {100 * row['bca']:.1f}"
        for kind, row in least.items()
    )
    command = " ".join(["python", "benchmarks/eval/graded.py", *sys.argv[1:]])
    record(
        "graded", {"command": command, "runs": given.runs, "means": means, "pairs": pairs, "least": least},
        f"least coverage in % of 95 % intervals of graded scores over {len(means)} and {len(pairs)} kinds; {shown}; a "
        f"one-sided 95 % bound of a paired difference is too high in {100 * errors:.1f} % at the most",
    )  # fmt: skip


if __name__ == "__main__":
    main()
