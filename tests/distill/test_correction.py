"""What is known of wrong labels: the sums against all ways written out, and the fit beside another optimiser."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from dstill.distill import correction
from dstill.distill.correction import Known, Mistakes, mistakes_of
from scipy.optimize import minimize

RNG = np.random.default_rng(0)
BELIEFS = torch.tensor(RNG.dirichlet([1, 1, 1], 40))


def test_a_prior_is_reached_by_the_nearest_beliefs() -> None:
    """Beside a general optimiser of the dual, a convex function of the factors' logarithms."""
    prior = np.array([0.5, 0.3, 0.2])
    beliefs = BELIEFS.numpy()
    dual = lambda b: np.log((beliefs * np.exp(b)).sum(1)).mean() - prior @ b  # noqa: E731
    best = minimize(dual, np.zeros(3), method="BFGS", options={"gtol": 1e-10}).x
    wanted = beliefs * np.exp(best)
    wanted /= wanted.sum(1, keepdims=True)
    found = correction.with_prior(BELIEFS, torch.tensor(prior))
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-6)
    np.testing.assert_allclose(found.mean(0).numpy(), prior, atol=1e-9)


def test_a_word_changes_a_belief_by_bayes() -> None:
    transition = torch.tensor([[0.8, 0.2, 0.0], [0.3, 0.6, 0.1], [0.0, 0.25, 0.75]], dtype=torch.float64)
    said = torch.tensor([n % 3 for n in range(40)])
    sure = torch.tensor([n < 5 for n in range(40)])
    found = correction.corrected(BELIEFS, said, transition, sure).numpy()
    for row, (belief, label) in enumerate(zip(BELIEFS.numpy(), said.tolist(), strict=True)):
        joint = [belief[true] * float(transition[true, label]) for true in range(3)]
        wanted = np.eye(3)[label] if row < 5 else np.array(joint) / sum(joint)
        np.testing.assert_allclose(found[row], wanted, atol=1e-7)


@pytest.mark.parametrize("at_once", [1, correction.AT_ONCE])
def test_rows_that_differ_are_weighed_over_all_ways(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(correction, "AT_ONCE", at_once)
    groups = [[0, 1, 2], [7, 5], [9], [12, 11, 10]]
    found = correction.all_different(BELIEFS, groups).numpy()
    for group in groups:
        wanted = np.zeros((len(group), 3))
        for way in product(range(3), repeat=len(group)):
            if len(set(way)) == len(way):
                chance = np.prod([float(BELIEFS[row, label]) for row, label in zip(group, way, strict=True)])
                for member, label in enumerate(way):
                    wanted[member, label] += chance
        np.testing.assert_allclose(found[group], wanted / wanted.sum(1, keepdims=True), atol=1e-9)
    alone = [row for row in range(40) if row not in {row for group in groups for row in group}]
    assert torch.equal(torch.tensor(found)[alone], BELIEFS[alone])


ERRORS = torch.tensor([[0.7, 0.05, 0.25], [0.0, 0.9, 0.1], [0.05, 0.3, 0.65]], dtype=torch.float64)


def simulated(rows: int, errors: torch.Tensor, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """True classes, in threes that differ; beliefs that are about as good as the labels; and the labels."""
    rng = np.random.default_rng(seed)
    true = np.concatenate([rng.permutation(3) for _ in range(rows // 3)])
    logits = 1.6 * np.eye(3)[true] + rng.normal(size=(rows, 3))
    said = [rng.choice(3, p=errors[label].numpy()) for label in true]
    return torch.tensor(true), torch.softmax(torch.tensor(logits), -1), torch.tensor(said)


def by_hand(kind: str, beliefs: Any, labels: Any, known: Known) -> float:
    """Minus twice the logarithm of what is maximised, at its best, by another optimiser over what is written out."""
    beliefs, labels, rows = beliefs.numpy(), labels.numpy(), len(labels)
    free = {"one": 1, "pair": 6}[kind]

    def loss(told: Any) -> float:
        fitted = np.exp(np.log(beliefs) / np.exp(told[0]) + told[1:4])
        fitted /= fitted.sum(1, keepdims=True)
        if kind == "one":
            errors = (1 - told[4]) * np.eye(3) + told[4] * np.bincount(labels, minlength=3) / rows
        else:
            errors = np.exp(np.insert(told[4:], [0, 3, 6], 0).reshape(3, 3))
            errors /= errors.sum(1, keepdims=True)
        chance = -(told[:4] @ told[:4]) / 2
        for group in known.groups:
            ways = [way for way in product(range(3), repeat=len(group)) if len(set(way)) == len(way)]
            before = sum(np.prod([fitted[row, c] for row, c in zip(group, way, strict=True)]) for way in ways)
            within = sum(
                np.prod([fitted[row, c] * errors[c, labels[row]] for row, c in zip(group, way, strict=True)])
                for way in ways
            )
            chance += np.log(within / before)
        for row in set(range(rows)) - {row for group in known.groups for row in group}:
            chance += np.log(fitted[row] @ errors[:, labels[row]])
        if known.prior is not None:
            chance += rows * known.prior.numpy() @ np.log(fitted.mean(0))
        if known.right is not None:
            right = fitted.mean(0) @ np.diag(errors)
            chance += rows * (known.right * np.log(right) + (1 - known.right) * np.log(1 - right))
        return float(-chance)

    start = np.zeros(4 + free)
    start[4:] = 0.2 if kind == "one" else -2.0
    bounds = [(None, None)] * 4 + [(1e-6, 1 - 1e-6) if kind == "one" else (-20, 20)] * free
    return 2 * float(minimize(loss, start, method="L-BFGS-B", bounds=bounds, options={"maxfun": 10_000}).fun)


@pytest.mark.parametrize("kind", ["one", "pair"])
@pytest.mark.parametrize("knows", [{"right": 0.7}, {"prior": torch.tensor([0.5, 0.25, 0.25])}, {"groups": True}])
def test_the_likeliest_account_beside_another_optimiser(kind: str, knows: dict[str, Any]) -> None:
    _, beliefs, labels = simulated(60, ERRORS)
    groups = [[0, 1, 2], [3, 4], [6, 7, 8], [12, 13, 14], [15, 17]] if knows.pop("groups", False) else []
    known = Known(torch.zeros(60, dtype=torch.bool), groups=groups, **knows)
    found = correction._fitted(kind, beliefs.double(), labels, known)
    numbers = {"one": 1, "pair": 6}[kind]
    wanted = by_hand(kind, beliefs, labels, known)
    assert found.criterion - numbers * np.log(60) == pytest.approx(wanted, abs=2e-3)


def account(rows: int, errors: torch.Tensor, **knows: Any) -> tuple[Mistakes, float, float]:
    """The account, and how many labels and likeliest classes are right."""
    true, beliefs, labels = simulated(rows, errors)
    known = Known(torch.zeros(rows, dtype=torch.bool), **knows)
    found = mistakes_of(beliefs, labels, known)
    after = correction.corrected(found.beliefs, labels, found.transition, known.sure)
    likeliest = correction.all_different(after, known.groups).argmax(-1)
    return found, float((labels == true).double().mean()), float((likeliest == true).double().mean())


def test_rows_that_differ_betray_who_is_called_what() -> None:
    found, before, after = account(6000, ERRORS, groups=[[n, n + 1, n + 2] for n in range(0, 6000, 3)])
    assert found.kind == "pair"
    assert torch.allclose(found.transition, ERRORS, atol=0.04)
    assert after > before + 0.1


def test_how_often_labels_are_right_parts_weak_beliefs_from_wrong_labels() -> None:
    """The same beliefs beside labels without a mistake, and beside labels with many."""
    clean, before, after = account(1500, torch.eye(3, dtype=torch.float64), right=1.0)
    assert (clean.kind, before, after) == ("none", 1.0, 1.0)
    even = 0.7 * torch.eye(3, dtype=torch.float64) + 0.1
    found, before, after = account(1500, even, right=0.8)
    assert found.kind == "one"
    assert torch.allclose(found.transition, even, atol=0.03)
    assert after > before + 0.02


def test_groups_beyond_the_fit_still_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correction, "FITTED", 13)
    groups = [[0, 1, 2], [3, 4], [6, 7, 8], [9, 10]]
    assert correction._first(groups, 3) == groups[:2]
    found = account(30, ERRORS, groups=groups)[0]
    assert found.transition.shape == (3, 3)
