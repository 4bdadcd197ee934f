"""What shows itself in a notebook: HTML that is well formed, escapes what users and models say, and works offline."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
from dstill.distill import DistilledProgram
from dstill.distill.state import Effect, Gated
from dstill.eval import evaluate_on
from dstill.programs import Task, make_examples
from dstill.runtime import LM, ScriptedEngine, Session
from dstill.runtime.fields import render_fields

import dstill

EVIL = '<script src="//evil.example/x.js">alert(1)</script><img src=x onerror=alert(2)>"\'&'
VOID = {"br", "hr", "img", "meta", "link", "input", "rect"}
LEADS_OUT = {"href", "src", "action", "data", "poster", "background"}


class Page(HTMLParser):
    """Collects tags and text; complains about tags that do not nest and about whatever leads elsewhere."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.inner: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("link", "img", "object", "embed", "base")
        if tag == "script":  # inline, and nothing but data or the page's own code, which a policy knows by its digest
            assert set(dict(attrs)) == {"type", "id"}
        self.tags.add(tag)
        for name, value in attrs:
            assert name not in LEADS_OUT or (value or "").startswith("#")
            assert not name.startswith("on")
            if name == "srcdoc":
                self.inner.append(value or "")
            elif name == "style":
                assert "url(" not in (value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            return
        self.text += data
        if self.open and self.open[-1] == "style":
            assert "@import" not in data
            assert "url(" not in data


def evil_task() -> Task:
    signature = dspy.Signature("text -> colour", EVIL)

    def metric(example: Any, prediction: Any) -> dstill.Score:
        return dstill.Score(0.25, EVIL)

    metric.__name__ = EVIL
    rows = make_examples(
        [{"id": f"{EVIL}{n}", "text": f"{EVIL}{n}", "colour": EVIL} for n in range(9)], inputs=["text"]
    )
    return Task(EVIL, dspy.Predict(signature), rows[:3], rows[3:6], rows[6:], metric)


def evil_lm() -> ScriptedEngine:
    return ScriptedEngine(lambda request: render_fields({"colour": EVIL}), name="evil", repeatable=True)


def compiled(tmp_path: Path) -> dstill.CompiledProgram:
    return dstill.compile(evil_task(), evil_lm(), "k-shot", run=dstill.Where(tmp_path / "compiled", name=EVIL))


def distilled(tmp_path: Path) -> DistilledProgram:
    made = compiled(tmp_path)
    return DistilledProgram(
        EVIL, EVIL, made.program, made.lm, made.adapter, made.candidate, {}, {EVIL: Gated(False, EVIL)},
        (Effect(EVIL, 3, 2, (EVIL,)),),
    )  # fmt: skip


def report(tmp_path: Path) -> dstill.Report:
    return evaluate_on(evil_task(), evil_task().program, lm=evil_lm(), name=EVIL)


def board(tmp_path: Path) -> dstill.Board:
    return dstill.leaderboard([distilled(tmp_path)], evil_task(), session=Session())


@pytest.mark.parametrize(
    "make", [lambda tmp_path: evil_task(), compiled, distilled, report, board],
    ids=["task", "compiled", "distilled", "report", "board"],
)  # fmt: skip
def test_it_is_html_that_escapes_and_needs_nothing_from_outside(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    source = make(tmp_path)._repr_html_()
    page = Page(source)
    pages = [page, *map(Page, page.inner)]
    assert any(page.tags for page in pages)
    assert any(EVIL in page.text for page in pages)
    assert "<script" not in source


def test_a_board_is_one_page_inside_another(tmp_path: Path) -> None:
    (inner,) = Page(board(tmp_path)._repr_html_()).inner
    page = Page(inner)
    assert {"html", "table", "style", "script"} <= page.tags
    assert f"{EVIL} held back on dev: {EVIL}" in page.text


@pytest.mark.parametrize("answer", ["a wrong colour", "nothing readable"])
def test_a_board_shows_a_student_that_was_held_back_and_says_so(tmp_path: Path, answer: str) -> None:
    """The row of a student is the student's own score, whether it ships or not."""
    task = fakes.task()
    made = dstill.compile(
        task, fakes.painter(lambda demos, told: 1.0), "zero-shot", run=dstill.Where(tmp_path / "r", name="teacher")
    )
    weak = task.program.deepcopy()
    student = ScriptedEngine(["..."]) if answer == "nothing readable" else fakes.painter(lambda demos, told: 0.0)
    student.name = "student"
    weak.lm = LM(student, Session())
    small = DistilledProgram(
        "small", "paint", made.program, made.lm, "chat", made.candidate, {}, {"self": Gated(False, "too weak")},
        trained=weak,
    )  # fmt: skip
    shown = dstill.leaderboard([made, small], task, session=Session())
    scores = {entry.report.system: entry.report.scores for entry in shown.entries}
    assert scores == {"teacher": [1.0] * 40, "small": [0.0] * 40}
    assert "small: self held back on dev: too weak" in str(shown)
