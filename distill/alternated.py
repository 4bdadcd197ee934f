"""What ``alternate`` is asked and what it returns."""

from __future__ import annotations

import html
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..eval.compare import Comparison
from ..optimizers.compile import RESERVE
from ..optimizers.config import Optimizer
from ..runtime.budget import Budget
from ..runtime.errors import BadInput
from .distilled import DistilledProgram
from .recipes import Recipe
from .state import check_margin


@dataclass(frozen=True)
class Alternation:
    """Which steps in which order, and how each kind is done."""

    strategy: str = "p -> w -> p"
    """``p`` searches prompts, ``w`` trains weights; they take turns."""
    optimizer: str | Optimizer = "race"
    """How prompts are searched; see ``compile``."""
    recipe: str | Recipe = "prompted"
    """How weights are trained; see ``distill``."""
    margin: float = 0.01
    """What the program may lose with newly trained weights, in score; see ``distill``."""

    def __post_init__(self) -> None:
        order = self.order if isinstance(self.strategy, str) else ()
        if not order or set(order) - {"p", "w"} or any(a == b for a, b in pairwise(order)):
            raise BadInput(
                f"strategy {self.strategy!r}: expected p (prompts) and w (weights) in turn, such as 'p -> w -> p'"
            )
        check_margin(self.margin)

    @property
    def order(self) -> tuple[str, ...]:
        """The steps, ``p`` or ``w``."""
        return tuple(part.strip() for part in self.strategy.split("->"))

    def share(self, budget: Budget) -> Budget:
        """What a step may spend: what is not kept for measuring the gain, in equal parts."""
        return budget.part((1 - RESERVE) / len(self.order))


@dataclass(frozen=True)
class Step:
    """What a step brought."""

    folder: str
    """Its run directory in that of the alternation, such as ``2-weights``."""
    verdict: str
    """What it says of itself: a gain over the program before it, or which students are not inferior."""
    shipped: tuple[str, ...] = ()
    """Predictors that went on with new weights."""

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {"folder": self.folder, "verdict": self.verdict, "shipped": list(self.shipped)}


@dataclass(frozen=True, repr=False)
class AlternatedProgram(DistilledProgram):
    """A program whose prompts and weights were made in turn. Call it like the program."""

    steps: tuple[Step, ...] = ()
    gain: Comparison | None = None
    """Of the whole over the declared program, on dev rows that had no part in choosing prompts; ``None`` where budget
    or rows were lacking."""

    @property
    def verdict(self) -> str:
        """What may be claimed, in a sentence."""
        if self.gain is None:
            text = "its gain was not measured: neither budget nor dev rows were left for it"
        else:
            d, word = self.gain.difference, {"better": "a gain of", "worse": "a loss:"}
            said = word.get(self.gain.verdict, "no significant gain:")
            text = (
                f"{said} {100 * d.value:+.1f} points [{100 * d.low:+.1f}, {100 * d.high:+.1f}] over the declared "
                f"program on {self.gain.n} dev rows kept apart from the search for prompts"
            )
        return text if self.stopped is None else f"{text} (stopped early: {self.stopped})"

    def __str__(self) -> str:
        steps = [f"{step.folder}: {step.verdict}" for step in self.steps]
        return "\n".join([f"{self.name} of {self.task}: {self.verdict}", *steps])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><code>{html.escape(step.folder)}</code></td><td>{html.escape(step.verdict)}</td></tr>"
            for step in self.steps
        )
        title = f"<b>{html.escape(self.name)}</b> of {html.escape(self.task)}: {html.escape(self.verdict)}"
        return f"{title}<table><tr><th>step</th><th>what it brought</th></tr>{rows}</table>{self._courses()}"
