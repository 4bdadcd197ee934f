"""What a step of training consists of: a function of its number and of how hard training is by then.

Where other processes make the steps beforehand (`Ahead`), a step is as hard as training was that many steps earlier,
so that what is trained on does not depend on who was fast.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from tokenizers import Tokenizer

from ..derive import derive
from .curriculum import episode
from .model import Laid, lay
from .primer import pairs
from .tokens import encode_episode

PRIMER = 0.02  # up to this hardness there are only pairs of tokens, from there on fewer and fewer
PLAN = (
    (PRIMER, 0.25, 0.8),
    (0.55, 0.5, 0.75),
    (1.1, 1.0, 0.0),
)
"""Up to a hardness: the share of the batch in a step, and the skill below which hardness stays where it is. To look up
what stood behind a token before is learned in one sudden step, after some four hundred of them whatever their size;
what goes on without it comes to a halt (measured)."""
LENIENT = 0.15  # so much less is asked of the small one in the lessons


def primed(hardness: float) -> float:
    """The share of primer sequences among those of a step."""
    return 1.0 if hardness < PRIMER else max(0.0, 0.3 - (hardness - PRIMER))


def stage(hardness: float, size: str) -> tuple[float, float]:
    """The share of the batch in a step, and the skill that it takes to go on."""
    share, skill = next((share, skill) for end, share, skill in PLAN if hardness < end)
    return share, skill - (LENIENT if size == "small" and hardness >= PRIMER else 0.0)


@dataclass(frozen=True)
class Steps:
    """The sequences of one process's part of every step."""

    tokenizer: Path
    size: str
    vocab: int
    context: int
    seed: int
    batch: int
    """tokens of a whole step, of all processes"""
    row: int
    """most tokens of a group"""
    rank: int = 0
    world: int = 1

    def groups(self, step: int, hardness: float) -> Iterator[Laid]:
        """This process's sequences of a step, in groups of at most `row` tokens."""
        share = int(self.batch * stage(hardness, self.size)[0]) // self.world
        group: list[tuple[list[int], list[float]]] = []
        total = size = i = 0
        while total < share:
            ids, weights = self._sequence(step, i, hardness)
            i += 1
            if len(ids) > self.context:
                continue
            if size + len(ids) > self.row and group:
                yield lay(group)
                group, size = [], 0
            group.append((ids, weights))
            size += len(ids)
            total += len(ids)
        yield lay(group)

    def _sequence(self, step: int, i: int, hardness: float) -> tuple[list[int], list[float]]:
        """The i-th sequence of a step: token ids and how much each counts."""
        rng = derive(self.seed, "train", step, self.rank, i)
        if rng.random() < primed(hardness):
            return pairs(rng, self.vocab, min(1.0, hardness / PRIMER))
        learned = max(0.0, (hardness - PRIMER) / (1 - PRIMER))
        return encode_episode(_tokenizer(self.tokenizer), episode(rng, "train", learned))


class Ahead:
    """Makes steps `ahead` of training in other processes; with 0 in this one, when they are asked for."""

    def __init__(self, steps: Steps, ahead: int, step: int, planned: list[float]):
        """`planned`: the hardness of this step and of the `ahead` ones behind it."""
        self.steps, self.step, self.planned = steps, step, deque(planned)
        self.pool = None
        self.made: deque[Future[list[Laid]]] = deque()
        if ahead:
            workers = min(ahead, max(1, (os.cpu_count() or 2) - 1))
            self.pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
            self.made.extend(self.pool.submit(_groups, steps, step + n, hard) for n, hard in enumerate(planned))

    def take(self) -> Iterator[Laid]:
        """The groups of the step that is due."""
        return iter(self.made[0].result()) if self.pool else self.steps.groups(self.step, self.planned[0])

    def plan(self, hardness: float) -> None:
        """That step is done and training this hard now."""
        self.step += 1
        self.planned.popleft()
        self.planned.append(hardness)
        if self.pool:
            self.made.popleft()
            self.made.append(self.pool.submit(_groups, self.steps, self.step + len(self.planned) - 1, hardness))

    def close(self) -> None:
        """End the other processes."""
        if self.pool:
            self.pool.shutdown(cancel_futures=True)


def _groups(steps: Steps, step: int, hardness: float) -> list[Laid]:
    return list(steps.groups(step, hardness))


@cache
def _tokenizer(path: Path) -> Tokenizer:
    return Tokenizer.from_file(str(path))
