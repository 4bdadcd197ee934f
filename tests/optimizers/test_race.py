"""The race: values against brute force, who drops out, who is evaluated next."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from dstill.optimizers import Candidate, History, PredictorState, Race
from dstill.optimizers.history import table
from dstill.optimizers.race import decide, enter, weigh, winner, work
from dstill.optimizers.standing import standing
from scipy import stats


def drawn(chance: np.random.Generator, skills: list[float], n: int, shared: float = 0.5) -> np.ndarray:
    """Right-or-wrong scores that share their luck on a part of the examples."""
    size = (len(skills), n)
    luck = np.where(chance.random(n) < shared, chance.random(n), chance.random(size))
    return (luck < np.array(skills)[:, None]).astype(float)


def field(scores: np.ndarray, *, lengths: list[int] | None = None) -> History:
    """Trials with these scores, nan where not met."""
    texts = ["x" * (lengths[i] if lengths else 9) + str(i) for i in range(len(scores))]
    marks = [Candidate({"self": PredictorState(text)}) for text in texts]
    history = History().add([(mark, "x", ()) for mark in marks], 0)
    todo = [(i, p) for i in range(len(scores)) for p in range(scores.shape[1]) if not math.isnan(scores[i, p])]
    return enter(history, todo, [float(scores[i, p]) for i, p in todo])


def test_the_value_of_one_rival_is_the_mean_excess_of_a_normal() -> None:
    scores = drawn(np.random.default_rng(0), [0.8, 0.7], 60)
    found = standing(scores, 200, worth=1e-9, seed=0)
    apart = scores[1 - found.leader] - scores[found.leader]
    mean = apart.mean()
    spread = math.sqrt((((apart - mean) ** 2).sum() + 2) / (60 * 62) * (1 - 60 / 200))
    expected = stats.norm.expect(lambda x: max(0.0, x), loc=mean, scale=spread, lb=0, ub=2)
    assert found.value[1 - found.leader] == pytest.approx(expected, rel=1e-3)
    assert found.behind[1 - found.leader] == pytest.approx(-mean)
    assert math.isnan(found.value[found.leader])


def test_the_values_of_many_agree_with_brute_force() -> None:
    """True means drawn a hundred thousand times with the covariance of the scores."""
    chance = np.random.default_rng(3)
    scores = drawn(chance, [0.8, 0.8, 0.75, 0.75, 0.7], 40)
    found = standing(scores, 100, worth=1e-9, seed=0)
    apart = scores - scores[found.leader]
    mean, rest = apart.mean(axis=1), apart - apart.mean(axis=1)[:, None]
    own = np.eye(5)
    own = own - own[found.leader]
    covariance = (rest @ rest.T + own @ own.T) / (40 * 42) * 0.6
    truth = mean + chance.multivariate_normal(np.zeros(5), covariance, 100_000)
    for index in set(range(5)) - {found.leader}:
        others = np.delete(truth, index, axis=1).max(axis=1)
        expected = np.maximum(0.0, truth[:, index] - others).mean()
        assert found.value[index] == pytest.approx(expected, rel=0.25, abs=3e-4)


def test_when_all_is_known_the_best_is_left_and_of_equals_the_first() -> None:
    scores = np.array([[1, 0, 1, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 0, 0]], dtype=float)
    found = standing(scores, 4, worth=1e-6, seed=0)
    assert found.leader == 1
    assert found.keep.tolist() == [False, True, False, False]


def test_a_latecomer_is_compared_on_what_both_have_met() -> None:
    """The first was lucky on the first four examples: a newcomer that loses there by nothing is not behind."""
    old = np.array([1.0] * 4 + [0.0] * 60)
    new = np.array([1.0] * 4 + [math.nan] * 60)
    found = standing(np.stack([old, new]), 100, worth=1e-4, seed=0)
    assert found.behind.tolist() == [0.0, 0.0]
    assert found.shared.tolist() == [64, 4]
    assert found.keep.all()


def test_of_many_equals_most_are_soon_set_aside_and_of_two_neither() -> None:
    chance = np.random.default_rng(1)
    equals = drawn(chance, [0.7] * 40, 100)
    assert standing(equals, 400, worth=2e-4, seed=0).keep.sum() < 20
    two = equals[[0, 1]]
    assert standing(two, 400, worth=2e-4, seed=0).keep.all()


def test_nothing_in_common_leaves_everything_open() -> None:
    scores = np.array([[1.0, math.nan], [math.nan, 0.0]])
    assert standing(scores, 10, worth=1e-3, seed=0).keep.all()


def test_rounds_grow_as_the_field_shrinks_and_the_leader_waits() -> None:
    race = Race(block=2, batch=12)
    history = field(np.full((3, 0), np.nan))
    assert work(history, race, 100) == [(t, p) for t in range(3) for p in range(4)]
    history = enter(history, work(history, race, 100), [1.0] * 4 + [1.0, 0.0, 1.0, 1.0] * 2)
    history = decide(history, race, 100)
    assert history.lead == 0
    assert {t for t, _ in work(history, race, 100)} == {0, 1, 2}  # others have met as many: the leader goes along
    history = history.add([(Candidate({"self": PredictorState("new")}), "x", ())], 1)
    behind = enter(history, [(0, p) for p in range(4, 12)], [1.0] * 8)
    todo = work(behind, race, 100)
    assert [t for t, _ in todo] == [1] * 4 + [2] * 4 + [3] * 4
    assert [p for t, p in todo if t == 3] == [0, 1, 2, 3]


def test_an_order_that_ends_finishes_and_the_best_of_all_wins() -> None:
    race = Race(worth=1e-6)
    scores = drawn(np.random.default_rng(2), [0.6, 0.7, 0.65], 30)
    history = decide(field(scores), race, 30)
    means = scores.mean(axis=1)
    assert winner(history).number == int(means.argmax())
    assert [t.decision for t in history.trials].count("dropped") == 2
    assert work(history, race, 30) == []


def test_what_could_not_be_scored_counts_for_nothing() -> None:
    history = field(np.full((2, 0), np.nan))
    history = enter(history, [(0, 0), (0, 1), (1, 0), (1, 1)], [1.0, None, 0.0, 1.0])
    assert [t.met for t in history.trials] == [2, 2]
    assert history.trials[0].scores == {0: 1.0}
    assert np.isnan(table(history.trials)).tolist() == [[False, True], [False, False]]
    assert decide(history, Race(), 50).lead == 0


def test_a_dropped_trial_says_why_and_how_sure_that_is() -> None:
    scores = drawn(np.random.default_rng(4), [0.95, 0.1, 0.9], 40)
    history = weigh(decide(field(scores), Race(candidates=3), 200), Race(candidates=3))
    hopeless = history.trials[1]
    assert hopeless.decision == "dropped"
    assert hopeless.why.startswith("ruled out: ")
    assert hopeless.evidence >= 20
    assert "points behind trial" in hopeless.why
    few = weigh(decide(field(scores[:, :4]), Race(candidates=3), 200), Race(candidates=3))
    assert few.trials[1].why.startswith("set aside: ")
    assert 1 < few.trials[1].evidence < 20


def test_while_others_may_come_who_has_met_all_is_kept() -> None:
    """It costs nothing more, and may turn out the best when those that are ahead of it have met all too."""
    met_all = field(np.array([[1, 1, 1, 1, 1, 0] * 6, [1, 0, 0, 1, 0, 0] * 6], dtype=float))
    assert [t.decision for t in decide(replace(met_all, coming=True), Race(), 36).trials] == ["finished", "finished"]
    assert [t.decision for t in decide(met_all, Race(), 36).trials] == ["finished", "dropped"]


def test_of_equal_leaders_the_shorter_one_leads() -> None:
    history = decide(field(np.ones((3, 8)), lengths=[30, 5, 40]), Race(), 100)
    assert history.lead == 1


def test_it_finds_the_best_at_a_fraction_of_a_full_pass() -> None:
    """Ten candidates five points apart, 300 examples: the best is found 19 times of 20 at a third of the cost."""
    race, spent, found = Race(candidates=10, width=10), 0, 0
    for seed in range(40):
        scores = drawn(np.random.default_rng(seed), [0.85 - 0.05 * k for k in range(10)], 300)
        history = field(np.full((10, 0), np.nan))
        while todo := work(history, race, 300):
            spent += len(todo)
            history = decide(enter(history, todo, [float(scores[t, p]) for t, p in todo]), race, 300, seed)
        means = scores.mean(axis=1)
        found += means.max() - means[winner(history).number] <= 0.01
    assert found >= 38
    assert spent < 0.33 * 40 * 10 * 300


def test_sets_that_are_dropped_together_are_those_dropped_one_by_one_in_effect() -> None:
    """More worth never keeps more."""
    scores = drawn(np.random.default_rng(7), [0.7, 0.68, 0.66, 0.6, 0.5, 0.4], 50)
    kept = [set(np.flatnonzero(standing(scores, 200, worth=w, seed=0).keep)) for w in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)]
    assert all(later <= earlier for earlier, later in pairwise(kept))
    assert kept[0] > kept[-1]
