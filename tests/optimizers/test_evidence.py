"""The anytime-valid evidence: exact on small cases, and the best is rarely ruled out however often one looks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dstill.optimizers.evidence import BETS, against
from dstill.runtime import BadInput


def test_it_is_the_mean_capital_of_all_who_bet() -> None:
    own = np.array([0.0, 1.0, 0.5, 0.5, 0.0])
    rivals = np.array([[1.0, 0.0, 1.0, 0.5, 1.0], [1.0, 1.0, math.nan, 0.0, math.nan]])
    capitals = []
    for rival in rivals:
        apart = [0.0 if math.isnan(a) else a - b for a, b in zip(rival, own, strict=True)]
        capitals.append(np.mean([math.prod(1 + bet * d for d in apart) for bet in BETS]))
    assert against(own, rivals, 2) == pytest.approx(np.mean(capitals))
    assert against(own, rivals, 5) == pytest.approx((sum(capitals) + 3) / 5)  # three have not come yet
    assert against(own, rivals[:0], 3) == 1.0
    assert against(np.zeros(5000), np.ones((2, 5000)), 2) > 1e300  # no overflow
    with pytest.raises(BadInput, match=r"2\.0"):
        against(np.zeros(1), np.full((1, 1), 2.0), 1)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_the_best_is_ruled_out_no_more_often_than_the_level(alpha: float) -> None:
    """Five equals, looked at after every 10 of 150 examples, 400 times; and one that is better than four."""
    chance = np.random.default_rng(0)
    for gap in (0.0, 0.1):
        wrong = 0
        for _ in range(400):
            luck = np.where(chance.random((5, 150)) < 0.5, chance.random(150), chance.random((5, 150)))
            scores = (luck < 0.6 - gap * (np.arange(5) > 0)[:, None]).astype(float)
            wrong += any(against(scores[0, :n], scores[1:, :n], 4) >= 1 / alpha for n in range(10, 151, 10))
        assert wrong / 400 <= alpha


def test_a_worse_one_is_soon_ruled_out() -> None:
    chance = np.random.default_rng(1)
    found = []
    for _ in range(50):
        best, worse = (chance.random(200) < 0.9).astype(float), (chance.random(200) < 0.5).astype(float)
        looks = range(1, 201)
        found.append(next(n for n in looks if against(worse[:n], best[None, :n], 1) >= 20))
    assert np.median(found) < 40
