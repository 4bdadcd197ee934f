"""Matching of representations: a student's hidden states against a teacher's, by distance or by information."""

from __future__ import annotations

import math

import torch
from torch import nn


def mean_square(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean over the dimensions of the squared difference, [rows]; both [rows, dim], the teacher without gradient.

    A student of another width is led to the teacher's by a linear map first (FitNets, 1412.6550; TinyBERT,
    1909.10351): ``Critic.student``.
    """
    return (student - teacher.detach()).square().mean(-1)


def mi_alpha(scores: torch.Tensor, alpha: float = 0.5, *, log_q: float = 1.0) -> torch.Tensor:
    """Minus the MI-alpha lower bound on the information that students' states hold of teachers', [rows].

    Of K pairs, with f(i, j) the critic's score of student i against teacher j, the bound of Poole et al. ("On
    Variational Bounds of Mutual Information", 1905.06922, I_alpha), which Distiller (2109.11105) maximises:

        1 + E[log e^f(i, i) / (alpha m(i) + (1 - alpha) q)] - E[e^f(i, j) / (alpha m(i) + (1 - alpha) q)]

    where m(i) is the mean over the teachers j of e^f(i, j) and q a constant. At alpha = 1 it is InfoNCE, which cannot
    pass log K; at alpha = 0 the bound of Nguyen, Wainwright and Jordan (q = e), of large variance.

    Args:
        scores: f, [K, K]; the diagonal holds the pairs.
        alpha: from 0 to 1.
        log_q: the logarithm of q.
    """
    rows = scores.shape[0]
    log_m = torch.logsumexp(scores, dim=1) - math.log(rows)
    base = torch.full_like(log_m, log_q)
    if alpha >= 1:
        base = log_m
    elif alpha > 0:
        base = torch.logaddexp(log_m + math.log(alpha), base + math.log1p(-alpha))
    joint = scores.diagonal() - base
    apart = torch.exp(torch.logsumexp(scores, dim=1) - math.log(rows) - base)
    return -(1 + joint - apart)


class Critic(nn.Module):
    """Leads a student's states to a teacher's width, and scores pairs by scaled cosine; thrown away after training."""

    def __init__(self, student: int, teacher: int, *, seed: int = 0, scale: float = 10.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.student = nn.Linear(student, teacher, bias=False)
        nn.init.normal_(self.student.weight, std=student**-0.5, generator=generator)
        self.scale = nn.Parameter(torch.tensor(math.log(scale)))

    def forward(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """[K, dim] and [K, teacher's dim] to scores [K, K]."""
        mine = nn.functional.normalize(self.student(student), dim=-1)
        theirs = nn.functional.normalize(teacher.detach(), dim=-1)
        return self.scale.exp() * mine @ theirs.T
