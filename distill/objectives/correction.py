"""A teacher's labels set right by a second opinion and by what is known of all rows together.

Beliefs, weights and results are probabilities of the classes, float64 [rows, classes], each row summing to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import torch

LEAST = 1e-9
"""The least a belief may be: nothing is held to be impossible."""


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


def corrected(beliefs: torch.Tensor, labels: torch.Tensor, transition: torch.Tensor) -> torch.Tensor:
    """The probability of each class where one believed this and was then told ``labels``, int64 [rows].

    By Bayes: belief times T[class, label], the probability that who labels calls the class so. The mistakes are taken
    to depend on the class alone, and not on what the belief has seen.
    """
    found = beliefs.clamp(min=LEAST) * transition[:, labels].T
    return found / found.sum(-1, keepdim=True)


def all_different(weights: torch.Tensor, groups: Sequence[Sequence[int]]) -> torch.Tensor:
    """The probability of each class where the rows of every group have different classes.

    Exact, over all ways to give the rows of a group different classes.

    Args:
        groups: places of rows, each in one group at most and no more in a group than there are classes.
    """
    found = weights.clone()
    for size in sorted({len(group) for group in groups}):
        places = torch.tensor([list(group) for group in groups if len(group) == size])
        ways = torch.tensor(list(permutations(range(weights.shape[1]), size)))
        logs = weights.clamp(min=LEAST).log()[places]  # [groups, size, classes]
        each = torch.stack([logs[:, member, ways[:, member]] for member in range(size)]).sum(0)
        chance = torch.softmax(each, dim=-1)  # of each way, [groups, ways]
        for member in range(size):
            own = torch.zeros(len(places), weights.shape[1], dtype=weights.dtype)
            found[places[:, member]] = own.index_add(1, ways[:, member], chance)
    return found
