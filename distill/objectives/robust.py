"""Losses for labels some of which are wrong, as a teacher's are. All take targets as probabilities, [rows, classes]."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch

Robust: TypeAlias = Literal["none", "generalised", "symmetric", "bootstrap", "forward", "backward"]


def generalised(logits: torch.Tensor, shares: torch.Tensor, q: float = 0.7) -> torch.Tensor:
    """Generalised cross-entropy, (1 - p^q) / q: cross-entropy as q goes to 0, mean absolute error (halved) at 1
    (Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
    1805.07836). For several labels of a row, their losses by share."""
    p = torch.softmax(logits, dim=-1)
    return (shares * (1 - p.clamp(min=1e-12) ** q) / q).sum(-1)


def symmetric(logits: torch.Tensor, shares: torch.Tensor, a: float = 0.1, b: float = 1.0) -> torch.Tensor:
    """a times cross-entropy plus b times the reverse one, with log 0 taken as -4 (Wang et al., "Symmetric Cross
    Entropy for Robust Learning with Noisy Labels", 1908.06112)."""
    logs = torch.log_softmax(logits, dim=-1)
    reverse = -(logs.exp() * shares.clamp(min=1e-12).log().clamp(min=-4.0)).sum(-1)
    return a * -(shares * logs).sum(-1) + b * reverse


def bootstrapped(logits: torch.Tensor, shares: torch.Tensor, beta: float = 0.95) -> torch.Tensor:
    """Cross-entropy against ``beta`` parts of the label and the rest of the student's own belief, which gets no
    gradient (Reed et al., "Training Deep Neural Networks on Noisy Labels with Bootstrapping", 1412.6596, soft)."""
    logs = torch.log_softmax(logits, dim=-1)
    return -((beta * shares + (1 - beta) * logs.exp().detach()) * logs).sum(-1)


def forward_corrected(logits: torch.Tensor, shares: torch.Tensor, transition: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of what a teacher with these mistakes would say given the student's belief: -log (p T)
    (Patrini et al., "Making Deep Neural Networks Robust to Label Noise", 1609.03683).

    Args:
        transition: T[i, j] is the probability that class i is given the label j; rows sum to 1.
    """
    said = torch.softmax(logits, dim=-1) @ transition
    return -(shares * said.clamp(min=1e-12).log()).sum(-1)


def backward_corrected(logits: torch.Tensor, shares: torch.Tensor, transition: torch.Tensor) -> torch.Tensor:
    """The losses of all classes weighted by the inverse of the mistakes, whose mean over a teacher's labels is that
    over true ones (Patrini et al., as above); it may be negative."""
    each = -torch.log_softmax(logits, dim=-1)
    return (shares * (each @ torch.linalg.inv(transition).T)).sum(-1)


def transition_by_agreement(labels: torch.Tensor, votes: torch.Tensor, *, prior: float = 1.0) -> torch.Tensor:
    """How often which class is called what, from a second opinion: T [classes, classes], rows summing to 1.

    Args:
        labels: the labels in question, int64 [rows].
        votes: the opinion's probabilities of the true class, [rows, classes].
        prior: added to the diagonal, so that a class that nobody met is thought to be called by its name.
    """
    classes = votes.shape[1]
    said = torch.nn.functional.one_hot(labels, classes).to(votes.dtype)
    counts = votes.T @ said + prior * torch.eye(classes, dtype=votes.dtype)
    return counts / counts.sum(1, keepdim=True)


def robust_loss(
    kind: Robust, logits: torch.Tensor, shares: torch.Tensor, transition: torch.Tensor | None = None
) -> torch.Tensor:
    """The loss of a name with its paper's constants, [rows]; ``none`` is cross-entropy."""
    if kind == "generalised":
        return generalised(logits, shares)
    if kind == "symmetric":
        return symmetric(logits, shares)
    if kind == "bootstrap":
        return bootstrapped(logits, shares)
    if kind in ("forward", "backward"):
        assert transition is not None
        corrected = forward_corrected if kind == "forward" else backward_corrected
        return corrected(logits, shares, transition)
    return -(shares * torch.log_softmax(logits, dim=-1)).sum(-1)
