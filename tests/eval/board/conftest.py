"""A page with two tasks to look at, and a browser to look at it with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import browser as browsers
import numpy as np
import pytest
from browser import Browser
from dstill.eval import Boards, Report, boards
from outcomes import report

EVIL = "</script><script>window.hacked=1</script><!--<img src=x onerror=window.hacked=1>&amp;\u2028\"'</textarea>"
COUNT = 300
PLACES = 12
"""The example whose outputs are evil."""


@pytest.fixture(scope="session")
def chrome() -> Iterator[Browser]:
    """One headless Chromium for all tests of a worker."""
    if browsers.chromium() is None:
        pytest.skip("no Chromium with its driver here: apt-get install chromium chromium-driver")
    with Browser() as one:
        yield one


def reports() -> list[Report]:
    """Five systems on two tasks: right or wrong on sums, graded on words, where one of them is missing."""
    chance = np.random.default_rng(3)
    found = []
    for place, (rate, usd) in enumerate([(0.5, 0.1), (0.9, 2.0), (0.85, 9.0), (0.4, 0.5), (0.7, 0.3)]):
        name = EVIL if place == 4 else f"system {'ABCD'[place]}"
        right = (chance.random(COUNT) < rate).astype(float).tolist()
        outputs = [
            {"answer": f"{value:g} of {i}", "reasoning": f"thought {i}\n{name}"} for i, value in enumerate(right)
        ]
        outputs[PLACES]["answer"] = EVIL
        scores: list[float | None] = list(right)
        if place == 3:
            scores[5:15] = [None] * 10
        found.append(report(name, scores, outputs=outputs, usd=usd, parameters=10 ** (6 + place)))
    for place, rate in enumerate([0.5, 0.8, 0.6, 0.7]):
        graded = np.round(chance.random(80) * rate, 2).tolist()
        found.append(report(f"system {'ABCD'[place]}", graded, task="words", usd=place / 10))
    for place, rate in enumerate([0.6, 0.5, 0.9]):  # another metric of the sums, and systems that it has not
        graded = np.round(chance.random(COUNT) * rate, 2).tolist()
        found.append(replace(report(f"system {'ABC'[place]}", graded), metric="score"))
    return found


@pytest.fixture(scope="session")
def both() -> Boards:
    """The boards of both tasks."""
    asked = [
        {
            "id": f"e{i}",
            "question": f"How much is {i} and {i}? {EVIL if i == PLACES else ''}",
            "kind": ["odd", EVIL][i % 2],
        }
        for i in range(COUNT)
    ]
    return boards(reports(), title=f"Two tasks {EVIL}", baseline="system A", examples={"sums": asked})


@pytest.fixture(scope="session")
def saved(both: Boards, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their page."""
    return both.save(tmp_path_factory.mktemp("page"))["html"]
