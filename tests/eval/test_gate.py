"""The gate: every decision by the intervals that stand behind it, and how often it is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dstill.eval import Report, Row, gate
from dstill.runtime import BadInput


def report(name: str, scores: Any) -> Report:
    rows = tuple(
        Row(i, f"e{i}", "unscored" if s is None else "scored", s, "", {}, None, 1, 1, 1, 0.0, 0.0)
        for i, s in enumerate(scores)
    )
    return Report(name, "task", "test", "exact", rows, None)


def half(n: int, wins: int, losses: int) -> tuple[Report, Report]:
    """Two systems that are right on half of the rest."""
    rest = n - wins - losses
    same = [float(i % 2) for i in range(rest)]
    return report("ours", [1.0] * wins + [0.0] * losses + same), report("base", [0.0] * wins + [1.0] * losses + same)


@pytest.mark.parametrize(
    ("n", "wins", "losses", "decision"),
    [
        (200, 40, 10, "better"),
        (200, 10, 40, "worse"),
        (2000, 5, 5, "not worse"),
        (2000, 2, 12, "not worse"),  # a loss that is established, and smaller than the margin
        (200, 12, 10, "undecided"),
    ],
)
def test_decisions(n: int, wins: int, losses: int, decision: str) -> None:
    found = gate(*half(n, wins, losses), margin=0.02)
    assert found.decision == decision
    assert (found.needed is not None) == (decision == "undecided")
    assert "ours is " in str(found)
    assert ("would decide" in str(found)) == (decision == "undecided")


def test_what_is_unscored_in_either_is_left_out() -> None:
    ours, base = report("a", [1.0, None, 1.0, 0.0]), report("b", [1.0, 1.0, None, 0.0])
    assert gate(ours, base).comparison.n == 2


def test_other_examples_and_margins_that_make_no_sense() -> None:
    with pytest.raises(BadInput, match="share 3"):
        gate(report("a", [1.0] * 4), report("b", [1.0] * 3))
    with pytest.raises(BadInput, match="margin=0"):
        gate(*half(20, 1, 1), margin=0)


@pytest.mark.parametrize(("loss", "wrong"), [(0.05, ("better", "not worse")), (0.0, ("better", "worse"))])
def test_it_is_seldom_wrong(loss: float, wrong: tuple[str, ...]) -> None:
    """A system that truly loses the margin passes in about 5 %; an equal one is called different in about 5 %."""
    chance, met = np.random.default_rng(0), 0
    for _ in range(400):
        draw = chance.random(300)
        ours = (draw < 0.15).astype(float) + ((draw >= 0.3 + loss) & (draw < 0.7)).astype(float)
        theirs = ((draw >= 0.15) & (draw < 0.7)).astype(float)
        met += gate(report("a", ours), report("b", theirs), margin=0.05).decision in wrong
    assert met / 400 < 0.075
