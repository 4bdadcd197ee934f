"""A finished compilation is explained from its folder alone."""

from __future__ import annotations

import json
from pathlib import Path

import fakes
import pytest
from dstill.optimizers import Candidate, compile, explain
from dstill.optimizers.explain_view import plot, tree
from dstill.runtime import BadInput, Budget, Damaged
from dstill.runtime.rundir import verify


def test_a_run_is_explained(tmp_path: Path) -> None:
    task = fakes.task(dev=120)
    engine = fakes.painter(lambda demos, instructions: 0.3 + 0.1 * min(demos, 4) + 0.25 * ("twice" in instructions))
    made = compile(task, engine, fakes.SMALL, seed=1, run=tmp_path / "r")
    found = made.explain()
    assert made.evidence is not None
    assert found.best == made.evidence.best
    assert found.course
    assert found.course[-1].best == found.best
    assert found.course[-1].calls == pytest.approx(sum(trial.cost.calls for trial in found.trials))
    assert found.course[-1].mean == pytest.approx(found.trials[found.best].mean)
    assert {trial.number for _, trial in tree(found.trials)} == set(range(10))
    ids = {row.id for row in task.dev}
    assert set(found.rows) < ids
    won, lost = found.against_declared()
    assert set(won) <= set(found.rows)
    best, declared = found.trials[found.best].scores, found.trials[0].scores
    gained = sum(best[p] - declared[p] for p in best.keys() & declared.keys())
    assert len(won) - len(lost) == pytest.approx(gained)
    assert made.evidence.gain is not None
    assert tuple(map(len, found.confirmed)) == (made.evidence.gain.wins, made.evidence.gain.losses)
    assert not set(found.confirmed[0]) & set(found.rows)
    text = str(found)
    assert made.verdict in text
    assert "WON" in text
    assert "└─ " in text
    assert "set aside: " in text or "ruled out: " in text
    assert len(plot(found.course)) == 10
    found.save(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert found._repr_html_() in page
    assert verify(tmp_path / "r") == []


def test_that_the_declared_program_stays_is_said(tmp_path: Path) -> None:
    made = compile(fakes.task(), fakes.painter(lambda demos, instructions: 0.5), fakes.SMALL, run=tmp_path / "r")
    assert made.evidence is not None
    assert made.evidence.best > 0
    assert made.evidence.gain is not None
    assert made.evidence.gain.difference.value == 0
    assert made.candidate == Candidate.of(fakes.task().program)
    assert "; so the declared program stays" in made.verdict
    said = f"chosen: the declared program; trial {made.evidence.best}, self: 0 demos"
    assert said in str(made.explain())
    assert said in made.explain()._repr_html_()


def test_a_run_that_its_budget_ended_is_explained(tmp_path: Path) -> None:
    made = compile(fakes.task(), fakes.painter(), fakes.SMALL, Budget(calls=120), run=tmp_path / "r")
    found = explain(tmp_path / "r")
    assert "stopped early" in str(found)
    assert found.course
    assert found.course[-1].calls == sum(trial.cost.calls for trial in found.trials)
    assert made.explain() == found


def test_what_was_never_selected_has_no_course(tmp_path: Path) -> None:
    made = compile(fakes.task(), fakes.painter(), "k-shot", run=tmp_path / "r")
    found = made.explain()
    assert found.course == ()
    assert "best so far" not in str(found)
    assert "<svg" not in found._repr_html_()


def test_what_cannot_be_explained(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no compilation in"):
        explain(tmp_path)
    compile(fakes.task(), fakes.painter(), "k-shot", run=tmp_path / "r")
    lines = (tmp_path / "r" / "trials.jsonl").read_text().splitlines()
    (tmp_path / "r" / "trials.jsonl").write_text(json.dumps(json.loads(lines[0])) + "\n")
    with pytest.raises(Damaged, match=r"trials.jsonl has changed"):
        explain(tmp_path / "r")
