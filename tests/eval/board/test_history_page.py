"""The history on the page: a plot and a table of versions, for the system that is chosen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser
from dstill.eval import Board, BoardFolder
from dstill.eval.board.text import points
from dstill.eval.publish import Label
from outcomes import report

from .conftest import EVIL
from .test_page import DESKTOP, PHONE, Page


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> BoardFolder:
    """Two systems of three versions, of which the last gains much, and one of one."""
    chance, found = np.random.default_rng(5), BoardFolder(tmp_path_factory.mktemp("board"))
    luck = chance.random(200)
    for version, gain in (("v1", 0.0), (EVIL[:150].replace("\u2028", "").replace("\u2029", ""), 0.0), ("", 0.3)):
        systems = [("first", 0.5 + gain), (EVIL, 0.4 + gain), *([("alone", 0.5)] if version == "v1" else [])]
        found.add([report(name, (luck < rate).astype(float).tolist()) for name, rate in systems], Label(version))
    return found


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def page(request: pytest.FixtureRequest, chrome: Browser, folder: BoardFolder) -> Iterator[Page]:
    chrome.size(*request.param)
    found = Page(chrome, folder.path / "leaderboard.html")
    yield found
    assert chrome.complaints() == []
    assert found.run("return performance.getEntriesByType('resource').length") == 0
    assert found.run("return window.hacked") is None
    assert found.run("return [innerWidth, document.documentElement.scrollWidth]") == [request.param[0]] * 2


def test_it_shows_the_versions_of_the_chosen_system(page: Page, folder: BoardFolder) -> None:
    board = folder.board()
    assert isinstance(board, Board)
    assert page.run("return [...document.querySelector('[data-do=past]').options].length") == 2
    for track in (board.history[1], board.history[0]):
        page.set('[data-do="past"]', track.system)
        rows = page.texts(".past tbody tr")
        assert len(rows) == 3
        newest = track.versions[-1]
        assert newest.gain is not None
        assert points(newest.score) in rows[0] and points(newest.gain.difference, "+") in rows[0]
        labels = page.run(
            "return [...document.querySelectorAll('.history .point')].map(e => [e.tabIndex, e.ariaLabel])"
        )
        assert [index for index, _ in labels] == [0, 0, 0]
        for version, (_, says) in zip(track.versions, labels, strict=True):
            assert says.startswith(f"{track.system} {version.name}, {version.added[:10]}: {points(version.score)}")
            gained = version.gain and f"{points(version.gain.difference, '+')} over "
            assert gained is None or gained in says
        large = page.run(
            "return [...document.querySelectorAll('.history .point')].map(e => e.classList.contains('sure'))"
        )
        assert large == [False, False, True]
        assert page.run("return document.querySelectorAll('.history .track').length") == 2
        assert len(page.texts(".history .track.chosen")) == 1
    assert "past=" in page.run("return location.hash")


def test_a_point_keeps_the_focus_and_says_what_it_is(page: Page) -> None:
    page.run("document.querySelectorAll('.history .point')[1].focus()")
    assert "over v1" in page.run("return document.querySelector('.announce').textContent")
    page.run("window.dispatchEvent(new Event('resize'))")
    assert page.run("return document.activeElement.dataset.number") is not None


def test_without_scripts_and_on_paper_the_table_is_there(chrome: Browser, folder: BoardFolder) -> None:
    chrome.size(*DESKTOP)
    chrome.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page = Page(chrome, folder.path / "leaderboard.html")
        assert len(page.texts(".past tbody tr")) == 6
        assert page.texts(".history select") == []
    finally:
        chrome.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_board_without_versions_has_no_history(both: object, saved: Path) -> None:
    assert 'class="history"' not in saved.read_text()
