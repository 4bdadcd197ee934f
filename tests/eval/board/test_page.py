"""The page in a real browser: it sorts, filters, follows the baseline, opens examples and gives links that work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from board_page import DESKTOP, PHONE, Page, sums
from browser import Browser
from dstill.eval import Boards, leaderboard
from dstill.eval.board.text import points, probability
from selenium.webdriver.common.keys import Keys

from .conftest import COUNT, EVIL, PLACES


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def page(request: pytest.FixtureRequest, chrome: Browser, saved: Path) -> Iterator[Page]:
    """The task of sums at both widths; afterwards nothing was complained of, and nothing asked for outside."""
    chrome.size(*request.param)
    found = Page(chrome, saved, "#tab=0")
    yield found
    assert chrome.complaints() == []
    assert {re.split("[:?#]", address)[0] for address in chrome.requests()} <= {"file", "about", "data"}
    assert found.run("return performance.getEntriesByType('resource').length") == 0
    assert found.run("return window.hacked") is None
    assert found.run("return [innerWidth, document.documentElement.scrollWidth]") == [request.param[0]] * 2


def test_it_shows_the_board(page: Page, both: Boards) -> None:
    assert page.names() == sums(both)
    assert page.texts("h1") == [both.title.replace("\u2028", "\u2028").strip()]
    assert "system B scores highest" in page.texts("#view-0 .headline")[0]
    scores = [points(entry.report.score) for entry in both.boards[0].entries]
    assert [text.replace("  ", " ") for text in page.texts('#view-0 td[data-key="score"]')] == scores
    assert len(page.texts('#view-0 [data-axis="score"] .dot')) == 5


def test_it_sorts_by_any_column(page: Page, both: Boards) -> None:
    wide = page.run("return innerWidth > 700")

    def sort(key: str, down: bool = False) -> None:
        if wide:
            page.click(f'#view-0 th[data-key="{key}"] button')
        else:
            page.set('#view-0 [data-do="sort"]', f"-{key}" if down else key)

    sort("name")
    assert page.names() == sorted(sums(both), key=str.lower)
    assert page.run("return document.querySelector('#view-0 th[data-key=name]').ariaSort") == "ascending"
    sort("usd")
    assert page.names() == ["system A", EVIL.strip(), "system D", "system B", "system C"]
    sort("usd", down=True)
    assert page.names() == ["system C", "system B", "system D", EVIL.strip(), "system A"]
    assert page.run("return document.querySelectorAll('#view-0 th[aria-sort]').length") == 1
    assert "largest first" in page.run("return document.querySelector('.announce').textContent")


def test_all_paired_figures_follow_the_baseline(page: Page, both: Boards) -> None:
    board = both.boards[0]
    for name in ("system B", EVIL, "system D"):
        page.set('#view-0 [data-do="baseline"]', name)
        base = sums(both).index(name)
        expected = leaderboard([entry.report for entry in board.entries], baseline=name).entries
        gains = ["–" if e.gain is None else points(e.gain.difference, "+") for e in expected]
        assert [text.replace("  ", " ") for text in page.run(
            "return [...document.querySelectorAll('#view-0 td[data-key=gain]')].map(e => e.textContent)"
        )] == gains  # fmt: skip
        ps = ["–" if e.gain is None else probability(e.gain.p) for e in expected]
        assert page.run("return [...document.querySelectorAll('#view-0 td[data-key=p]')].map(e => e.textContent)") == ps
        assert page.run(
            "return [...document.querySelectorAll('#view-0 .systems tr.baseline')].map(e => +e.dataset.row)"
        ) == [base]
        assert f"Gain over {name}, paired" in page.run(
            "return document.querySelector('#view-0 .gain-note').textContent"
        )
    page.set('#view-0 [data-do="sort"]', "-gain")
    assert page.names()[0] == "system B"


def test_it_filters(page: Page) -> None:
    page.set('#view-0 [data-do="filter"]', "SYS c")
    page.until("return document.querySelectorAll('#view-0 tr[data-row]:not([hidden])').length === 1")
    assert page.names() == ["system C"]
    page.set('#view-0 [data-do="filter"]', "")
    page.until("return document.querySelectorAll('#view-0 tr[data-row]:not([hidden])').length === 5")


def explore(page: Page) -> None:
    page.run("document.querySelector('#view-0 .examples').scrollIntoView({behavior: 'instant'})")
    page.until("return document.querySelector('#view-0 .item')")


def test_an_example_opens_with_both_outputs_side_by_side(page: Page) -> None:
    explore(page)
    page.click(f'#view-0 .item[data-place="{PLACES}"]')
    assert page.texts("#view-0 .detail h4") == [f"e{PLACES}"]
    asked = page.texts("#view-0 .detail > dl dd")
    assert asked[0] == f"How much is {PLACES} and {PLACES}? {EVIL}".strip()
    sides = page.texts("#view-0 .side")
    assert len(sides) == 2
    assert "system B" in sides[0] and "system A" in sides[1]
    assert all(EVIL.strip() in side for side in sides)
    assert page.run("return document.querySelectorAll('#view-0 .answers li').length") >= 2
    page.click('#view-0 [aria-label="Next example"]')
    assert page.texts("#view-0 .detail h4") == [f"e{PLACES + 1}"]
    assert page.run("return document.activeElement.ariaLabel") == "Next example"


def test_only_the_examples_on_which_two_systems_differ(page: Page, both: Boards) -> None:
    explore(page)
    rows = {entry.report.system: entry.report.rows for entry in both.boards[0].entries}
    page.set('#view-0 [data-do="a"]', "system C")
    page.set('#view-0 [data-do="b"]', "system D")
    page.set('#view-0 [data-do="show"]', "differ")
    pairs = [(x.score, y.score) for x, y in zip(rows["system C"], rows["system D"], strict=True)]
    differ = [i for i, (x, y) in enumerate(pairs) if x != y]
    better = sum(x > y for x, y in pairs if x is not None and y is not None)
    said = page.texts("#view-0 .count")[0]
    assert said.startswith(f"{len(differ)} of {COUNT} examples. system C does better on {better} of them")
    assert page.texts("#view-0 .item .id")[:3] in ([f"e{i}" for i in differ[:3]], [])  # no room for ids on a phone
    page.set('#view-0 [data-do="show"]', "neither")
    neither = sum((x or 0) < 1 and (y or 0) < 1 for x, y in pairs)
    assert page.texts("#view-0 .count")[0].startswith(f"{neither} of")


def test_examples_are_searched_and_sliced(page: Page) -> None:
    explore(page)
    page.set('#view-0 [data-do="find"]', "THOUGHT 29")
    page.until("return document.querySelector('#view-0 .count').textContent.startsWith('11 of')")
    page.set('#view-0 [data-do="slice"]', f"kind={EVIL}")
    page.until("return document.querySelector('#view-0 .count').textContent.startsWith('6 of')")
    page.set('#view-0 [data-do="find"]', "no such text")
    page.until("return document.querySelector('#view-0 .empty')")


def test_only_the_visible_examples_are_in_the_document_and_keys_move_among_them(page: Page) -> None:
    explore(page)
    assert page.run("return document.querySelectorAll('#view-0 .item').length") < 40
    page.keys("#view-0 .list", Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert page.texts("#view-0 .detail h4") == ["e1"]
    page.keys("#view-0 .list", Keys.END)
    assert page.texts("#view-0 .detail h4") == [f"e{COUNT - 1}"]
    active = page.run("return document.querySelector('#view-0 .list').getAttribute('aria-activedescendant')")
    chosen = page.run(
        "const e = document.getElementById(arguments[0]); return [e.ariaSelected, e.ariaPosInSet]", active
    )
    assert chosen == ["true", str(COUNT)]
    page.keys("#view-0 .list", Keys.ENTER)
    assert page.run("return document.activeElement.className") == "detail"


def test_a_copied_link_opens_the_same_view(page: Page, saved: Path) -> None:
    page.set('#view-0 [data-do="baseline"]', "system C")
    page.set('#view-0 [data-do="sort"]', "-usd")
    page.set('#view-0 [data-do="filter"]', "system")
    explore(page)
    page.set('#view-0 [data-do="b"]', EVIL)
    page.set('#view-0 [data-do="show"]', "differ")
    page.keys("#view-0 .list", Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    page.run("window.scrollTo(0, 0)")
    page.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.click('[data-do="link"]')
    link = page.until("return window.copied")
    parts = "#view-0 .systems, #view-0 .count, #view-0 .detail"
    look = f"return [...document.querySelectorAll('{parts}')].map(e => e.innerText)"
    before = page.run(look)
    page.chrome.open("about:blank")
    page.chrome.open(link)
    page.until("return document.querySelector('#view-0 .detail h4')")
    assert page.run(look) == before
    assert page.run("return location.href") == link
    assert link.startswith(saved.resolve().as_uri())


def test_tabs_by_keyboard_and_the_view_over_all_tasks(page: Page, both: Boards) -> None:
    page.keys("#tab-0", Keys.ARROW_LEFT)
    assert page.run("return [document.activeElement.id, document.activeElement.ariaSelected]") == [
        "tab-overall",
        "true",
    ]
    places = both.overall.places
    assert page.texts("#view-overall tbody .name") == [place.system.strip() for place in places]
    assert page.texts("#view-0") == []
    page.keys("#tab-overall", Keys.ARROW_LEFT)
    assert page.texts("#view-2 h2")[0].startswith("sums")
    page.keys("#tab-2", Keys.ARROW_LEFT)
    assert page.texts("#view-1 h2")[0].startswith("words")
    graded = both.boards[1]
    pairs = graded.standing.alone
    page.set('#view-1 [data-do="baseline"]', "system C")
    gain = page.run("return document.querySelector('#view-1 tr[data-row=\"0\"] td[data-key=gain]').textContent")
    at = [entry.report.system for entry in graded.entries].index("system C")
    value, low, high = (float(m[0, at]) for m in (pairs.value, pairs.low, pairs.high))
    assert [float(x) for x in re.findall(r"[+-][\d.]+", gain)] == pytest.approx(
        [100 * value, 100 * low, 100 * high], abs=0.06
    )


def test_several_metrics_stand_side_by_side_and_can_be_sorted_by(page: Page, both: Boards) -> None:
    board, other = both.boards[0], both.boards[2]
    scores = {entry.report.system: entry.report.score for entry in other.entries}
    cells = "return [...document.querySelectorAll('#view-0 td[data-key=metric_0]')].map(e => e.textContent)"
    expected = [points(scores.get(entry.report.system)) for entry in board.entries]
    assert [text.replace("  ", " ") for text in page.run(cells)] == expected
    assert expected.count("–") == 2
    wide = page.run("return innerWidth > 700")
    if wide:
        page.click('#view-0 th[data-key="metric_0"] button')
    else:
        page.set('#view-0 [data-do="sort"]', "-metric_0")
    found = page.names()
    best_first = sorted(scores, key=lambda name: -scores[name].value if scores[name] else 0.0)  # type: ignore[union-attr]
    assert found[:3] == best_first
    assert page.run("return document.querySelector('#view-0 th[data-key=metric_0]').ariaSort") == "descending"
    assert "sorted by score (metric), largest first" in page.run(
        "return document.querySelector('.announce').textContent"
    )
    page.click("#tab-2")
    rights = {entry.report.system: points(entry.report.score) for entry in board.entries}
    shown = page.run(cells.replace("view-0", "view-2"))
    names = [entry.report.system for entry in other.entries]
    assert sorted(text.replace("  ", " ") for text in shown) == sorted(rights[name] for name in names)
    page.click("#tab-1")  # which has no such column, and is sorted by its score
    assert page.texts("#view-1 td[data-key=metric_0]") == []
    assert page.run("return document.querySelector('#view-1 [data-do=sort]').value") == "-score"
    assert page.run("return document.querySelector('#view-1 th[data-key=score]').ariaSort") == "descending"


def test_the_plot_has_a_front_and_points_to_focus(page: Page, both: Boards) -> None:
    assert page.texts("#view-0 .plot h3") == ["Quality and cost"]
    labels = page.run("return [...document.querySelectorAll('#view-0 .point')].map(e => [e.tabIndex, e.ariaLabel])")
    assert len(labels) == 5 and all(index == 0 for index, _ in labels)
    # From the cheapest on, each that scores higher than all before it.
    assert {text.split(":")[0] for _, text in labels if "on the front" in text} == {
        "system A",
        EVIL.split(":")[0],
        "system B",
    }
    page.run("document.querySelector('#view-0 .point').focus()")
    assert page.run("return getComputedStyle(document.querySelector('#view-0 .point:focus .label')).display") == "block"
    page.set('#view-0 [data-do="axis"]', "weights")
    text = page.run("return document.querySelector('#view-0 .point').ariaLabel")
    assert "weights" in text
    assert page.run("return document.querySelectorAll('#view-0 .point').length") == 5


def test_slices_show_each_systems_score_by_value_and_its_gain_over_the_chosen_baseline(
    page: Page, both: Boards
) -> None:
    board = both.boards[0]
    (slicing,) = board.slicings
    heads = page.texts("#view-0 .slicing thead th")
    assert [head.split("n = ")[0].strip() for head in heads[1:]] == [part.value.strip() for part in slicing.slices]
    first = page.texts("#view-0 .slicing tbody tr:first-child td")
    assert first == [points(part.scores[0]).replace(" ", "", 1) for part in slicing.slices]
    page.set('#view-0 [data-do="cells"]', "gain")
    for name in ("system B", EVIL, "system D"):
        page.set('#view-0 [data-do="baseline"]', name)
        base = sums(both).index(name)
        expected = [
            "–" if gain is None else points(gain, "+").replace(" ", "", 1)
            for system in range(5) for gain in (part.gain(system, base) for part in slicing.slices)
        ]  # fmt: skip
        assert page.texts("#view-0 .slicing tbody td") == expected
        says = page.run("return document.querySelector('#view-0 .slicing tbody td').ariaLabel")
        assert says.startswith(f"{sums(both)[0]}, kind ") and (f" over {name}, " in says) == (base != 0)
        assert page.run("return [...document.querySelectorAll('#view-0 .slicing tbody tr')].map(e => e.className)") == [
            "baseline" if i == base else "" for i in range(5)
        ]
    assert "cells=gain" in page.run("return location.hash")


def test_dark_and_light_follow_the_system_until_one_is_chosen(page: Page) -> None:
    paper = "return getComputedStyle(document.body).backgroundColor"
    assert page.run(paper) == "rgb(255, 255, 255)"
    page.chrome.colours("dark")
    try:
        assert page.run(paper) == "rgb(16, 19, 24)"
        page.click('[data-do="theme"]')
        assert page.run(paper) == "rgb(255, 255, 255)"
        page.click('[data-do="theme"]')
        assert page.run(paper) == "rgb(16, 19, 24)"
        page.click('[data-do="theme"]')
    finally:
        page.chrome.colours("light")
        page.run("localStorage.clear()")


def test_the_skip_link_leads_to_the_table(page: Page) -> None:
    page.keys("body", Keys.TAB)
    assert page.run("return document.activeElement.className") == "skip"
    page.keys(".skip", Keys.ENTER)
    assert page.run("return document.activeElement.id") == "systems"


def test_every_control_has_a_name_and_tables_say_what_they_are(page: Page) -> None:
    nameless = page.run(
        "return [...document.querySelectorAll('button, select, input')].filter(e => !e.closest('[hidden]') &&"
        "!(e.ariaLabel || e.labels?.length || e.textContent.trim())).map(e => e.outerHTML)"
    )
    assert nameless == []
    roles = page.run("return [...document.querySelectorAll('#view-0 .systems tbody tr')[0].children].map(e => e.role)")
    assert set(roles) == {"cell", "rowheader"}
    ids = page.run("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
