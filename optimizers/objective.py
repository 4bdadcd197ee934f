"""What a search is after: the score alone, or the score together with what it costs to run the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..eval.rows import Row
from ..runtime.errors import BadInput

SCORE = "score"
OTHERS = {
    "cost": "dollars for an example",
    "latency": "seconds in models for an example, as the journal keeps them",
    "prompt_tokens": "tokens read for an example",
}
"""What may be asked for besides the score, all of it the less the better."""
_WAYS = {"maximize": "maximized", "minimize": "minimized"}


@dataclass(frozen=True)
class Objective:
    """What to search for. Of several objectives the result is a front; ``pick`` says which of its points to take."""

    names: tuple[str, ...] = (SCORE,)
    """``score``, and any of ``cost``, ``latency`` and ``prompt_tokens``."""
    pick: Mapping[str, float] = field(default_factory=dict)
    """Limits: the least score, the most of the others; or ``trial``, the number of a point. By default the point of the
    highest score."""

    def __post_init__(self) -> None:
        names = ", ".join([SCORE, *OTHERS])
        seen: dict[str, str] = {}
        for text in self.names:
            way, colon, name = text.rpartition(":")
            if name not in (SCORE, *OTHERS):
                raise BadInput(f"objective {name!r} is not known; expected some of: {names}")
            own = "maximize" if name == SCORE else "minimize"
            asked = way if colon else own
            if asked not in _WAYS:
                raise BadInput(f"objective {text!r}: expected one of {names}, with maximize: or minimize: before it")
            if name in seen:
                both = f"is to be {_WAYS[seen[name]]} and {_WAYS[asked]}" if seen[name] != asked else "stands twice"
                raise BadInput(f"objective {','.join(self.names)!r} is contradictory: {name} {both}")
            seen[name] = asked
        for name, asked in seen.items():
            own = "maximize" if name == SCORE else "minimize"
            if asked != own:
                raise BadInput(f"objective {asked}:{name} makes no program better: {name} can only be {_WAYS[own]}")
        if SCORE not in seen:
            raise BadInput(
                f"objective {','.join(self.names)!r} lacks {SCORE}: without it the program that says nothing wins"
            )
        object.__setattr__(self, "names", (SCORE, *(name for name in seen if name != SCORE)))
        if self.pick and not self.several:
            raise BadInput(f"pick={dict(self.pick)} needs a front: expected an objective such as 'score,prompt_tokens'")
        check_limits(self.names, self.pick)

    @property
    def several(self) -> bool:
        """Whether the result is a front."""
        return len(self.names) > 1

    def dump(self) -> dict[str, Any]:
        """As JSON, for configurations."""
        return {"names": list(self.names), "pick": dict(self.pick)}

    @classmethod
    def load(cls, body: Mapping[str, Any]) -> Objective:
        """The inverse of ``dump``."""
        return cls(tuple(body["names"]), dict(body["pick"]))


def objective_of(spec: str | Objective, pick: Mapping[str, float] | None = None) -> Objective:
    """The objective of a text such as ``score,prompt_tokens``, or a value.

    Raises:
        BadInput: for an unknown name, one that stands twice, or a direction that makes no sense.
    """
    if isinstance(spec, Objective):
        return spec
    if not isinstance(spec, str):
        raise BadInput(f"objective={spec!r}: expected a text such as 'score,prompt_tokens', or an Objective")
    return Objective(tuple(part.strip() for part in spec.split(",")), pick or {})


def check_limits(names: tuple[str, ...], limits: Mapping[str, float]) -> None:
    """Raises BadInput for limits that a front of these objectives cannot be asked for."""
    for name, value in limits.items():
        if name != "trial" and name not in names:
            raise BadInput(f"pick by {name!r}: expected trial, or limits of {', '.join(names)}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadInput(f"pick {name}={value!r}: expected a number")
    if "trial" in limits and len(limits) > 1:
        raise BadInput(f"pick {dict(limits)} is contradictory: expected the number of a trial, or limits")


def measured(row: Row, names: tuple[str, ...]) -> dict[str, float]:
    """What a row says of the objectives besides the score."""
    found = {"cost": row.usd, "latency": row.seconds, "prompt_tokens": float(row.tokens_in)}
    return {name: found[name] for name in names if name != SCORE}
