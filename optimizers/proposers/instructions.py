"""Instructions written by a language model that is shown the program, examples, and past attempts with their scores.

After OPRO's trajectory of scored attempts (Yang et al., 2309.03409) and MIPROv2's grounding in data and program
(Opsahl-Ong et al., 2406.11695).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import dspy

from ..blame import to_mend
from ..candidate import Candidate
from ..history import History
from .base import Ground, fresh

TIPS = (
    "Be precise and short.",
    "Say when each possible answer is right.",
    "Warn of the mistakes that are easy to make.",
    "Explain step by step how to decide.",
    "Describe the input and the output in plain words.",
    "Give the rule behind the examples.",
)


class WriteInstruction(dspy.Signature):
    """Write an instruction for a language model that will perform the task shown in the examples."""

    current: str = dspy.InputField(desc="the instruction in use")
    examples: str = dspy.InputField(desc="inputs with their right outputs")
    attempts: str = dspy.InputField(desc="earlier instructions with their scores, best last")
    tip: str = dspy.InputField()
    instruction: str = dspy.OutputField(desc="a better instruction")


@dataclass(frozen=True)
class WrittenInstructions:
    """New instructions for one predictor at a time, half of them on top of the best trial's demonstrations.

    The others are shown with the demonstrations that were declared, mostly none: where demonstrations do harm, an
    instruction is not seen to be good beside them. Which predictor is left to ``to_mend``.
    """

    ground: Ground
    shown: int = 6
    """Training examples in each request."""

    @property
    def name(self) -> str:
        """``instructions``."""
        return "instructions"

    def propose(self, history: History, rng: Random, n: int) -> Sequence[Candidate]:
        """Up to ``n`` candidates; a request that fails yields none."""
        best = history.leader().candidate if history.trials else self.ground.baseline
        names = to_mend(history, list(best.predictors), rng, n)
        told = ((name, self._write(history, rng, name)) for name in names)
        return fresh(history, (self._told(best, name, text, rng) for name, text in told if text), n)

    def _told(self, best: Candidate, name: str, text: str, rng: Random) -> Candidate:
        declared = self.ground.baseline.predictors[name]
        if rng.random() < 0.5:
            return best.with_state(name, instructions=text)
        return best.with_state(name, instructions=text, demos=declared.demos, pool=declared.pool)

    def _write(self, history: History, rng: Random, name: str) -> str:
        pool = self.ground.labelled(name)
        shown = [demo for _, demo in rng.sample(pool, min(self.shown, len(pool)))]
        request = {
            "current": self.ground.baseline.predictors[name].instructions,
            "examples": "\n\n".join(_lines(demo) for demo in shown) or "none",
            "attempts": _attempts(history, name) or "none",
            "tip": rng.choice(TIPS),
        }
        return self.ground.write(WriteInstruction, request, rng.randrange(1, 2**31))


def _lines(demo: Any) -> str:
    return "\n".join(f"{field}: {value}" for field, value in demo.items())


def _attempts(history: History, name: str, most: int = 5) -> str:
    scored: dict[str, float] = {}
    for trial in history.trials:
        if trial.scores:
            text = trial.candidate.predictors[name].instructions
            scored[text] = max(scored.get(text, 0.0), history.estimate(trial))
    best = sorted(scored.items(), key=lambda item: item[1])[-most:]
    return "\n".join(f"{100 * score:.0f}: {' '.join(text.split())}" for text, score in best)
