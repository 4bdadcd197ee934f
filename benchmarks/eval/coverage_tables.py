"""The tables of ``docs/statistics.md`` on coverage, false alarms and the monitor, from what ``coverage.py`` recorded.

    python benchmarks/eval/coverage_tables.py

A test holds the page to what this prints, so whoever measures anew pastes it there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results" / "coverage.json"
SHORT = 94.0
"""In %: what lies below, more than a point under 95 %, is printed bold."""
INTERVALS = {
    "wilson": "`wilson`", "clopper_pearson": "`clopper_pearson`", "bca": "`bca` of right-or-wrong scores",
    "percentile": "`percentile` of right-or-wrong scores", "bca_graded": "`bca` of graded scores †",
    "percentile_graded": "`percentile` of graded scores †", "paired_interval": "`paired_interval`",
    "paired_bootstrap": "`paired_bootstrap` †", "cluster_mean": "`cluster_mean`",
    "clusters_ignored": "the same scores, clusters ignored", "stratified_mean": "`stratified_mean`",
    "judged_mean": "`judged_mean`, n labels", "best_of_many": "`best_of_many` of ten equals †",
    "plain_wilson_of_best": "the same, by plain `wilson`", "rank_intervals": "`rank_intervals`, five systems †",
    "anytime_interval": "`anytime_interval`, at all times together",
}  # fmt: skip
TESTS = {
    "mcnemar": "`mcnemar`", "paired_interval_leaves_zero": "`paired_interval` leaves zero",
    "two_sample_right_or_wrong": "`two_sample` of right-or-wrong scores",
    "two_sample_graded": "`two_sample` of graded scores †", "sign_flip_graded": "`sign_flip` of graded scores †",
    "all_pairs_one": "`all_pairs`, `p` of one pair †",
    "all_pairs_adjusted": "`all_pairs`, `adjusted`: any of the 45 pairs of ten systems †",
}  # fmt: skip
MONITOR = {"difference_0.05": "5 points better", "difference_0.0": "equal"}


def cells(first: str, names: Mapping[str, str], rates: Mapping[str, Mapping[str, float]], short: float) -> list[str]:
    """A table with a row for each name and a column for each size and accuracy; rates below ``short`` are bold."""
    assert names.keys() == rates.keys(), names.keys() ^ rates.keys()
    places = [where.removeprefix("n=").split(" accuracy=") for where in next(iter(rates.values()))]
    heads = []
    for size, group in groupby(places, key=lambda place: place[0]):
        shown = [f"{100 * float(accuracy):g} %" for _, accuracy in group]
        heads += [f"n = {int(size):,}: {shown[0]}", *shown[1:]]
    body = [[label, *(_percent(rate, short) for rate in rates[name].values())] for name, label in names.items()]
    return table([first, *heads], body)


def monitored(found: Mapping[str, Any]) -> list[str]:
    """What the monitor took to decide, and the fixed test beside it."""
    heads = ["a and b are", "decided after, median", "90 % within", "wrong, %", "fixed test, %", "every 50, %"]
    body = [
        [
            label, f"{one['median_examples']:.0f}", f"{one['examples_90_percent']:,.0f}", _percent(one["wrong"]),
            _percent(one["fixed_test_says_better"]), _percent(one["fixed_test_every_50_says_better"]),
        ]
        for one, label in ((found[name], label) for name, label in MONITOR.items())
    ]  # fmt: skip
    return table(heads, body)


def table(heads: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """Lines of Markdown."""
    first, *rest = (f"| {' | '.join(row)} |" for row in (heads, *body))
    return [first, f"|---|{'---:|' * (len(heads) - 1)}", *rest]


def _percent(rate: float, short: float = 0.0) -> str:
    shown = f"{100 * rate:.1f}"
    return f"**{shown}**" if float(shown) < short else shown


def main() -> None:
    """The three tables, parted by an empty line."""
    found = json.loads(RESULTS.read_text())
    tables = (
        cells("95 % interval", INTERVALS, found["coverage"], SHORT),
        cells("test at 5 %", TESTS, found["false_alarms"], 0.0),
        monitored(found["monitor"]),
    )
    print("\n\n".join("\n".join(lines) for lines in tables))


if __name__ == "__main__":
    main()
