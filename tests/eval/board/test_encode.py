"""What stands in the page: packed without loss, cut only where it says so, and closed to what users and models say."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re
from typing import Any

import numpy as np
import pytest
from dstill.eval import Interval, leaderboard
from dstill.eval.board import encode, page
from outcomes import report

EVIL = "</script><script>alert(1)</script><!-- ]]> & \u2028\u2029"


def unpack(packed: dict[str, Any]) -> list[Any]:
    codes = np.frombuffer(base64.b64decode(packed["data"]), dtype=f"<u{packed['width']}")
    return [packed["table"][code] for code in codes]


@pytest.mark.parametrize(("distinct", "width"), [(1, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 4)])
def test_a_column_is_packed_without_loss(distinct: int, width: int) -> None:
    values = [(i * 7919) % distinct for i in range(distinct + 5)]
    packed = encode.column(values)
    assert packed["width"] == width
    assert unpack(packed) == values


def test_inlined_json_is_the_same_json_and_closes_nothing() -> None:
    value = {EVIL: [EVIL, 1.5, None]}
    text = encode.inline(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_rows_are_packed_without_loss() -> None:
    scores: list[float | None] = [1.0, 0.0, None, 0.25]
    one = report(
        "a", scores, failed=[1], outputs=[{"x": EVIL, "y": [1, {"z": None}]}, {}, {"x": "é\ud800"}, {"x": "no"}]
    )
    rows = encode.rows(leaderboard([one], examples=[{"q": EVIL}] * 4))
    assert unpack(rows["outcome"]) == [(1.0, "scored"), (0.0, "failed"), (None, "unscored"), (0.25, "scored")]
    assert unpack(rows["said"]) == [[["x", EVIL], ["y", '[1,{"z":null}]']], [], [["x", "é?"]], [["x", "no"]]]
    assert unpack(rows["why"]) == ["", "no field", "", ""]
    assert rows["asked"] == [[["q", EVIL]]] * 4
    assert rows["cut"] is None


def test_long_outputs_are_cut_until_they_fit_and_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = [{"x": f"{i:05}" + "y" * 4995} for i in range(20)]
    board = leaderboard([report("a", [1.0] * 20, outputs=outputs)])
    assert encode.rows(board)["cut"] is None
    monkeypatch.setattr(encode, "MOST", 20_000)
    rows = encode.rows(board)
    assert rows["cut"] == 500
    assert unpack(rows["said"])[3] == [["x", "00003" + "y" * 495 + "… (4,500 more characters)"]]


def test_figures_hold_every_pair_once() -> None:
    chance = np.random.default_rng(0)
    board = leaderboard([report(f"s{i}", chance.integers(0, 2, 50).astype(float).tolist()) for i in range(4)])
    figures = encode.figures(board)
    places = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    found = board.standing.alone
    assert figures["pairs"]["value"] == [round(1e6 * float(found.value[place])) for place in places]
    assert figures["pairs"]["low"] == [round(1e6 * float(found.low[place])) for place in places]
    assert len(figures["pairs"]["sure"]) == 6


def test_a_page_holds_nothing_of_what_users_say_as_markup() -> None:
    one = report(EVIL, [1.0, 0.0], outputs=[{EVIL: EVIL}] * 2, task=EVIL, notes=(EVIL,))
    source = leaderboard([one], examples=[{EVIL: EVIL}] * 2).html()
    assert "alert(1)</script>" not in source
    assert "<script>" not in source

    kinds: list[str | None] = []

    class Scripts(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert not any(name.startswith("on") for name, _ in attrs)
            if tag == "script":
                kinds.append(dict(attrs)["id"])

    Scripts().feed(source)
    assert kinds == ["figures", "rows-0", "code"]


def test_the_policy_lets_nothing_but_the_pages_own_script_run() -> None:
    source = leaderboard([report("a", [1.0])]).html()
    (script,) = re.findall(r'<script type="module" id="code">(.*?)</script>', source, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}';" in source


def test_a_page_of_too_many_outcomes_leaves_them_out_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "OUTCOMES", 9)
    board = leaderboard([report("a", [1.0] * 5), report("b", [0.0] * 5)])
    assert "Single examples are not on this page: 10 outcomes are more than 9." in board.html()
    assert 'id="rows-0"' not in board.html()


def test_a_notebooks_frame_is_closed_and_holds_no_rows() -> None:
    text = leaderboard([report("a", [1.0], outputs=[{"x": "a long answer"}])])._repr_html_()
    assert 'sandbox="allow-scripts"' in text
    assert "a long answer" not in text


@pytest.mark.parametrize(
    ("ends", "ticks"),
    [
        ([(0.505, 0.972)], ["50", "60", "70", "80", "90"]),
        ([(0.2, 0.4), (0.0, 1.0)], ["0", "20", "40", "60", "80", "100"]),
        ([(0.5, 0.5)], ["50"]),
    ],
)
def test_axes_hold_every_interval_and_have_round_ticks(ends: list[tuple[float, float]], ticks: list[str]) -> None:
    found = page.axis([None, *(Interval((low + high) / 2, low, high) for low, high in ends)])
    assert [name for name, _ in found.ticks] == ticks
    assert found.bars[0] is None
    for bar in found.bars[1:]:
        assert bar is not None
        assert 0 <= bar["low"] <= bar["value"] <= bar["low"] + bar["width"] <= 100


def test_numbers_are_packed_as_millionths() -> None:
    found = np.frombuffer(base64.b64decode(encode.whole(np.array([0.5, -1.0, np.nan, 0.1234567]))), "<i4")
    assert found.tolist() == [500_000, -1_000_000, -(2**31), 123_457]
