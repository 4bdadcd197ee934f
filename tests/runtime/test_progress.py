"""Progress: silent where nobody looks, a line without widgets in a notebook, and nothing left behind."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from dstill.runtime import progress as shown
from dstill.runtime.progress import Silent, _Line, progress


class Place:
    """What ``IPython.display.display`` gives back."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def __call__(self, data: dict[str, str], *, raw: bool, display_id: bool) -> Place:
        self.states.append(data["text/plain"])
        return self

    def update(self, data: dict[str, str], *, raw: bool) -> None:
        self.states.append(data["text/plain"])


def test_off_a_terminal_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("work", 3) as bar:
        bar.advance()
        bar.note("x")
    assert isinstance(bar, Silent)
    assert capsys.readouterr() == ("", "")


def test_in_a_notebook_a_line_shows_what_is_done_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    place: Any = Place()
    monkeypatch.setattr("IPython.display.display", place)
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    monkeypatch.setattr(_Line, "EVERY", 0.0)
    with pytest.raises(KeyError), shown("evaluate", 4) as bar:
        bar.advance(2)
        bar.note("score 50.0")
        raise KeyError
    assert place.states[0] == "evaluate ..."
    assert place.states[-2].startswith("evaluate  2/4, 0:00 left  score 50.0")
    assert place.states[-1] == ""
