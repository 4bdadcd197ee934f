"""Instructions rewritten from failures: a language model reads what went wrong, and what the metric said of it.

After GEPA's reflective mutation (Agrawal et al., 2507.19457, algorithm 1): a parent from the front of those that are
best on some example, one predictor, a few examples, their feedback, a new instruction. GEPA lets the child into its
pool if it does better on the same few examples; here the race decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import dspy

from ...eval.rows import Row
from ...runtime.canonical import as_json
from ..blame import to_mend
from ..candidate import Candidate
from ..history import History
from .base import Attempt, Ground, fresh
from .front import draw_parent

BATCH = 12
"""Training examples that a parent runs on for each rewriting."""
WIDTH = 600
"""Most characters of one value in a request."""
TRIES = 2
"""Rewritings tried for each one wanted; nothing may have failed, or the text may be known already."""


class RewriteInstruction(dspy.Signature):
    """Rewrite an instruction so that a language model no longer makes the mistakes that are shown.

    Read what was answered and what the feedback says of it. Keep of the instruction what works, and add the facts and
    rules that the mistakes show to be missing.
    """

    current: str = dspy.InputField(desc="the instruction in use")
    mistakes: str = dspy.InputField(desc="inputs, the answers that were given, and feedback")
    instruction: str = dspy.OutputField(desc="a better instruction")


@dataclass(frozen=True)
class ReflectedInstructions:
    """A parent's instruction for one predictor, rewritten by the prompt model from failures on training examples."""

    ground: Ground
    batch: int = BATCH
    """Training examples to run a parent on; without a failure among them there is nothing to rewrite from."""
    shown: int = 4
    """Most failures in a request."""

    @property
    def name(self) -> str:
        """``reflected``."""
        return "reflected"

    def propose(self, history: History, rng: Random, n: int) -> Sequence[Candidate]:
        """Up to ``n`` candidates, from at most ``TRIES`` times as many parents; from one that never failed, none."""
        names = list(self.ground.baseline.predictors)

        def rewritten(name: str) -> Candidate | None:
            drawn = draw_parent(history, rng)
            parent = self.ground.baseline if drawn is None else drawn.candidate
            places = sorted(rng.sample(range(len(self.ground.train)), min(self.batch, len(self.ground.train))))
            rollout = rng.randrange(1, 2**31)
            failed = [a for a in self.ground.attempts(parent, places) if a.row.score is not None and a.row.score < 1.0]
            told = [text for a in sorted(failed, key=_worst) if (text := self._mistake(a, name))][: self.shown]
            request = {"current": parent.predictors[name].instructions, "mistakes": "\n\n".join(told)}
            text = self.ground.write(RewriteInstruction, request, rollout) if told else ""
            return parent.with_state(name, instructions=text).made_from(parent) if text else None

        tried = (rewritten(name) for name in to_mend(history, names, rng, TRIES * n))
        return fresh(history, (candidate for candidate in tried if candidate is not None), n)

    def _mistake(self, attempt: Attempt, name: str) -> str:
        """What a predictor did in a failed run and what is said of the run; nothing if it was not reached."""
        example = self.ground.train[attempt.place]
        row = attempt.row
        steps = [step for step in attempt.steps if step.predictor == name]
        if steps:
            shown = _lines(steps[-1].demo)
        elif row.failure is not None:  # an answer that could not be read leaves no step
            shown = f"{_lines({k: as_json(v) for k, v in example.inputs().items()})}\nno answer: {row.failure.message}"
        else:
            return ""
        return f"{shown}\nfeedback: {_feedback(row, example)}"


def _worst(attempt: Attempt) -> tuple[float, int]:
    """The lowest scores first; of equals, in order of place."""
    return attempt.row.score or 0.0, attempt.place


def _feedback(row: Row, example: dspy.Example) -> str:
    """The metric's own words, or the labels of the example where it has none."""
    labels = {name: as_json(value) for name, value in example.labels().items() if name != "id"}
    return row.feedback or f"the answer is wrong; right is\n{_lines(labels)}"


def _lines(values: Mapping[str, Any]) -> str:
    return "\n".join(f"{field}: {str(value)[:WIDTH]}" for field, value in values.items())
