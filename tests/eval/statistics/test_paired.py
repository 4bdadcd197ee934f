"""All pairs at once are what each pair is alone."""

from __future__ import annotations

import numpy as np
import pytest
from dstill.eval.compare import compare_scores
from dstill.eval.statistics import mcnemar, paired, paired_interval, sign_flip
from dstill.runtime.errors import BadInput


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_every_pair_is_what_it_is_alone(missing: float) -> None:
    """Right-or-wrong systems, graded ones, and pairs of one of each; with and without holes."""
    chance = np.random.default_rng(0)
    table = chance.random((6, 50)) ** np.linspace(0.4, 1.2, 6)[:, None]
    table[:3] = table[:3] > 0.5
    table[5] = table[4]  # equals
    table[chance.random(table.shape) < missing] = np.nan
    found = paired(table, 0.9)
    for i in range(6):
        for j in range(6):
            if i == j:
                assert np.isnan(found.value[i, j])
                continue
            both = np.isfinite(table[i] + table[j])
            a, b = table[i, both], table[j, both]
            gain = paired_interval(a, b, 0.9)
            ends = [float(x[i, j]) for x in (found.value, found.low, found.high)]
            assert ends == pytest.approx([gain.value, gain.low, gain.high], abs=1e-12)
            wins, losses = int((a > b).sum()), int((a < b).sum())
            assert (found.n[i, j], found.wins[i, j], found.wins[j, i]) == (both.sum(), wins, losses)
            binary = i < 3 and j < 3
            apart = np.where(
                both, table[i] - table[j], 0.0
            )  # a hole flips nothing, but keeps its place among the signs
            assert found.p[i, j] == pytest.approx(mcnemar(wins, losses) if binary else sign_flip(apart), abs=1e-12)
    assert (found.low[4, 5] < 0 < found.high[4, 5]) and found.p[4, 5] == 1.0


def test_a_comparison_is_one_of_the_pairs() -> None:
    chance = np.random.default_rng(1)
    table = chance.random((5, 30))
    found, one = paired(table), compare_scores(table[1].tolist(), table[3].tolist())
    assert (found.value[1, 3], found.low[1, 3], found.high[1, 3], found.p[1, 3]) == pytest.approx(
        (one.difference.value, one.difference.low, one.difference.high, one.p), abs=1e-12
    )


def test_systems_without_a_shared_example_have_no_figures() -> None:
    found = paired([[1.0, None, 0.5], [None, 1.0, None], [1.0, 0.0, 0.5]])
    assert np.isnan([found.value[0, 1], found.low[0, 1], found.p[1, 0]]).all()
    assert (found.n[0, 1], found.n[1, 2], found.value[1, 2]) == (0, 1, 1.0)
    with pytest.raises(BadInput, match="level=95"):
        paired([[1.0], [0.0]], 95)


def test_false_alarms_of_graded_pairs_keep_their_rate() -> None:
    """Two systems that agree on half of the examples, near the top of the range: the bootstrap has 20 % here."""
    chance, hits = np.random.default_rng(2), 0
    for _ in range(500):
        a, b = chance.beta(1.8, 0.2, (2, 20))
        b = np.where(chance.random(20) < 0.5, a, b)
        gain = paired_interval(a, b)
        hits += not gain.low <= 0 <= gain.high
    assert hits / 500 < 0.07
