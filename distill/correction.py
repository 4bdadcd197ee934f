"""A teacher's labels set right by a second opinion and by what is known of all rows together.

Beliefs, weights and results are probabilities of the classes, float64 [rows, classes], each row summing to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import torch

LEAST = 1e-9
"""The least a belief or a mistake may be: nothing is held to be impossible."""
START = 0.2
"""Mistakes at which the fit of their rates begins."""
AT_ONCE = 1_000_000
"""Ways to label groups of rows that are weighed at a time."""
FITTED = 200_000
"""Ways to label groups that the fit looks at; the rows of further groups are taken one by one there."""


@dataclass(frozen=True)
class Known:
    """What is known of all rows together.

    Attributes:
        right: how often a label is right, of rows that are not ``sure``.
        prior: how often each class is the true one, [classes], summing to 1.
        groups: places of rows whose classes all differ, each in one group at most and no more than there are classes.
        sure: rows whose labels are known to be right, bool [rows].
    """

    sure: torch.Tensor
    right: float | None = None
    prior: torch.Tensor | None = None
    groups: Sequence[Sequence[int]] = ()


@dataclass(frozen=True)
class Mistakes:
    """How labels go wrong.

    Attributes:
        kind: ``none``; ``one``: one rate of labels that are given at random, as often as each is given at all;
            ``class``: such a rate for each class; ``pair``: a rate for each class and label.
        transition: T[i, j] is the probability that class i is given the label j; rows sum to 1.
        beliefs: the beliefs as they fit best, flattened or sharpened, and shifted between classes.
        criterion: the Bayesian information criterion of this account.
    """

    kind: str
    transition: torch.Tensor
    beliefs: torch.Tensor
    criterion: float


def mistakes_of(beliefs: torch.Tensor, labels: torch.Tensor, known: Known) -> Mistakes:
    """The simplest account of where beliefs and labels, int64 [rows], differ that agrees with what is known.

    A classifier that learned from a teacher's labels foretells them, mistakes and all, so that rows alone do not tell
    whether it is weak or they are wrong; what is known of all rows does. Temperature t and shifts b of the beliefs and
    the mistakes T are fitted together, by the likelihood of the labels under ``softmax(log(belief) / t + b) @ T``,
    given that classes within a group differ, times that of ``right`` and ``prior`` as if both had been counted on as
    many rows, and standard normal priors of log(t) and b, which keep them finite. T is fitted for each kind of
    mistakes, and the kind with the least Bayesian information criterion taken (Schwarz, "Estimating the Dimension of
    a Model", Annals of Statistics 6, 1978).
    """
    return min((_fitted(kind, beliefs, labels, known) for kind in _KINDS), key=lambda found: found.criterion)


def _by_rate(free: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    rate = torch.sigmoid(free)[:, None]
    return (1 - rate) * torch.eye(len(given), dtype=torch.float64) + rate * given


def _by_pair(free: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    classes = len(given)
    others = ~torch.eye(classes, dtype=torch.bool)
    logits = torch.zeros(classes, classes, dtype=torch.float64).masked_scatter(others, free)
    return torch.softmax(logits, dim=-1)


_KINDS: dict[str, tuple[Callable[[int], int], Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]] = {
    "none": (lambda classes: 0, lambda free, given: torch.eye(len(given), dtype=torch.float64)),
    "one": (lambda classes: 1, _by_rate),
    "class": (lambda classes: classes, _by_rate),
    "pair": (lambda classes: classes * (classes - 1), _by_pair),
}
"""Of each kind of mistakes how many numbers it takes, and T by them and by how often each label is given."""


def _fitted(kind: str, beliefs: torch.Tensor, labels: torch.Tensor, known: Known) -> Mistakes:
    rows, classes = beliefs.shape
    count, transition_by = _KINDS[kind][0](classes), _KINDS[kind][1]
    given = torch.bincount(labels, minlength=classes).double() / rows
    logs = beliefs.clamp(min=LEAST).log()
    groups = _first(known.groups, classes)
    grouped, parts = {place for group in groups for place in group}, list(_ways(groups, classes))
    alone = torch.tensor([place for place in range(rows) if place not in grouped], dtype=torch.int64)
    heat = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    shift = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    odds = START / (1 - START) / (classes - 1 if kind == "pair" else 1)
    free = torch.full((count,), math.log(odds), dtype=torch.float64, requires_grad=True)

    def account() -> tuple[torch.Tensor, torch.Tensor]:
        fitted = torch.softmax(logs / heat.exp() + shift, dim=-1).clamp(min=LEAST)
        return fitted, transition_by(free, given)

    def loss() -> torch.Tensor:
        fitted, transition = account()
        weights = (fitted * _said(labels, transition, known.sure)).log()
        chance = weights[alone].logsumexp(-1).sum()
        for places, ways in parts:
            within, before = (_each(each, places, ways).logsumexp(-1).sum() for each in (weights, fitted.log()))
            chance = chance + within - before
        if known.prior is not None:
            chance = chance + rows * (known.prior * fitted.mean(0).log()).sum()
        if known.right is not None and not known.sure.all():
            right = (fitted[~known.sure].mean(0) * transition.diagonal()).sum().clamp(LEAST, 1 - LEAST)
            chance = chance + rows * (known.right * right.log() + (1 - known.right) * (1 - right).log())
        return -(chance - (heat**2).sum() / 2 - (shift**2).sum() / 2) / rows

    search = torch.optim.LBFGS(
        [heat, shift, free] if count else [heat, shift],
        max_iter=500, tolerance_grad=1e-9, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def step() -> torch.Tensor:
        search.zero_grad()
        value = loss()
        value.backward()
        return value

    search.step(step)
    with torch.no_grad():
        fitted, transition = account()
        return Mistakes(kind, transition, fitted, 2 * rows * float(loss()) + count * math.log(rows))


def with_prior(beliefs: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
    """The beliefs nearest to these whose mean over all rows is ``prior`` [classes].

    Nearest by Kullback-Leibler divergence, which multiplies each class by one factor for all rows (Ganchev et al.,
    "Posterior Regularization for Structured Latent Variable Models", JMLR 11, 2010); the factors are found by
    iterative proportional fitting (Deming and Stephan, 1940).
    """
    found = beliefs.clamp(min=LEAST)
    for _ in range(10_000):
        factor = prior / found.mean(0)
        found = found * factor
        found = found / found.sum(-1, keepdim=True)
        if float((factor - 1).abs().max()) < 1e-10:
            break
    return found


def corrected(
    beliefs: torch.Tensor, labels: torch.Tensor, transition: torch.Tensor, sure: torch.Tensor
) -> torch.Tensor:
    """The probability of each class where one believed this and was then told ``labels``, int64 [rows].

    By Bayes: belief times T[class, label], the probability that who labels calls the class so; labels that are
    ``sure``, bool [rows], are believed. Mistakes are taken to depend on the class alone, not on what the belief has
    seen.
    """
    found = beliefs.clamp(min=LEAST) * _said(labels, transition, sure)
    return found / found.sum(-1, keepdim=True)


def all_different(weights: torch.Tensor, groups: Sequence[Sequence[int]]) -> torch.Tensor:
    """The probability of each class where the rows of every group have different classes.

    Exact, over all ways to give the rows of a group different classes; for ``groups`` see ``Known``.
    """
    found, logs = weights.clone(), weights.log()
    for places, ways in _ways(groups, weights.shape[1]):
        chance = torch.softmax(_each(logs, places, ways), dim=-1)
        for member in range(ways.shape[1]):
            own = torch.zeros(len(places), weights.shape[1], dtype=weights.dtype)
            found[places[:, member]] = own.index_add(1, ways[:, member], chance)
    return found


def _said(labels: torch.Tensor, transition: torch.Tensor, sure: torch.Tensor) -> torch.Tensor:
    """How likely each class is called what it was, [rows, classes]."""
    right = torch.nn.functional.one_hot(labels, len(transition)).to(transition.dtype)
    return torch.where(sure[:, None], right, transition[:, labels].T).clamp(min=LEAST)


def _ways(groups: Sequence[Sequence[int]], classes: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Places of groups of a size, [groups, size], and the ways to give them different classes, [ways, size]."""
    for size in sorted({len(group) for group in groups}):
        ways = torch.tensor(list(permutations(range(classes), size)))
        places = torch.tensor([list(group) for group in groups if len(group) == size])
        yield from ((some, ways) for some in places.split(max(1, AT_ONCE // len(ways))))


def _each(logs: torch.Tensor, places: torch.Tensor, ways: torch.Tensor) -> torch.Tensor:
    """The logarithm of each way's weight, [groups, ways]."""
    found = logs[places[:, 0]][:, ways[:, 0]]
    for member in range(1, ways.shape[1]):
        found = found + logs[places[:, member]][:, ways[:, member]]
    return found


def _first(groups: Sequence[Sequence[int]], classes: int) -> list[Sequence[int]]:
    """The first groups, of no more than ``FITTED`` ways in all."""
    found, left = [], FITTED
    for group in groups:
        left -= math.perm(classes, len(group))
        if left < 0:
            break
        found.append(group)
    return found
