"""All pairs at once against a loop that draws, gathers and averages, and against scipy; false alarms by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from dstill.eval.statistics import pairs as module
from dstill.eval.statistics.pairs import AllPairs, all_pairs
from dstill.eval.statistics.resample import resampled_means, weight_blocks
from dstill.runtime.errors import BadInput
from numpy.typing import NDArray
from scipy import stats


def systems(seed: int, *, binary: bool, holes: float, shape: tuple[int, int] = (5, 40)) -> NDArray[np.float64]:
    chance = np.random.default_rng(seed)
    table = chance.random(shape) ** np.linspace(0.5, 1.5, shape[0])[:, None]
    table = np.round(table) if binary else table
    return np.where(chance.random(shape) < holes, np.nan, table)


def by_hand(table: NDArray[np.float64], resamples: int, level: float) -> dict[str, list[float]]:
    """Every pair by its drawn examples, one resample at a time."""
    weights = np.concatenate([w for _, w in weight_blocks(table.shape[1], resamples, seed=0, stream="pairs")])
    found: dict[str, list[float]] = {name: [] for name in ("difference", "low", "high", "p", "error", "adjusted")}
    deviations = []
    for i in range(len(table)):
        for j in range(i + 1, len(table)):
            apart = table[i] - table[j]
            value = np.nanmean(apart)
            rest = apart[~np.isnan(apart)]
            error = rest.std(ddof=1) / np.sqrt(rest.size)
            drawn = np.array([np.nanmean(np.repeat(apart, row.astype(int))) for row in weights])
            p = 2 * (min((drawn <= 1e-12).sum(), (drawn >= -1e-12).sum()) + 1) / (resamples + 1)
            low, high = np.quantile(drawn, (0.5 - level / 2, 0.5 + level / 2))
            for name, x in zip(found, (value, low, high, min(1.0, p), error), strict=False):
                found[name].append(float(x))
            deviations.append(np.abs(drawn - value) / error)
    largest = np.max(deviations, axis=0)
    shared = [(~np.isnan(table[i] - table[j])).sum() for i in range(len(table)) for j in range(i + 1, len(table))]
    for value, error, p, n in zip(found["difference"], found["error"], found["p"], shared, strict=True):
        far = stats.norm.isf(stats.t.sf(abs(value) / error, n - 1)) * np.sqrt((n - 1) / n)
        share = ((largest >= far * (1 - 1e-6)).sum() + 1) / (resamples + 1)
        found["adjusted"].append(max(p, float(share)))
    return found


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("holes", [0.0, 0.15])
def test_it_is_the_loop_over_drawn_examples(binary: bool, holes: float) -> None:
    table = systems(0, binary=binary, holes=holes)
    found = all_pairs(table, 0.9, resamples=300)
    for name, expected in by_hand(table, 300, 0.9).items():
        assert getattr(found, name) == pytest.approx(expected, abs=1e-6), name
    assert found.n.tolist() == [int((~np.isnan(table[i] - table[j])).sum()) for i in range(5) for j in range(i + 1, 5)]
    assert found.unscored.tolist() == np.isnan(table).sum(axis=1).tolist()


def test_an_interval_is_scipys() -> None:
    table = systems(1, binary=False, holes=0.0, shape=(3, 60))
    found = all_pairs(table).interval(2, 0)
    expected = stats.bootstrap(
        (table[2] - table[0],), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.006)


@pytest.mark.parametrize("holes", [0.0, 0.1])
def test_blocks_change_nothing(holes: float, monkeypatch: pytest.MonkeyPatch) -> None:
    table = systems(2, binary=False, holes=holes)
    whole = all_pairs(table, resamples=200)
    monkeypatch.setattr(module, "MEMORY", 200 * 8 * 3)
    parts = all_pairs(table, resamples=200)
    for name in ("difference", "low", "high", "p", "adjusted"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name)), name
    assert all_pairs(table, resamples=200, seed=1).low.tolist() != whole.low.tolist()


def test_pairs_are_found_by_their_systems() -> None:
    found = all_pairs(systems(3, binary=True, holes=0.0), resamples=50)
    for place, (i, j) in enumerate(zip(found.first, found.second, strict=True)):
        assert found.place(int(i), int(j)) == (place, 1)
        assert found.place(int(j), int(i)) == (place, -1)
        there, back = found.interval(int(i), int(j)), found.interval(int(j), int(i))
        assert (there.value, there.low, there.high) == (-back.value, -back.high, -back.low)
    with pytest.raises(BadInput, match=r"\(1, 1\)"):
        found.place(1, 1)


def test_what_cannot_be_compared_is_nan_and_what_is_equal_is_no_difference() -> None:
    table = np.full((4, 20), np.nan)
    table[0, :10], table[1, 9:], table[2, :10], table[3, :] = 1.0, 1.0, 1.0, 0.0
    found = all_pairs(table, resamples=100)
    alone = found.place(0, 1)[0]
    assert np.isnan([found.difference[alone], found.low[alone], found.p[alone], found.adjusted[alone]]).all()
    same = found.place(0, 2)[0]
    assert (found.difference[same], found.p[same], found.adjusted[same]) == (0.0, 1.0, 1.0)
    assert found.n[alone] == 1
    assert not found.better().all(axis=1).any()


def test_few_disagreements_are_not_taken_for_proof() -> None:
    """Four wins in a hundred and no loss: the plain bootstrap gives p = 0.03, the signs of four can not go below
    0.125."""
    table = np.zeros((2, 100))
    table[0, :4] = 1
    found = all_pairs(table)
    assert found.p[0] == found.adjusted[0] == 0.125
    assert not found.better().any()


@pytest.mark.parametrize(("n", "runs"), [(20, 500), (120, 300)])
def test_false_alarms_over_all_pairs_together_keep_their_rate(n: int, runs: int) -> None:
    chance = np.random.default_rng(4)
    alone, together = 0, 0
    for run in range(runs):
        hard = chance.random(n)
        table = (chance.random((6, n)) < 0.3 + 0.5 * hard).astype(float)
        found: AllPairs = all_pairs(table, resamples=400, seed=run)
        alone += bool((found.p <= 0.05).any())
        together += bool((found.adjusted <= 0.05).any())
    assert together / runs < 0.085
    assert alone / runs > 0.2


def test_resampled_means_are_those_of_drawn_examples() -> None:
    table = systems(5, binary=False, holes=0.2)
    weights = np.concatenate([w for _, w in weight_blocks(40, 20, seed=3, stream="x")])
    assert (weights.sum(axis=1) == 40).all()
    expected = [[np.nanmean(np.repeat(row, w.astype(int))) for row in table] for w in weights]
    assert resampled_means(table, 20, seed=3, stream="x") == pytest.approx(np.array(expected))
    whole = np.nan_to_num(table)
    assert resampled_means(whole, 20, seed=3, stream="x") == pytest.approx(weights @ whole.T / 40)


def test_drawn_counts_are_multinomial() -> None:
    """Their mean is 1 and their variance 1 - 1 / n."""
    weights = np.concatenate([w for _, w in weight_blocks(30, 20_000, seed=0, stream="x")])
    assert weights.mean(axis=0) == pytest.approx(np.ones(30), abs=0.04)
    assert weights.var(axis=0) == pytest.approx(np.full(30, 29 / 30), abs=0.06)


def test_one_system_has_no_pair() -> None:
    with pytest.raises(BadInput, match=r"shape \(1, 3\): expected at least 2 systems"):
        all_pairs([[1.0, 0.0, None]])


@pytest.mark.parametrize("holes", [0.0, 0.1])
def test_of_very_many_examples_groups_are_drawn_and_nothing_else_changes(holes: float) -> None:
    """What is drawn of 30,001 examples strays as a normal variable with the standard error of the data."""
    table = systems(1, binary=False, holes=holes, shape=(3, 30_001))
    table = np.sort(table, axis=1)  # sorted examples must not matter: groups are put together at random
    found = all_pairs(table, resamples=2_000)
    half = (found.high - found.low) / 2
    assert half == pytest.approx(1.96 * found.error, rel=0.08)
    assert found.difference == pytest.approx([np.nanmean(table[i] - table[j]) for i, j in ((0, 1), (0, 2), (1, 2))])
    means = resampled_means(table, 2_000, seed=0, stream="test")
    scored = (~np.isnan(table)).sum(axis=1)
    assert means.std(axis=0) == pytest.approx(np.nanstd(table, axis=1) / np.sqrt(scored), rel=0.06)
    assert means.mean(axis=0) == pytest.approx(np.nanmean(table, axis=1), abs=3e-4)
