"""Rationales as an auxiliary task for encoders, which cannot write them: tell what the rationale says, then forget how.

The encoder's representation of the input must say which words the teacher's rationale uses, or be nearer to its own
rationale's representation than to those of the other rows. Neither is asked at inference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class WordTargets:
    """The words that rationales are told by, and each row's share of them."""

    words: tuple[int, ...]
    """Token ids: those that occur in enough rationales, and not in nearly all."""
    shares: torch.Tensor
    """[rows, words]: each row's new words in equal parts; all 0 for a row without a rationale."""

    @classmethod
    def of(
        cls, rationales: Sequence[Sequence[int]], inputs: Sequence[Sequence[int]], *, most: int = 2000, least: int = 3
    ) -> WordTargets:
        """From token ids of rationales and of inputs; words of the input are no news and are left out."""
        new = [sorted(set(why) - set(given)) for why, given in zip(rationales, inputs, strict=True)]
        met = Counter(word for row in new for word in row)
        kept = [w for w, n in met.most_common() if n >= least and n <= 0.9 * len(new)][:most]
        place = {word: column for column, word in enumerate(kept)}
        shares = torch.zeros(len(new), len(kept))
        for row, words in enumerate(new):
            columns = [place[word] for word in words if word in place]
            shares[row, columns] = 1 / max(1, len(columns))
        return cls(tuple(kept), shares)


def word_loss(logits: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the words of a rationale, [rows]; logits and shares [rows, words]. A row without any is 0."""
    return -(shares * torch.log_softmax(logits, dim=-1)).sum(-1)


def in_batch(scores: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Of each row's representation against all rationales of the batch: -log of its own one's share, [rows].

    InfoNCE (van den Oord et al., 1807.03748) with the other rows as negatives.

    Args:
        scores: [rows, rows], input against rationale.
        present: whether a row has a rationale, bool [rows]; one without is nobody's negative, and its loss is 0.
    """
    open_scores = scores.masked_fill(~present[None, :], -torch.inf)
    own = scores.diagonal()
    loss = torch.logsumexp(torch.cat([open_scores, own[:, None].masked_fill(present[:, None], -torch.inf)], 1), 1) - own
    return torch.where(present, loss, 0.0)
