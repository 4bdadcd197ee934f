"""The comparison of two systems: verdicts, and the gate of non-inferiority by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dstill.eval.compare import compare_scores, non_inferior
from dstill.eval.statistics.power import examples_needed


def test_a_student_that_is_clearly_worse_is_called_inferior_and_more_examples_are_not_asked_for() -> None:
    found = non_inferior([0.0] * 90 + [1.0] * 10, [1.0] * 100)
    assert str(found) == "inferior: loses 90.0 points on 100 examples, margin 1.0"
    unsure = non_inferior([0.0, 1.0] + [1.0] * 98, [1.0, 0.0] + [1.0] * 98)
    assert "examples would decide" in str(unsure)


def test_a_student_worse_by_the_margin_rarely_passes_and_an_equal_one_mostly_does() -> None:
    chance = np.random.default_rng(2)

    def share(loss: float, n: int) -> float:
        passed = 0
        for _ in range(400):
            u = chance.random(n)
            changed = chance.random(n) < 0.1
            v = np.where(changed, chance.random(n), u)
            teacher, student = (u < 0.8).astype(float), (v < 0.8).astype(float)
            student = np.where(chance.random(n) < loss / 0.8, 0.0, student)
            passed += non_inferior(student, teacher, margin=0.05).accepted
        return passed / 400

    assert share(0.05, 400) <= 0.08
    needed = examples_needed(0.032, 0.05)
    assert needed is not None
    assert share(0.0, needed) >= 0.75


def test_verdicts() -> None:
    ones, zeros = [1.0] * 30, [0.0] * 30
    assert compare_scores(ones, zeros).verdict == "better"
    assert compare_scores(zeros, ones).verdict == "worse"
    assert compare_scores(ones, ones).verdict == "no significant difference"
    mixed = compare_scores([0.2, 0.9, 0.4, 0.8], [0.1, 0.9, 0.5, 0.6])
    assert (mixed.wins, mixed.losses, mixed.n) == (2, 1, 4)


@pytest.mark.parametrize(("n", "margin"), [(300, 0.01), (400, 0.01), (700, 0.01), (200, 0.02)])
def test_a_system_that_only_loses_passes_as_seldom_as_said(n: int, margin: float) -> None:
    """Its chance to pass where it truly loses the margin, by enumeration."""
    passing = 0.0
    for losses in range(n):
        if not non_inferior([0.0] * losses + [1.0] * (n - losses), [1.0] * n, margin=margin).accepted:
            break
        passing += math.comb(n, losses) * margin**losses * (1 - margin) ** (n - losses)
    assert 0 < passing <= 0.05
