"""Several samples of one task: does one of k succeed, do all of k, and do the answers agree?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...runtime.errors import BadInput
from .intervals import Interval, mean_interval
from .values import Holed, Scores, as_scores, is_binary


@dataclass(frozen=True, slots=True)
class Reliability:
    """What k tries of a task bring, over tasks."""

    k: int
    any_of_k: Interval
    """pass@k: at least one of k tries is right."""
    all_of_k: Interval
    """pass^k: all of k tries are right."""
    tasks: int
    """Tasks with at least k scored samples; the intervals are over these."""
    too_few: int
    """Tasks left out because they have fewer."""
    unscored: int
    """Samples that were not scored, over all tasks."""

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "k": self.k, "pass_at_k": self.any_of_k.dump(), "pass_hat_k": self.all_of_k.dump(), "tasks": self.tasks,
            "too_few": self.too_few, "unscored": self.unscored,
        }  # fmt: skip

    def __str__(self) -> str:
        few = f"; {self.too_few} with fewer than {self.k} scored answers left out" if self.too_few else ""
        return (
            f"k={self.k}: one of {self.k} is right (pass@{self.k}) {self.any_of_k}, all of {self.k} are right "
            f"(pass^{self.k}) {self.all_of_k} (n={self.tasks}{few})"
        )


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far several answers to one question agree, over questions."""

    observed: Interval
    """The chance that two different answers to a question are equal."""
    kappa: float
    """Fleiss' kappa: the agreement beyond that of answers drawn from all questions, 1 at most; nan if all answers are
    equal."""
    unanimous: float
    """Share of the questions whose answers are all equal."""
    questions: int
    """Questions with at least two answers."""
    too_few: int
    """Questions left out because they have fewer."""
    unscored: int
    """Answers that are ``None``, over all questions."""


def pass_at_k(n: ArrayLike, correct: ArrayLike, k: int) -> Scores:
    """The chance that at least one of k samples is right, without bias from n samples of which some were right:
    ``1 - C(n - c, k) / C(n, k)`` (Chen et al., "Evaluating large language models trained on code", arXiv 2107.03374).

    Args:
        n: samples of each task, at least k; shapes broadcast.
        correct: how many of them are right.
    """
    total, right = _counts(n, correct, k)
    return 1 - _share_of_subsets(total - right, total, k)


def pass_hat_k(n: ArrayLike, correct: ArrayLike, k: int) -> Scores:
    """The chance that all of k samples are right, without bias: ``C(c, k) / C(n, k)`` (Yao et al., "tau-bench", arXiv
    2406.12045). Arguments as for ``pass_at_k``."""
    total, right = _counts(n, correct, k)
    return _share_of_subsets(right, total, k)


def reliability(passes: Holed | Sequence[Holed], k: int, level: float = 0.95) -> Reliability:
    """pass@k and pass^k over tasks, with intervals over tasks: the tasks are what was drawn, not the samples.

    Args:
        passes: ``(tasks, samples)`` of 0 and 1; ``None`` or nan where a sample was not scored.

    Raises:
        BadInput: for other scores, or if no task has k scored samples.
    """
    table = as_scores(passes, dims=2, what="passes")
    there = ~np.isnan(table)
    if not is_binary(table[there]):
        raise BadInput("passes: expected 0 or 1 for every sample; turn other scores into right or wrong first")
    n, right = there.sum(axis=1), np.where(there, table, 0.0).sum(axis=1)
    kept = n >= k
    if k < 1 or not kept.any():
        raise BadInput(
            f"k={k}: expected a number from 1 to the scored samples of a task, here at most {n.max(initial=0)}"
        )
    some, every = (mean_interval(f(n[kept], right[kept], k), level) for f in (pass_at_k, pass_hat_k))
    return Reliability(k, some, every, int(kept.sum()), int((~kept).sum()), int((~there).sum()))


def agreement(answers: Sequence[Sequence[Hashable | None]], level: float = 0.95) -> Agreement:
    """How far repeated answers agree (Fleiss, "Measuring nominal scale agreement among many raters", Psychological
    Bulletin 76, 1971; with different numbers of answers each question counts alike in the observed agreement, and each
    answer alike in the expected one).

    Args:
        answers: for every question its answers, ``None`` where there is none. Equal means equal by ``==``: bring
            answers into one form first.
    """
    kept = [Counter(answer for answer in row if answer is not None) for row in answers]
    unscored = sum(answer is None for row in answers for answer in row)
    enough = [row for row in kept if row.total() >= 2]
    if not enough:
        raise BadInput(f"{len(answers)} questions: expected at least one with two answers or more")
    shares = [sum(c * (c - 1) for c in row.values()) / (row.total() * (row.total() - 1)) for row in enough]
    whole: Counter[Hashable] = sum(enough, Counter())
    expected = math.fsum((count / whole.total()) ** 2 for count in whole.values())
    observed = mean_interval(shares, level)
    kappa = (observed.value - expected) / (1 - expected) if len(whole) > 1 else math.nan
    unanimous = sum(len(row) == 1 for row in enough) / len(enough)
    return Agreement(observed, kappa, unanimous, len(enough), len(answers) - len(enough), unscored)


def _counts(n: ArrayLike, correct: ArrayLike, k: int) -> tuple[Scores, Scores]:
    total, right = np.broadcast_arrays(np.asarray(n, dtype=np.float64), np.asarray(correct, dtype=np.float64))
    if k < 1 or (total < k).any() or (right < 0).any() or (right > total).any():
        raise BadInput(f"k={k}, n={n!r}, correct={correct!r}: expected 1 <= k <= n and 0 <= correct <= n")
    return total, right


def _share_of_subsets(some: Scores, total: Scores, k: int) -> Scores:
    """``C(some, k) / C(total, k)`` as a product, which does not overflow."""
    steps = np.arange(k)
    left = np.maximum(some[..., None] - steps, 0.0)
    found: Scores = np.prod(left / (total[..., None] - steps), axis=-1)
    return found
