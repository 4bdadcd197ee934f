"""Reports from plain numbers, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dstill.eval import Report, Row
from dstill.eval.rows import Failure


def report(
    system: str,
    scores: Sequence[float | None],
    *,
    outputs: Sequence[dict[str, Any]] | None = None,
    ids: Sequence[str] | None = None,
    task: str = "sums",
    usd: float = 0.0,
    parameters: int | None = None,
    failed: Sequence[int] = (),
    notes: tuple[str, ...] = (),
) -> Report:
    """A system's report; ``None`` is an unscored row, ``failed`` the places of rows without a prediction."""
    rows = [
        Row(
            index, f"e{index}" if ids is None else ids[index],
            "unscored" if score is None else "failed" if index in failed else "scored", score, "",
            {"answer": f"{system} says {score}"} if outputs is None else outputs[index],
            Failure("parse", "AdapterParseError", "no field") if index in failed else None,
            1, 100, 10, usd / 1000, 0.01 * (index + 1),
        )
        for index, score in enumerate(scores)
    ]  # fmt: skip
    return Report(system, task, "test", "exact", tuple(rows), parameters, notes)
