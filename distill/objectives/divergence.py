"""Divergences between a teacher's and a student's distributions over the same vocabulary, token by token."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch

Divergence: TypeAlias = Literal["forward", "reverse", "jsd"]
"""``forward``: KL(teacher, student), which covers all that the teacher may say. ``reverse``: KL(student, teacher),
which seeks what it mostly says. ``jsd``: between the two."""


def divergence(
    student: torch.Tensor,
    teacher: torch.Tensor,
    kind: Divergence = "forward",
    *,
    beta: float = 0.5,
    temperature: float = 1.0,
) -> torch.Tensor:
    """The divergence at each row, [rows], in nats.

    Args:
        student, teacher: logits [rows, vocabulary]; gradients go to the student alone.
        beta: the weight of the teacher in the mixture m = beta p + (1 - beta) q of ``jsd``, which is
            beta KL(p, m) + (1 - beta) KL(q, m) (Agarwal et al., "On-Policy Distillation of Language Models",
            2306.13649, equation 1); between 0 and 1, both left out.
        temperature: softens both; the loss is scaled by its square.
    """
    q = torch.log_softmax(student / temperature, dim=-1)
    p = torch.log_softmax(teacher.detach() / temperature, dim=-1)
    if kind == "forward":
        found = _kl(p, q)
    elif kind == "reverse":
        found = _kl(q, p)
    else:
        m = torch.logaddexp(p + math.log(beta), q + math.log1p(-beta))
        found = beta * _kl(p, m) + (1 - beta) * _kl(q, m)
    return found * temperature**2


def top_divergence(student: torch.Tensor, places: torch.Tensor, logprobs: torch.Tensor) -> torch.Tensor:
    """Forward KL from what a hosted teacher tells: the log-probabilities of its likeliest tokens, [rows].

    All other tokens are one event whose probability is what is left. Merging events loses information, so this is a
    lower bound of the whole divergence, and equal to it where the tokens told are all that there are.

    Args:
        student: logits [rows, vocabulary].
        places: the tokens told, int64 [rows, k]; -1 where fewer were.
        logprobs: the teacher's log-probabilities of them, [rows, k].
    """
    q = torch.log_softmax(student, dim=-1)
    told = places >= 0
    mine = q.gather(-1, places.clamp(min=0))
    p = torch.where(told, logprobs, -math.inf).exp()
    inside = torch.where(told & (p > 0), p * (logprobs - mine), 0.0).sum(-1)
    rest = (1 - p.sum(-1)).clamp(min=0)
    mine_rest = (1 - torch.where(told, mine.exp(), 0.0).sum(-1)).clamp(min=1e-12)
    outside = torch.where(rest > 1e-6, rest * (rest.clamp(min=1e-12).log() - mine_rest.log()), 0.0)
    return inside + outside


def _kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """KL of two log-distributions, summed over the last dimension; 0 log 0 is 0."""
    return torch.where(p > -math.inf, p.exp() * (p - q), 0.0).sum(-1)
