"""The page on statistics says what was measured: its tables are those of the recorded simulations."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dstill.eval.statistics import wilson_bounds
from scipy import stats

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "statistics.md").read_text()
SECTION = PAGE.split("## Where an interval holds what it says", 1)[1].split("\n## ", 1)[0]


def tables() -> list[str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "eval" / "coverage_tables.py")], check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    return done.stdout.strip().split("\n\n")


def test_its_tables_are_what_was_measured() -> None:
    coverage, alarms, monitor = tables()
    for table in (coverage, alarms, monitor):
        assert table in SECTION  # else paste what benchmarks/eval/coverage_tables.py prints
    assert coverage.count("\n") > 15
    assert "| n = 100: 2 % |" in coverage


def test_every_interval_of_the_table_has_its_promise() -> None:
    coverage, _, _ = tables()
    promises = "".join(re.findall(r"^- \*\*(.*?)\*\*", SECTION, re.M))
    for name in re.findall(r"^\| (`\w+`)", coverage, re.M):
        assert name in promises


@pytest.mark.parametrize("n", [20, 100, 1000])
def test_wilson_is_no_worse_than_the_page_says(n: int) -> None:
    """Coverage is least just outside an end of one of its intervals, so that is where it is summed."""
    found = re.search(r"([\d.]+) % where ten\s.*?\s([\d.]+) % where one.*?and ([\d.]+) % beyond", SECTION, re.S)
    assert found is not None
    right = np.arange(n + 1)
    low, high = wilson_bounds(right, n, stats.norm.ppf(0.975))
    share = np.concatenate([low - 1e-9, high + 1e-9])
    share = share[(share > 0) & (share <= 0.5), None]  # the other half is its mirror image
    held = (stats.binom.pmf(right, n, share) * ((low <= share) & (share <= high))).sum(axis=1)
    for wrong, said in zip((10, 1, 0), found.groups(), strict=True):
        least = 100 * held[n * share[:, 0] >= wrong].min(initial=1)
        assert least >= float(said) - 0.05
        assert (n, wrong) not in {(100, 10), (20, 1), (20, 0)} or least == pytest.approx(float(said), abs=0.05)
