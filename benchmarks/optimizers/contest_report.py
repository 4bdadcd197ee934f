"""What ``contest.py`` found, in figures and pictures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from common import RESULTS, record
from plot import chart
from scipy import stats

Row = dict[str, Any]
GOAL = {
    "MIPROv2 light": 0.25, "MIPROv2 medium": 0.25, "MIPROv2 light, 8 demos": 0.25, "GEPA light": 0.5, "CAPO": 0.5,
}  # fmt: skip
"""The share of a rival's calls that was asked for."""


def report(rows: list[Row], caps: Sequence[int]) -> None:
    """Write the results, a picture for each task, and say them in a line."""
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    figures: Row = {"reach": {}, "scores": {}, "runs": rows}
    lines = []
    for rival in GOAL:
        own = [row for row in rows if rival in row]
        figures["reach"][rival] = {
            "all": reached(own, rival),
            **{kind: reached([row for row in own if row["kind"] == kind], rival) for kind in kinds},
        }
        found = figures["reach"][rival]["all"]
        if found is not None:
            lines.append(
                f"{rival}'s last score with {_percent(found['median'])} [{_percent(found['low'])}, "
                f"{_percent(found['high'])}] of its calls in the median of {found['n']} runs "
                f"({100 * found['within_goal']:.0f} % of them with {100 * GOAL[rival]:.0f} % of its calls at the most)"
            )
    for cap in caps:
        figures["scores"][cap] = {}
        for rival in GOAL:
            every = {"all": [row for row in rows if rival in row]}
            every |= {kind: [row for row in rows if rival in row and row["kind"] == kind] for kind in kinds}
            figures["scores"][cap][rival] = {
                k: apart([_ahead(row, rival, cap) for row in own]) for k, own in every.items()
            }
        means = [f"{rival} {_points(figures['scores'][cap][rival]['all'])}" for rival in GOAL]
        lines.append(f"{cap} calls, points ahead of: {', '.join(means)}")
    picture("all tasks", rows)
    for kind in kinds:
        picture(kind, [row for row in rows if row["kind"] == kind])
    record("contest", figures, "; ".join(lines))


def reached(rows: Sequence[Row], rival: str) -> Row | None:
    """The share of a rival's calls after which dstill has its last score or a better one: median and 95 % interval.

    The interval is that of order statistics (Conover, Practical Nonparametric Statistics, 3.2). A score that dstill
    never reached counts as infinitely many calls, one that the declared program has as none.
    """
    if not rows:
        return None
    shares = []
    for row in rows:
        _, calls, end = row[rival][-1]
        needed = 0 if row["declared"] >= end else next((c for _, c, score in row["dstill"] if score >= end), math.inf)
        shares.append(needed / max(1, calls))
    shares.sort()
    n = len(shares)
    low = int(stats.binom.ppf(0.025, n, 0.5))
    bounds = {"low": shares[max(0, low - 1)], "high": shares[min(n - 1, n - low)]}
    return {
        "n": n, "median": statistics.median(shares), **bounds,
        "reached": sum(map(math.isfinite, shares)) / n, "within_goal": sum(s <= GOAL[rival] for s in shares) / n,
        "nothing_gained": sum(row["declared"] >= row[rival][-1][2] for row in rows) / n,
    }  # fmt: skip


def apart(differences: Sequence[float]) -> Row | None:
    """Mean difference in points and its 95 % interval over seeds (Student's t)."""
    if len(differences) < 2:
        return None
    mean, error = statistics.mean(differences), statistics.stdev(differences) / math.sqrt(len(differences))
    reach = float(stats.t.ppf(0.975, len(differences) - 1)) * error
    return {"n": len(differences), "mean": mean, "low": mean - reach, "high": mean + reach}


def picture(kind: str, rows: Sequence[Row]) -> None:
    """Mean scores on the test rows against calls, on a logarithmic axis."""
    lines = {}
    for name in ("dstill", *GOAL):
        own = [row for row in rows if name in row]
        if len(own) == len(rows):  # lines over other rows could not be compared
            caps = sorted(set.intersection(*({cap for cap, _, _ in row[name]} for row in own)))
            by_cap = {cap: [next(one for one in row[name] if one[0] == cap) for row in own] for cap in caps}
            lines[name] = []
            for cap, found in by_cap.items():
                calls = statistics.mean(min(cap, one[1]) or cap for one in found)
                lines[name].append((calls, statistics.mean(one[2] for one in found)))
    name = f"contest-{kind.replace(' ', '-')}.svg"
    chart(RESULTS / name, kind, ("calls", "% right on the test rows"), lines, log=True)


def _ahead(row: Row, rival: str, cap: int) -> float:
    ours, theirs = ({c: score for c, _, score in row[name]}[cap] for name in ("dstill", rival))
    return float(ours - theirs)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if math.isfinite(share) else "more"


def _points(found: Row | None) -> str:
    return f"{found['mean']:+.1f} [{found['low']:+.1f}, {found['high']:+.1f}]" if found else "none"
