"""How often each 95 % interval holds the truth, how often each test at 5 % raises a false alarm, and what it costs to
be allowed to look after every example.

    python benchmarks/eval/coverage.py

For n examples and a true accuracy, many evaluations are made up and judged by ``dstill.eval.statistics``. Intervals of
right-or-wrong scores depend on the count of right ones alone, so their coverage is summed exactly over the binomial
distribution; the rest is simulated, ``--runs`` times, and a fifth of that where a bootstrap stands in each run (a tenth
from 500 examples on). Graded scores are drawn from a beta distribution with the accuracy as its mean and a + b = 2;
every system shares its luck with the others on half of the examples; clusters are of five examples with a correlation
of 0.3, so that 20 examples are four clusters; a judge is right on 85 % and else says right; the best is of ten equals.

The largest of many simulated rates is too large by luck. Where a test's lies above its level, it is therefore simulated
anew, ten times as often, and the second rate stands, with the first beside it.

The monitor meets two systems that disagree on a fifth of the examples and differ by 5 points or not at all, and is held
against a test of a size fixed beforehand for 90 % power, and against that test made anew every 50 examples.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import record
from dstill.eval import statistics as st
from dstill.eval.statistics.hypothesis import mcnemar_many
from dstill.eval.statistics.intervals import bonett_price_bounds, clopper_pearson_bounds, normal_quantile, wilson_bounds
from dstill.eval.statistics.monitor import stopping

Array = NDArray[np.float64]
Trial = Callable[[np.random.Generator, int, float, int], bool]
"""One made-up evaluation: chance, n, accuracy, seed -> whether the interval holds the truth, or the test errs."""
SYSTEMS = 10
SHARED = 0.5


def holds(found: st.Interval, truth: float) -> bool:
    """Whether the truth lies in the interval, its ends included."""
    return found.low - 1e-12 <= truth <= found.high + 1e-12


def exact(n: int, accuracy: float, method: Callable[[Array], st.Interval]) -> float:
    """Coverage summed over the counts of right answers, each judged once."""
    total = 0.0
    weights = stats.binom.pmf(np.arange(n + 1), n, accuracy)
    for right in np.flatnonzero(weights > 1e-6):
        total += weights[right] * holds(method(np.repeat([1.0, 0.0], [right, n - right])), accuracy)
    return total / float(weights[weights > 1e-6].sum())


def exact_bounds(n: int, accuracy: float, ends: tuple[Array, Array]) -> float:
    """Coverage from the ends for every count of right answers."""
    weights = stats.binom.pmf(np.arange(n + 1), n, accuracy)
    return float(weights @ ((ends[0] - 1e-12 <= accuracy) & (accuracy <= ends[1] + 1e-12)))


def graded(chance: np.random.Generator, accuracy: float, shape: int | tuple[int, ...]) -> Array:
    """Scores between 0 and 1 with a mean."""
    return chance.beta(2 * accuracy, 2 * (1 - accuracy), shape)


def systems(chance: np.random.Generator, accuracy: float, shape: tuple[int, int]) -> Array:
    """Right-or-wrong scores of equal systems that share their luck on a part of the examples."""
    luck = np.where(chance.random(shape) < SHARED, chance.random(shape[1]), chance.random(shape))
    return (luck < accuracy).astype(float)


def clusters(chance: np.random.Generator, accuracy: float, n: int) -> tuple[Array, Array]:
    """Right-or-wrong scores in clusters of five, correlated by 0.3, and the clusters."""
    labels = np.arange(n) // 5
    strength = (1 - 0.3) / 0.3
    p = chance.beta(accuracy * strength, (1 - accuracy) * strength, labels[-1] + 1)
    return (chance.random(n) < p[labels]).astype(float), labels.astype(float)


def paired(chance: np.random.Generator, n: int, accuracy: float, _: int) -> bool:
    a, b = systems(chance, accuracy, (2, n))
    return holds(st.paired_interval(a, b), 0.0)


def clustered(chance: np.random.Generator, n: int, accuracy: float, _: int) -> bool:
    return holds(st.cluster_mean(*clusters(chance, accuracy, n)).interval, accuracy)


def unclustered(chance: np.random.Generator, n: int, accuracy: float, _: int) -> bool:
    return holds(st.mean_interval(clusters(chance, accuracy, n)[0]), accuracy)


def stratified(chance: np.random.Generator, n: int, accuracy: float, _: int) -> bool:
    labels = np.arange(n) % 4 // 3  # three quarters, one quarter
    gap = min(accuracy, 1 - accuracy) / 2
    p = np.array([accuracy - gap, accuracy + gap])
    found = st.stratified_mean((chance.random(n) < p[labels]).astype(float), labels, {0: 1, 1: 1})
    return holds(found.interval, accuracy)


def judged(chance: np.random.Generator, n: int, accuracy: float, _: int) -> bool:
    truth = (chance.random(11 * n) < accuracy).astype(float)
    judge = np.where(chance.random(11 * n) < 0.85, truth, 1.0)
    return holds(st.judged_mean(np.where(np.arange(11 * n) < n, truth, np.nan), judge).interval, accuracy)


def anytime(chance: np.random.Generator, n: int, accuracy: float, _: int) -> bool:
    a, b = systems(chance, accuracy, (2, n))
    bar = np.log(40)
    paths = (st.log_capital(a - b, 0.0, side) for side in ("at most", "at least"))
    return not any((path >= bar).any() for path in paths)


def best(chance: np.random.Generator, n: int, accuracy: float, seed: int) -> bool:
    return holds(st.best_of_many(systems(chance, accuracy, (SYSTEMS, n)), resamples=500, seed=seed).interval, accuracy)


def plain_best(chance: np.random.Generator, n: int, accuracy: float, _: int) -> bool:
    return holds(st.wilson(systems(chance, accuracy, (SYSTEMS, n)).sum(axis=1).max(), n), accuracy)


def ranks(chance: np.random.Generator, n: int, accuracy: float, seed: int) -> bool:
    """Whether all ranks hold the truth, for systems that fall behind from the third on."""
    truth = accuracy * np.array([1, 1, 0.95, 0.9, 0.8])
    luck = np.where(chance.random((5, n)) < SHARED, chance.random(n), chance.random((5, n)))
    found = st.rank_intervals(st.all_pairs((luck < truth[:, None]).astype(float), resamples=500, seed=seed))
    high, low = (truth[:, None] < truth).sum(axis=1), (truth[:, None] > truth).sum(axis=1)
    return bool((found.low <= 1 + high).all() and (found.high >= truth.size - low).all())


def alarm_paired(chance: np.random.Generator, n: int, accuracy: float, seed: int) -> bool:
    return st.sign_flip(graded(chance, accuracy, n) - graded(chance, accuracy, n), seed=seed) <= 0.05


def alarm_two_samples(chance: np.random.Generator, n: int, accuracy: float, seed: int) -> bool:
    return st.two_sample(graded(chance, accuracy, n), graded(chance, accuracy, n), seed=seed) <= 0.05


def alarm_two_right_or_wrong(chance: np.random.Generator, n: int, accuracy: float, _: int) -> bool:
    return st.two_sample(*(chance.random((2, n)) < accuracy).astype(float)) <= 0.05


def alarm_pair_of_all(chance: np.random.Generator, n: int, accuracy: float, seed: int) -> bool:
    return bool(st.all_pairs(systems(chance, accuracy, (2, n)), resamples=500, seed=seed).p[0] <= 0.05)


def alarm_all_pairs(chance: np.random.Generator, n: int, accuracy: float, seed: int) -> bool:
    found = st.all_pairs(systems(chance, accuracy, (SYSTEMS, n)), resamples=500, seed=seed)
    return bool((found.adjusted <= 0.05).any())


MANY: dict[str, Trial] = {
    "paired_interval": paired, "cluster_mean": clustered, "clusters_ignored": unclustered,
    "stratified_mean": stratified, "judged_mean": judged, "anytime_interval": anytime,
    "plain_wilson_of_best": plain_best,
}  # fmt: skip
FEW: dict[str, Trial] = {
    "bca_graded": lambda c, n, p, s: holds(st.bca(graded(c, p, n), seed=s), p),
    "percentile_graded": lambda c, n, p, s: holds(st.percentile(graded(c, p, n), seed=s), p),
    "paired_bootstrap": lambda c, n, p, s: holds(st.paired_bootstrap(*systems(c, p, (2, n)), seed=s), 0.0),
    "best_of_many": best, "rank_intervals": ranks,
}  # fmt: skip
TESTS_MANY: dict[str, Trial] = {"two_sample_right_or_wrong": alarm_two_right_or_wrong}
TESTS_FEW: dict[str, Trial] = {
    "sign_flip_graded": alarm_paired, "two_sample_graded": alarm_two_samples, "all_pairs_one": alarm_pair_of_all,
    "all_pairs_adjusted": alarm_all_pairs,
}  # fmt: skip


def share(trial: Trial, name: str, n: int, accuracy: float, runs: int, again: int = 0) -> float:
    """The share of the made-up evaluations for which the trial is true; ``again`` draws others."""
    chance = np.random.default_rng([n, round(1000 * accuracy), len(name), again])
    return sum(trial(chance, n, accuracy, run) for run in range(runs)) / runs


def few(n: int, runs: int) -> int:
    """Runs where each is a bootstrap."""
    return max(1, runs // (5 if n < 500 else 10))


def coverage(n: int, accuracy: float, runs: int) -> dict[str, float]:
    """Of each interval, the share of evaluations in which it holds the truth."""
    z, every = normal_quantile(0.975), np.arange(n + 1)
    found = {
        "wilson": exact_bounds(n, accuracy, wilson_bounds(every, n, z)),
        "clopper_pearson": exact_bounds(n, accuracy, clopper_pearson_bounds(every, n)),
        "bca": exact(n, accuracy, st.bca),
        "percentile": exact(n, accuracy, st.percentile),
    }
    found |= {name: share(trial, name, n, accuracy, runs) for name, trial in MANY.items()}
    return found | {name: share(trial, name, n, accuracy, few(n, runs)) for name, trial in FEW.items()}


def alarms(n: int, accuracy: float, runs: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Of each test, the share of evaluations of equals in which it finds a difference; and what was simulated anew."""
    chance = np.random.default_rng(n)
    apart = 2 * (1 - SHARED**2) * accuracy * (1 - accuracy)  # both share the luck of a quarter of the examples
    drawn = chance.multinomial(n, [apart / 2, apart / 2, 1 - apart], 50 * runs)
    low, high = bonett_price_bounds(drawn[:, 0], drawn[:, 1], n)
    found = {
        "mcnemar": float((mcnemar_many(drawn[:, 0], drawn[:, 1]) <= 0.05).mean()),
        "paired_interval_leaves_zero": float(((low > 0) | (high < 0)).mean()),
    }
    tests = {name: (trial, runs) for name, trial in TESTS_MANY.items()}
    tests |= {name: (trial, few(n, runs)) for name, trial in TESTS_FEW.items()}
    anew = {}
    for name, (trial, times) in tests.items():
        found[name] = first = share(trial, name, n, accuracy, times)
        if first > 0.05:
            found[name] = share(trial, name, n, accuracy, 10 * times, again=1)
            anew[name] = {"first": first, "first_runs": times, "runs": 10 * times, "rate": found[name]}
    return found, anew


def cell(n: int, accuracy: float, runs: int) -> tuple[dict[str, float], dict[str, float], dict[str, Any]]:
    """All of one size and accuracy: coverage, false alarms, and what was simulated anew."""
    return coverage(n, accuracy, runs), *alarms(n, accuracy, runs)


def monitoring(runs: int, most: int) -> dict[str, Any]:
    """Examples to a verdict and wrong verdicts, for the monitor, the fixed test, and the fixed test made repeatedly."""
    fixed = st.examples_needed(0.2, 0.05, power=0.9)
    assert fixed is not None
    found: dict[str, Any] = {"runs": runs, "most": most, "fixed_size": fixed}
    for gain, wrong in ((0.05, -1), (0.0, 1)):
        chance = np.random.default_rng(round(100 * gain))
        verdicts, examples, at_size, repeated = [], [], [], []
        for start in range(0, runs, 100):
            shape = (min(100, runs - start), most)
            apart = chance.choice([1.0, 0.0, -1.0], shape, p=[0.1 + gain / 2, 0.8, 0.1 - gain / 2])
            verdict, at = stopping(apart, margin=0.05)
            verdicts.append(verdict)
            examples.append(at)
            wins, losses = np.cumsum(apart > 0, axis=1), np.cumsum(apart < 0, axis=1)
            looks = np.arange(49, most, 50)
            low, _ = bonett_price_bounds(wins[:, looks], losses[:, looks], looks + 1, 0.9)
            repeated.append((low > 0)[:, looks < fixed].any(axis=1))
            last = min(fixed, most) - 1
            at_size.append(bonett_price_bounds(wins[:, last], losses[:, last], last + 1, 0.9)[0] > 0)
        verdict, at = np.concatenate(verdicts), np.concatenate(examples)
        found[f"difference_{gain}"] = {
            "median_examples": float(np.median(at)), "examples_90_percent": float(np.quantile(at, 0.9)),
            "right": float((verdict == -wrong).mean()), "wrong": float((verdict == wrong).mean()),
            "open": float((verdict == 0).mean()), "fixed_test_says_better": float(np.concatenate(at_size).mean()),
            "fixed_test_every_50_says_better": float(np.concatenate(repeated).mean()),
        }  # fmt: skip
    return found


def main() -> None:
    """All methods, all sizes, all accuracies, and the monitor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 100, 1000])
    parser.add_argument("--accuracies", type=float, nargs="+", default=[0.02, 0.5, 0.9, 0.99])
    parser.add_argument("--most", type=int, default=10_000, help="examples after which the monitor gives up")
    given = parser.parse_args()
    intervals: dict[str, dict[str, float]] = {}
    tests: dict[str, dict[str, float]] = {}
    anew: dict[str, Any] = {}
    cells = [(n, accuracy) for n in given.sizes for accuracy in given.accuracies]
    with ProcessPoolExecutor(given.processes) as pool:
        rows = list(pool.map(cell, *zip(*cells, strict=True), [given.runs] * len(cells)))
    for (n, accuracy), (covered, alarmed, repeated) in zip(cells, rows, strict=True):
        where = f"n={n} accuracy={accuracy}"
        anew |= {f"{name} {where}": value for name, value in repeated.items()}
        for table, row in ((intervals, covered), (tests, alarmed)):
            for name, value in row.items():
                table.setdefault(name, {})[where] = round(value, 4)
    monitor = monitoring(given.runs, given.most)
    apart, equal = monitor["difference_0.05"], monitor["difference_0.0"]
    least = ", ".join(f"{name} {100 * min(intervals[name].values()):.1f}" for name in intervals)
    most = ", ".join(f"{name} {100 * max(tests[name].values()):.1f}" for name in tests)
    line = (
        f"least coverage in % of 95 % intervals: {least}; most false alarms in % at 5 %: {most}; a difference of 5 "
        f"points decided after {apart['median_examples']:.0f} examples (median), wrongly in {100 * apart['wrong']:.1f} "
        f"%, no difference after {equal['median_examples']:.0f}, wrongly in {100 * equal['wrong']:.1f} %; fixed size "
        f"{monitor['fixed_size']}"
    )
    command = " ".join(["python", "benchmarks/eval/coverage.py", *sys.argv[1:]])
    bootstrap = {f"n={n}": few(n, given.runs) for n in given.sizes}
    figures = {
        "command": command,
        "runs": given.runs,
        "runs_with_a_bootstrap": bootstrap,
        "coverage": intervals,
        "false_alarms": tests,
        "simulated_anew": anew,
    }
    record("coverage", {**figures, "monitor": monitor}, line)


if __name__ == "__main__":
    main()
