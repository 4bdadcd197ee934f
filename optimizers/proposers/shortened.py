"""Shorter versions of the best prompt: fewer demonstrations, and instructions in fewer words.

Prompts may often be cut without a loss (Jiang et al., "LLMLingua", 2310.05736), and CAPO puts a price on length (Zehle
et al., 2504.16005). Here nothing is cut token by token: demonstrations are left out, and a model is asked for a shorter
instruction. Whether a shorter version takes the place of the best is decided in ``optimizers/shorter.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import dspy

from ..candidate import Candidate, Demo
from ..history import History
from .base import Ground, fresh

NAME = "shortened"
LONG = 60
"""Characters of an instruction from which on a shorter one is asked for."""
ROUNDS = 3
"""How often every way of cutting is tried; each time chance may leave out others."""


class ShortenInstruction(dspy.Signature):
    """Say an instruction in as few words as you can, so that a language model that follows it still does the same.

    Keep every fact and rule that decides an answer. Leave out repetition, courtesies and what is obvious.
    """

    current: str = dspy.InputField(desc="the instruction in use")
    instruction: str = dspy.OutputField(desc="the same in fewer words")


@dataclass(frozen=True)
class ShortenedPrompts:
    """The leader with something left out: demonstrations (one, half, all), or words of an instruction."""

    ground: Ground

    @property
    def name(self) -> str:
        """``shortened``."""
        return NAME

    def propose(self, history: History, rng: Random, n: int) -> Sequence[Candidate]:
        """Up to ``n`` candidates, each shorter than the leader; the way of cutting is left to chance."""
        parent = history.leader().candidate if history.trials else self.ground.baseline
        found = (cut for cut in self._cuts(parent, rng) if cut.length < parent.length)
        return [candidate.made_from(parent) for candidate in fresh(history, found, n)]

    def _cuts(self, parent: Candidate, rng: Random) -> Iterator[Candidate]:
        ways = [(name, way) for name, state in parent.predictors.items() for way in ("one", "half", "all", "words")
                if (len(state.instructions) > LONG if way == "words" else state.demos)]  # fmt: skip
        for _ in range(ROUNDS):
            rng.shuffle(ways)
            for name, way in ways:
                state = parent.predictors[name]
                if way == "words":
                    request = {"current": state.instructions}
                    text = self.ground.write(ShortenInstruction, request, rng.randrange(1, 2**31))
                    if text:
                        yield parent.with_state(name, instructions=text)
                else:
                    demos = _fewer(state.demos, way, rng)
                    yield parent.with_state(name, demos=demos, pool=state.pool if demos else ())


def _fewer(demos: Sequence[Demo], way: str, rng: Random) -> tuple[Demo, ...]:
    """Some demonstrations, in their order: all but one, half of them, or none."""
    count = {"one": len(demos) - 1, "half": len(demos) // 2, "all": 0}[way]
    return tuple(demos[place] for place in sorted(rng.sample(range(len(demos)), count)))
