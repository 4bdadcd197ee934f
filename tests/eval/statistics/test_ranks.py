"""Ranks hold the truth together; letters are shared exactly by those that are tied."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from dstill.eval.statistics.pairs import all_pairs
from dstill.eval.statistics.ranks import compact_letters, rank_intervals
from dstill.runtime.errors import BadInput
from numpy.typing import NDArray


def square(size: int, *pairs: tuple[int, int]) -> NDArray[np.bool_]:
    found = np.zeros((size, size), dtype=bool)
    for i, j in pairs:
        found[i, j] = found[j, i] = True
    return found


def test_letters_of_a_chain() -> None:
    """The first and the last differ, and the one between is tied with both."""
    assert compact_letters(square(3, (0, 2))) == ("a", "ab", "b")
    assert compact_letters(square(3, (0, 2)), [2, 1, 0]) == ("b", "ab", "a")
    assert compact_letters(square(3)) == ("a", "a", "a")
    assert compact_letters(square(3, (0, 1), (0, 2), (1, 2))) == ("a", "b", "c")


def test_letters_of_eight_systems() -> None:
    """Of eight, 1-7, 1-8, 2-4, 2-5 and 3-5 differ; the groups were found by hand."""
    names = compact_letters(square(8, (0, 6), (0, 7), (1, 3), (1, 4), (2, 4)))
    groups = {frozenset(i for i in range(8) if letter in names[i]) for letter in "".join(names)}
    assert groups == {
        frozenset({0, 3, 4, 5}), frozenset({0, 2, 3, 5}), frozenset({0, 1, 2, 5}),
        frozenset({1, 2, 5, 6, 7}), frozenset({2, 3, 5, 6, 7}), frozenset({3, 4, 5, 6, 7}),
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_letters_are_the_largest_groups_without_a_difference(seed: int) -> None:
    """By brute force over all groups."""
    chance = np.random.default_rng(seed)
    size = 7
    different = square(size, *[p for p in itertools.combinations(range(size), 2) if chance.random() < seed / 12])
    names = compact_letters(different)
    groups = {frozenset(i for i in range(size) if letter in names[i]) for letter in "".join(names)}
    tied = [
        frozenset(group)
        for count in range(1, size + 1)
        for group in itertools.combinations(range(size), count)
        if not different[np.ix_(group, group)].any()
    ]
    assert groups == {group for group in tied if not any(group < other for other in tied)}
    for i, j in itertools.combinations(range(size), 2):
        assert bool(set(names[i]) & set(names[j])) == (not different[i, j])


def test_more_groups_than_letters() -> None:
    names = compact_letters(~np.eye(60, dtype=bool))
    assert len(set(names)) == 60
    assert (names[51], names[52], names[53]) == ("Z", "a1", "b1")


def test_a_clear_order_is_certain_and_copies_are_tied() -> None:
    base = np.random.default_rng(0).random(400)
    table = np.array([base < 0.3, base < 0.9, base < 0.9, base < 0.6]).astype(float)
    found = rank_intervals(all_pairs(table, resamples=500))
    assert found.low.tolist() == [4, 1, 1, 3]
    assert found.high.tolist() == [4, 2, 2, 3]
    assert found.letters == ("c", "a", "a", "b")
    assert (found.open_pairs, found.not_compared) == (1, 0)


def test_systems_without_shared_examples_could_hold_any_rank() -> None:
    table = np.full((2, 40), np.nan)
    table[0, :20], table[1, 20:] = 1.0, 0.0
    found = rank_intervals(all_pairs(table, resamples=50))
    assert (found.low.tolist(), found.high.tolist()) == ([1, 1], [2, 2])
    assert (found.open_pairs, found.not_compared, found.letters) == (1, 1, ("a", "a"))


@pytest.mark.parametrize("accuracies", [(0.8, 0.8, 0.8, 0.7, 0.7, 0.6), (0.9, 0.88, 0.86, 0.84, 0.82, 0.8)])
def test_the_intervals_hold_all_true_ranks_together(accuracies: tuple[float, ...]) -> None:
    truth = np.array(accuracies)
    best = 1 + (truth[None, :] > truth[:, None]).sum(axis=1)
    worst = truth.size - (truth[None, :] < truth[:, None]).sum(axis=1)
    chance = np.random.default_rng(1)
    hits, told, runs = 0, 0, 250
    for run in range(runs):
        shared = chance.random(200)
        luck = np.where(chance.random((6, 200)) < 0.6, shared, chance.random((6, 200)))
        found = rank_intervals(all_pairs((luck < truth[:, None]).astype(float), resamples=400, seed=run))
        hits += bool((found.low <= best).all() and (found.high >= worst).all())
        told += 15 - found.open_pairs
    assert hits / runs > 0.92
    assert told > runs


def test_what_is_no_relation() -> None:
    with pytest.raises(BadInput, match="symmetric square"):
        compact_letters(np.triu(np.ones((3, 3), dtype=bool), 1))
