"""The ladder: the cheapest student that is not inferior, predictor by predictor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
import tiny_models
from contracts import StageContract
from dstill.distill import DistillState, Gold, Ladder, Stage, recipe_from_tables
from dstill.distill.stages.ladder import climb
from dstill.runtime import BadInput
from students import FAST, state


def test_rungs_are_climbed_by_kind_and_size(tmp_path: Path, bases: dict[str, str]) -> None:
    t5 = str(tiny_models.seq2seq(tmp_path / "t5"))
    found = climb([bases["causal"], t5, "embedded:small", bases["encoder"], bases["causal"]])
    assert [kind for kind, _ in found] == ["encoder", "seq2seq", "causal", "causal"]
    assert {found[2][1], found[3][1]} == {bases["causal"], "embedded:small"}


class TestLadder(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        given = replace(Gold().run(state(tmp_path, bases["causal"])), margin=0.9)
        return Ladder(rungs=(bases["encoder"],), training=FAST), given

    def test_it_stops_where_one_is_good_enough(self, tmp_path: Path, bases: dict[str, str]) -> None:
        stage, given = self.before(tmp_path, bases)
        after = stage.run(given)
        assert after.gates["self"].shipped
        assert after.students["self"].name.startswith("self-encoder")
        assert len(after.effects[-1].notes) == 1 and "ships" in after.effects[-1].notes[0]

    def test_it_climbs_where_none_is(self, tmp_path: Path, bases: dict[str, str]) -> None:
        stage, given = self.before(tmp_path, bases)
        after = stage.run(replace(given, margin=1e-6))
        assert not after.gates["self"].shipped
        assert [note.split(" ")[1] for note in after.effects[-1].notes] == ["(encoder)", "(causal)"]
        assert "climb on" in after.effects[-1].notes[0]

    def test_a_kind_that_cannot_answer_is_passed_over(self, tmp_path: Path, bases: dict[str, str]) -> None:
        free = fakes.task(program=dspy.Predict("text -> colour, why"))
        given = state(tmp_path, bases["encoder"], free)
        rows: Any = Gold().run(state(tmp_path / "x", bases["encoder"])).pairs["self"]
        both = tuple(replace(row, outputs={**row.outputs, "why": "so"}) for row in rows)
        with pytest.raises(BadInput, match=r"no rung can answer any predictor: .*\(encoder\) cannot answer self"):
            Ladder(rungs=(), training=FAST).run(replace(given, pairs={"self": both}))


def test_rungs_from_a_table() -> None:
    made: Any = recipe_from_tables("x", [{"stage": "gold"}, {"stage": "ladder", "rungs": ["embedded:small"]}])
    assert made.stages[1].rungs == ("embedded:small",)
    with pytest.raises(BadInput, match="rungs = 3"):
        recipe_from_tables("x", [{"stage": "ladder", "rungs": 3}])
