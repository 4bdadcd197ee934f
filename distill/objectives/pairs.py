"""Pairs of rows instead of rows: of few texts there are many pairs, and they teach what makes texts alike."""

from __future__ import annotations

import torch


def pair_loss(vectors: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """How far each row's cosines with the other rows are from 1 for the same label and 0 for another, squared, [rows].

    The loss of SetFit (Tunstall et al., "Efficient Few-Shot Learning Without Prompts", 2209.11055) on all pairs of a
    batch at once, so that n texts are read for n squared pairs. Rows of the same label and rows of others weigh alike,
    however many of each there are.

    Args:
        vectors: [rows, dim].
        targets: probabilities of the labels, [rows, classes]; two rows have the same one with the probability that
            independent draws would.
    """
    unit = torch.nn.functional.normalize(vectors, dim=-1)
    others = 1 - torch.eye(len(unit), dtype=unit.dtype, device=unit.device)
    same = targets @ targets.T
    far = (unit @ unit.T - same) ** 2
    alike, unlike = same * others, (1 - same).clamp(min=0) * others
    return sum(((far * kind).sum(-1) / kind.sum(-1).clamp(min=1e-6) for kind in (alike, unlike)), torch.zeros(())) / 2
