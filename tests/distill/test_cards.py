"""Model cards: who taught a student, what was measured with it, and under which licence its base is."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
import pytest
from dstill.distill import Collect, Filter, Gate, Gold, Ladder, TrainCausal, TrainEncoder, TrainMatcher, distill
from dstill.distill.stages.common import licence_of
from dstill.optimizers import Where
from dstill.runtime.rundir import verify
from students import FAST, state, teacher


def card(folder: Path) -> dict[str, str]:
    """The rows of the card's table."""
    lines = (folder / "README.md").read_text().splitlines()
    rows = [line.strip("| ").partition(" | ") for line in lines if line.startswith("| ")]
    return {name: value for name, _, value in rows}


def test_who_taught_it(tmp_path: Path, bases: dict[str, str]) -> None:
    gold = Gold().run(state(tmp_path, bases["encoder"]))
    asked = Collect().run(state(tmp_path, bases["encoder"]))
    own = "none, the rows are the data's own labels"
    stages: list[tuple[Any, Any, str]] = [
        (gold, TrainEncoder(training=FAST), own), (gold, TrainMatcher(training=FAST), own),
        (replace(gold, base=bases["causal"]), TrainCausal(training=FAST), own),
        (gold, TrainEncoder(training=FAST, hidden="mse", teacher=bases["encoder"]),
         f"{bases['encoder']}, on the data's own labels"),
        (asked, TrainEncoder(training=FAST), asked.teacher.name),
    ]  # fmt: skip
    for given, stage, taught in stages:
        assert card(stage.run(given).students["self"])["teacher"] == taught
    two = replace(asked, seed=1, others=(replace(asked.teacher, name="another"),))
    both = card(TrainEncoder(training=FAST).run(two).students["self"])["teacher"]
    assert both == f"{asked.teacher.name} and another"
    climbed = Ladder(rungs=(), training=FAST).run(gold)
    assert card(climbed.students["self"])["teacher"] == own


def test_what_the_gate_measured(tmp_path: Path, bases: dict[str, str]) -> None:
    task, run, train = fakes.task(), tmp_path / "run", TrainEncoder(training=FAST)
    made = distill(teacher(tmp_path, task), task, bases["encoder"], [Collect(), Filter(), train, Gate()], run=run)
    found, gate = card(run / "students" / "self"), made.gates["self"]
    assert gate.difference is not None and gate.power is not None
    low, high = (f"{100 * gate.difference[name]:+.1f}" for name in ("low", "high"))
    assert found["difference on dev, in points"].endswith(f"[{low}, {high}], 90 % interval")
    dev = made.effects[-1].dev
    assert found["score on dev, in its place"] == (
        f"{100 * dev['with self']:.1f} on {len(task.dev)} examples; teacher {100 * dev['teacher']:.1f}"
    )
    assert found["verdict"] == f"held back, {gate.why}"
    assert verify(run) == []
    again = distill(teacher(tmp_path, task), task, bases["encoder"], [Gold(), train], run=Where(run, replace=True))
    assert again.gates["self"].difference is None
    assert not {"verdict", "difference on dev, in points"} & set(card(run / "students" / "self"))


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("---\nlicense: apache-2.0\ntags: [x]\n---\n# A model\n", "apache-2.0"),
        ("---\ntags: [x]\nlicense: 'mit'  # as ever\n---\n", "mit"), ("---\nlicense:\n- mit\n---\n", ""),
        ("# A model\nlicense: mit\n", ""), ("---\ntags: [x]\n---\nlicense: mit\n", ""), ("", ""),
    ],
)  # fmt: skip
def test_the_licence_of_the_base(tmp_path: Path, text: str, licence: str) -> None:
    (tmp_path / "README.md").write_text(text)
    assert licence_of(tmp_path) == licence


def test_the_licence_stands_where_it_is_known(tmp_path: Path, bases: dict[str, str]) -> None:
    base = shutil.copytree(bases["encoder"], tmp_path / "base")
    plain = TrainEncoder(training=FAST).run(Gold().run(state(tmp_path / "a", str(base))))
    assert "licence of the base model" not in card(plain.students["self"])
    (base / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    named = TrainEncoder(training=FAST).run(Gold().run(state(tmp_path / "b", str(base))))
    assert card(named.students["self"])["licence of the base model"] == "cc-by-4.0"
