"""What lies in a run directory before a run begins: its models are not written over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
import pytest
from dstill.distill import Alternation, Gate, Gold, Ladder, TrainCausal, TrainEncoder, alternate, distill, recipe_of
from dstill.optimizers import Where
from dstill.runtime import BadInput
from students import FAST, teacher


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_run_does_not_replace_the_models_that_it_reads(tmp_path: Path, bases: dict[str, str]) -> None:
    task, base, run = fakes.task(), bases["encoder"], tmp_path / "run"
    made, train = teacher(tmp_path, task), TrainEncoder(training=FAST)
    distill(made, task, base, [Gold(), train, Gate()], run=run)
    mine, before = str(run / "students" / "self"), bytes_in(run)
    led: list[Any] = [Gold(), replace(train, hidden="mse", teacher=mine), Gate()]
    writing: list[Any] = [Gold(), TrainCausal(kd="forward", teacher=f"local:{mine}", training=FAST)]
    cases: list[tuple[str, Any]] = [
        (mine, [Gold(), train, Gate()]), (f"local:{mine}", [Gold(), train]), (base, led), (bases["causal"], writing),
        (base, [Gold(), Ladder(rungs=(mine,), training=FAST)]),
    ]  # fmt: skip
    for student, recipe in cases:
        with pytest.raises(BadInput, match=r"students/self lies in the run directory .*: choose another run"):
            distill(made, task, student, recipe, run=Where(run, replace=True))
        assert bytes_in(run) == before
    how = Alternation(recipe=recipe_of([Gold(), train]))
    with pytest.raises(BadInput, match="lies in the run directory"):
        alternate(task, fakes.painter(), mine, how, run=Where(run, replace=True))
    distill(made, task, mine, [Gold(), train, Gate()], run=tmp_path / "next")
    assert bytes_in(run) == before
