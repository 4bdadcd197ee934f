"""Cross-entropy against labels, against probabilities, and against a mixture of both."""

from __future__ import annotations

import torch


def hard_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """-log p(target), [rows]; ``targets`` are places of classes, int64 [rows]."""
    return torch.nn.functional.cross_entropy(logits, targets, reduction="none")


def soft_loss(logits: torch.Tensor, shares: torch.Tensor, *, temperature: float = 1.0) -> torch.Tensor:
    """Cross-entropy against a teacher's probabilities [rows, classes], each row summing to 1.

    With a temperature the student's logits are softened by it and the loss is scaled by its square, so that gradients
    keep their size (Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 1503.02531). The shares
    are taken as they are: a teacher's logits are softened by whoever makes them.
    """
    logs = torch.log_softmax(logits / temperature, dim=-1)
    return -(shares * logs).sum(-1) * temperature**2


def mixed_loss(
    logits: torch.Tensor, targets: torch.Tensor, shares: torch.Tensor, hard: float, *, temperature: float = 1.0
) -> torch.Tensor:
    """``hard`` parts of the loss against labels, and the rest against probabilities; ``hard`` from 0 to 1."""
    soft = soft_loss(logits, shares, temperature=temperature)
    return hard * hard_loss(logits, targets) + (1 - hard) * soft
