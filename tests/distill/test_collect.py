"""Rows for students: what a teacher answered, gold labels, and which of them are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
from contracts import StageContract
from dstill.distill import (
    Collect,
    DistillState,
    Filter,
    Gold,
    Pair,
    Stage,
)
from dstill.optimizers import compile
from dstill.runtime import (
    BadInput,
    Budget,
    ScriptedEngine,
    Session,
)
from dstill.runtime.fields import input_fields, render_fields
from students import state


class TestCollect(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        return Collect(), state(tmp_path)

    def test_only_what_passes_the_metric(self, tmp_path: Path) -> None:
        after = Collect().run(state(tmp_path))
        rows = after.pairs["self"]
        assert 10 < len(rows) < 40
        assert all(row.outputs["colour"] == fakes.truth(row.inputs["text"]) for row in rows)

    def test_everything_of_a_teacher_on_inputs_without_labels(self, tmp_path: Path) -> None:
        task = fakes.task()
        unlabelled = replace(task, train=[row.without("colour") for row in task.train])
        made = compile(task, fakes.painter(), "zero-shot", run=tmp_path / "teacher")
        given = DistillState(unlabelled.compile_view, made, "", Session(), tmp_path)
        assert len(Collect(keep="all").run(given).pairs["self"]) == 40

    def test_several_samples_make_soft_labels(self, tmp_path: Path) -> None:
        def script(request: Any) -> str:
            odd = (request.config.seed or 0) % 2
            return render_fields({"colour": "red" if odd else "blue"})

        engine = ScriptedEngine(script, repeatable=True)
        after = Collect(keep="all", samples=4).run(state(tmp_path, engine=engine))
        soft = [row.soft for row in after.pairs["self"]]
        assert len(soft) == 40
        assert any(row is not None and len(row) == 2 for row in soft)
        assert all(row is not None and abs(sum(row.values()) - 1) < 1e-9 for row in soft)

    def test_rows_are_weighted_by_the_score(self, tmp_path: Path) -> None:
        task = fakes.task(metric=lambda e, p: 0.25 if p.colour == e.colour else 0.0)
        rows = Collect(keep="weighted").run(state(tmp_path, task=task)).pairs["self"]
        assert {row.weight for row in rows} == {0.25}

    def test_rows_go_by_predictor_and_not_by_place(self, tmp_path: Path) -> None:
        class Turns(dspy.Module):
            def __init__(self) -> None:
                super().__init__()
                self.a = dspy.Predict("text -> hint")
                self.b = dspy.Predict("text, hint -> colour")

            def forward(self, text: str) -> Any:
                if int(text.split()[-1]) % 2:
                    self.a(text="extra")
                return self.b(text=text, hint=self.a(text=text).hint)

        def script(request: Any) -> str:
            fields = input_fields(request)
            if "hint" in fields:
                return render_fields({"colour": fakes.truth(fields["text"])})
            return render_fields({"hint": "h"})

        task = fakes.task(program=Turns())
        made = compile(task, ScriptedEngine(script, repeatable=True), "zero-shot", run=tmp_path / "teacher")
        after = Collect().run(DistillState(task.compile_view, made, "", Session(), tmp_path))
        assert len(after.pairs["a"]) == 60
        assert len(after.pairs["b"]) == 40
        assert all(set(row.outputs) == {"colour"} for row in after.pairs["b"])

    def test_a_teacher_that_passes_nothing_is_one_clear_message(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="the teacher passes nothing: of 40"):
            Collect().run(state(tmp_path, engine=fakes.painter(lambda d, i: 0.0)))

    def test_a_budget_ends_it_with_whole_rounds(self, tmp_path: Path) -> None:
        task = fakes.task(train=150)
        made = compile(task, fakes.painter(), "zero-shot", run=tmp_path / "teacher")
        session = Session(budget=Budget(calls=100))
        after = Collect(keep="all").run(DistillState(task.compile_view, made, "", session, tmp_path))
        assert len(after.pairs["self"]) == 64
        assert "the budget of 100 calls ended it after 64 examples" in after.effects[0].notes


class TestGold(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        return Gold(), state(tmp_path)

    def test_labels_are_the_datas_own(self, tmp_path: Path) -> None:
        rows = Gold().run(state(tmp_path)).pairs["self"]
        assert len(rows) == 40
        assert all(row.outputs["colour"] == fakes.truth(row.inputs["text"]) for row in rows)


class TestFilter(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        given = state(tmp_path)
        dev = given.task.dev[3]
        rows = (
            Pair("a", {"text": "one"}, {"colour": "red"}),
            Pair("b", {"text": " ONE "}, {"colour": "Red"}),
            Pair("c", {"text": "one"}, {"colour": "blue"}),
            Pair("d", {"text": dev.text.upper()}, {"colour": "red"}),
        )
        return Filter(), replace(given, pairs={"self": rows})

    def test_duplicates_and_contamination_are_named(self, tmp_path: Path, bases: dict[str, str]) -> None:
        stage, given = self.before(tmp_path, bases)
        after = stage.run(given)
        assert [row.example for row in after.pairs["self"]] == ["a", "c"]
        assert after.effects[-1].notes == ("self: 1 duplicates", "self: 1 rows stand in dev (d)")
