"""What a compilation rests on, and what may be claimed of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..eval.compare import Comparison
from ..eval.statistics.intervals import bonett_price_bounds
from ..eval.statistics.power import detectable_effect, examples_needed

POWER = 0.9
"""With which a gain is found on as many rows as a verdict names."""


@dataclass(frozen=True)
class Evidence:
    """What a compilation rests on."""

    optimizer: str
    trials: int
    """Candidates tried, the declared program included."""
    best: int
    """The trial that selection preferred; 0 is the declared program."""
    gain: Comparison | None
    """Of the chosen candidate over the declared program, on dev rows that had no part in choosing it."""
    spread: float | None = None
    """Mean square of the paired differences behind ``gain``."""
    stopped: str | None = None
    """Why the search ended early, or ``None``."""
    sought: float = 0.05
    """A gain worth having, in score."""
    remarks: tuple[str, ...] = ()
    """What kept the search from telling anything apart."""
    compared: bool = True
    """Whether a race has any score to choose by."""
    lacking: str = ""
    """Why there is no gain, where one was to be measured."""
    apart: float | None = None
    """Share of the dev split that is kept apart."""

    def rows_needed(self, gain: float) -> int | None:
        """Rows apart from selection on which a gain of this size would be significant, nine times out of ten.

        Judged by how often this run's two programs differed; ``None`` where that is not known.
        """
        return examples_needed(self.spread, gain, level=0.975, power=POWER) if self.spread else None

    @property
    def least(self) -> float | None:
        """The smallest gain that the rows apart from selection would show, nine times out of ten."""
        if self.gain is None or not self.spread:
            return None
        return detectable_effect(self.gain.n, self.spread, level=0.975, power=POWER)

    @property
    def verdict(self) -> str:
        """What may be claimed, in a sentence."""
        if self.trials <= 1 and self.optimizer.startswith("dspy:"):
            text = f"the program as declared; {self.optimizer} brought no other"
        elif self.trials <= 1 or not self.compared:
            text = "the program as declared; nothing was compared"
        elif self.optimizer in ("k-shot", "bootstrap"):
            text = "drawn once, without selection; its gain was not measured"
        elif self.best == 0:
            text = "no gain: nothing did better than the declared program on the rows that choose"
        elif self.gain is None:
            text = f"its gain was not measured: {self.lacking or 'nothing was left to confirm it'}"
        else:
            text = self._measured(self.gain)
        text = "; ".join([text, *self.remarks])
        return text if self.stopped is None else f"{text} (stopped early: {self.stopped})"

    @property
    def smallest(self) -> float | None:
        """The smallest gain that would be significant on the rows apart from selection, if nothing were lost on any.

        Of right-or-wrong scores; more than 1 where no gain whatever would be.
        """
        if self.gain is None:
            return None
        wins = np.arange(self.gain.n + 1)
        low, _ = bonett_price_bounds(wins, np.zeros_like(wins), self.gain.n)
        enough = wins[low > 0]
        return float(enough[0]) / self.gain.n if enough.size else math.inf

    def _measured(self, gain: Comparison) -> str:
        d = gain.difference
        points = f"{100 * d.value:+.1f} points [{100 * d.low:+.1f}, {100 * d.high:+.1f}]"
        where = f"over the declared program on {gain.n} dev rows kept apart from selection"
        if gain.verdict == "better":
            return f"a gain of {points} {where}"
        if gain.verdict == "worse":
            return f"no gain but a loss of {points} {where}"
        text = f"no significant gain {where}: {points}"
        needed, least = self.rows_needed(self.sought), self.least
        if needed is None or least is None:  # they never differed, so nothing says how often they might
            smallest = self.smallest or 0.0
            shown = f"a gain of {100 * smallest:.1f} or more" if smallest <= 1 else "no gain whatever"
            return text if smallest <= self.sought else f"{text}; the two never differed, and so few rows show {shown}"
        if least <= self.sought:
            return text
        shown = f"a gain of {100 * least:.1f} or more" if least < 1 else "no gain whatever"
        whole = f" (of {math.ceil(needed / self.apart):,} dev rows in all)" if self.apart else ""
        return f"{text}; so few rows show {shown}, and one of {100 * self.sought:g} would take some {needed:,}{whole}"

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        gain = None
        if self.gain is not None:
            gain = {**self.gain.difference.dump(), "p": self.gain.p, "n": self.gain.n, "wins": self.gain.wins,
                    "losses": self.gain.losses, "verdict": self.gain.verdict}  # fmt: skip
        return {
            "optimizer": self.optimizer, "trials": self.trials, "best": self.best, "gain": gain,
            "stopped": self.stopped, "verdict": self.verdict, "least": self.least,
            "rows_needed": self.rows_needed(self.sought), "sought": self.sought,
            "remarks": list(self.remarks),
        }  # fmt: skip
