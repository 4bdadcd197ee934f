"""The page where it has no scripts, no address, little or much to show, and on paper."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from board_page import DESKTOP, Page, sums
from browser import Browser
from dstill.eval import Boards, leaderboard
from outcomes import report


def test_without_scripts_the_tables_are_there_and_on_paper_the_controls_are_not(chrome: Browser, saved: Path) -> None:
    chrome.size(*DESKTOP)
    chrome.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page = Page(chrome, saved)
        assert len(page.names()) == 5
        assert page.texts("select, input, .list") == []
    finally:
        chrome.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    page = Page(chrome, saved, "#tab=0")
    chrome.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert len(page.names()) == 5
        assert page.texts("#view-1 h2") == []
        assert page.texts(".actions button, .tabs button, .list, .tools select") == []
    finally:
        chrome.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        chrome.colours("light")


def test_in_a_notebooks_frame_it_works_without_an_address(chrome: Browser, both: Boards, tmp_path: Path) -> None:
    chrome.size(*DESKTOP)
    outer = tmp_path / "notebook.html"
    outer.write_text(f"<!doctype html><meta charset=utf-8><h1>cell</h1>{both._repr_html_()}")
    page = Page(chrome, outer)
    chrome.driver.switch_to.frame(0)
    try:
        page.click("#tab-0")
        page.click('#view-0 th[data-key="name"] button')
        assert page.names() == sorted(sums(both), key=str.lower)
        assert page.run("return document.querySelector('[data-do=link]').hidden")
        assert "on the saved page" in " ".join(page.texts(".hint"))
    finally:
        chrome.driver.switch_to.default_content()
    assert chrome.complaints() == []


def test_boards_of_little_open_without_a_complaint(chrome: Browser, tmp_path: Path) -> None:
    chrome.size(*DESKTOP)
    for number, found in enumerate(
        [
            [report("one", [1.0])],
            [report("a", [0.0] * 5), report("b", [0.0] * 5)],
            [report("a", [None, None]), report("b", [None, None])],
            [report("a", [1.0, None], usd=1.0), report("b", [None, 0.5], usd=0.0), report("c", [0.25, 0.75], usd=2.0)],
        ]
    ):
        page = Page(chrome, leaderboard(found).save(tmp_path / str(number))["html"])
        page.run("document.querySelector('.examples').scrollIntoView({behavior: 'instant'})")
        page.until("return document.querySelector('.item')")
        page.click(".item")
        page.set('[data-do="baseline"]', found[-1].system)
        assert chrome.complaints() == []


@pytest.mark.parametrize("noted", [(), ("read from a table",)])
def test_a_board_of_one_system_works_and_keeps_its_notes(
    chrome: Browser, tmp_path: Path, noted: tuple[str, ...]
) -> None:
    chrome.size(*DESKTOP)
    chrome.complaints()
    found = [replace(report("one", [1.0, 0.0]), notes=noted)]
    page = Page(chrome, leaderboard(found).save(tmp_path)["html"])
    page.set('[data-do="filter"]', "nobody")
    page.until("return document.querySelector('.announce').textContent.startsWith('0 of 1 systems')")
    page.set('[data-do="baseline"]', "one")
    assert page.texts(".notes p") == [f"one: {note}" for note in noted]
    assert chrome.complaints() == []


def test_a_link_to_what_is_not_there_opens_the_board(chrome: Browser, saved: Path) -> None:
    chrome.size(*DESKTOP)
    state = "#tab=77&sort=nothing&base=nobody&q=&axis=x&field=x&a=x&b=x&show=x&slice=x&ex=x"
    page = Page(chrome, saved, state)
    assert page.texts("#view-overall h2") == ["Overall"]
    page.click("#tab-0")
    assert len(page.names()) == 5
    assert chrome.complaints() == []


def test_fifty_systems_on_1300_examples_open(chrome: Browser, tmp_path: Path) -> None:
    chrome.size(*DESKTOP)
    chance = np.random.default_rng(0)
    found = [
        report(f"system {i}", (chance.random(1300) < 0.3 + i / 100).astype(float).tolist(), usd=float(i))
        for i in range(50)
    ]
    page = Page(chrome, leaderboard(found).save(tmp_path)["html"])
    assert len(page.texts(".systems tbody tr")) == 50
    page.run("document.querySelector('.examples').scrollIntoView({behavior: 'instant'})")
    page.until("return document.querySelector('.item')")
    page.run("document.querySelector('.list').scrollTop = 1e9")
    page.until("return [...document.querySelectorAll('.item .id')].some(e => e.textContent === 'e1299')")
    assert page.run("return document.querySelectorAll('.item').length") < 40
