"""The anytime-valid evidence: exact on small cases, and rarely wrong however often it is looked at."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dstill.optimizers.evidence import BETS, is_ahead
from dstill.runtime import BadInput


def test_it_is_ahead_where_the_bettors_hold_enough() -> None:
    ours, theirs = [1.0, 0.0, 1.0, 0.5, 1.0], [0.0, 1.0, 0.5, 0.5, 0.0]
    capitals = [math.prod(1 + bet * (a - b) for a, b in zip(ours, theirs, strict=True)) for bet in BETS]
    level = len(capitals) / sum(capitals)
    assert is_ahead(ours, theirs, level * 1.001)
    assert not is_ahead(ours, theirs, level * 0.999)
    assert not is_ahead([], [], 0.99)
    with pytest.raises(BadInput, match="2.0"):
        is_ahead([2.0], [0.0], 0.5)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_looking_after_every_example_stays_within_the_level(alpha: float) -> None:
    """Two equally good systems, 1,000 runs of 200 examples, looked at after each: false alarms at most alpha."""
    chance = np.random.default_rng(0)
    alarms = 0
    for _ in range(1000):
        differences = (chance.random(200) < 0.6).astype(float) - (chance.random(200) < 0.6).astype(float)
        logs = np.log1p(BETS[:, None] * differences[None, :]).cumsum(axis=1)
        capital = np.exp(logs).mean(axis=0)
        alarms += bool((capital >= 1 / alpha).any())
    assert alarms / 1000 <= alpha


def test_a_better_system_is_soon_seen() -> None:
    chance = np.random.default_rng(1)
    found = []
    for _ in range(50):
        ours, theirs = (chance.random(200) < 0.9).astype(float), (chance.random(200) < 0.5).astype(float)
        found.append(next(n for n in range(1, 201) if is_ahead(ours[:n], theirs[:n], 0.05)))
    assert np.median(found) < 40
