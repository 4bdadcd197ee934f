"""Thresholds with a promise, cascades that keep to it, and students that ship when they are as good."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import fakes
import numpy as np
import pytest
from contracts import EngineContract, StageContract
from dstill.distill import Cascade, DistillState, Gate, Gold, Stage, TrainEncoder, Training, distill, load_distilled
from dstill.distill.cascades import CascadeEngine
from dstill.distill.conformal import NOBODY, calibrate, prediction_limit
from dstill.distill.stages.gate import judged, power_of
from dstill.distill.students import student_engine
from dstill.eval import evaluate_on
from dstill.runtime import LM, BadInput, Session
from scipy.stats import hypergeom
from students import FAST, state, teacher


def draw(seed: int, n: int, skill: float = 0.85) -> tuple[Any, Any]:
    """Confidences and losses of a student that is wrong more often where it is less sure."""
    chance = np.random.default_rng(seed)
    sure = chance.beta(4, 1.5, n)
    return sure, (chance.random(n) > np.minimum(1, skill + 0.25 * (sure - 0.5))).astype(float)


def test_the_mean_promise_is_the_papers_formula() -> None:
    sure, losses = draw(0, 300)
    found = calibrate(sure, losses, 0.05, promise="mean")
    # Brute force over thresholds, equation (4) of the paper with B = 1: n/(n+1) R + 1/(n+1) <= alpha.
    kept = [t for t in sorted(set(sure)) if (300 / 301) * (losses * (sure >= t)).mean() + 1 / 301 <= 0.05]
    assert found.value == min(kept)
    assert found.loss == pytest.approx((losses * (sure >= found.value)).mean())
    assert found.kept == (sure >= found.value).mean()


def test_the_mean_promise_holds_on_average_and_is_not_wasteful() -> None:
    met = []
    for seed in range(400):
        sure, losses = draw(seed, 400)
        found = calibrate(sure[:200], losses[:200], 0.06, promise="mean")
        met.append((losses[200:] * (sure[200:] >= found.value)).mean())
    assert 0.05 < np.mean(met) <= 0.06 + 2 * np.std(met) / 20


@pytest.mark.parametrize("graded", [False, True])
def test_the_likely_promise_is_kept_in_95_of_100_resplits(graded: bool) -> None:
    kept = []
    for seed in range(300):
        sure, losses = draw(seed, 1200)
        losses = losses * (0.9 if graded else 1.0)
        found = calibrate(sure[:600], losses[:600], 0.12 if graded else 0.05)
        kept.append((losses[600:] * (sure[600:] >= found.value)).mean() <= (0.12 if graded else 0.05))
        assert found.bound <= 0.12
    assert np.mean(kept) >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / 300)


def test_the_prediction_limit_is_the_largest_number_that_is_not_rejected() -> None:
    for count, n, ahead in ((0, 50, 50), (3, 40, 90), (10, 30, 5)):
        limit = prediction_limit(count, n, ahead, 0.95)
        assert hypergeom.cdf(count, n + ahead, count + limit, n) > 0.05
        assert limit == ahead or hypergeom.cdf(count, n + ahead, count + limit + 1, n) <= 0.05
    chance = np.random.default_rng(0)
    pairs = chance.binomial(60, 0.08, size=(2000, 2))
    covered = np.mean([b <= prediction_limit(int(a), 60, 60, 0.95) for a, b in pairs])
    assert covered >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / 2000)


def test_equal_confidences_go_together_and_nobody_may_answer_where_nothing_holds() -> None:
    assert calibrate([0.9] * 50, [1.0] + [0.0] * 49, 0.05, promise="mean").kept == 1.0
    assert calibrate([0.9] * 50, [1.0] * 3 + [0.0] * 47, 0.05, promise="mean").value == NOBODY
    assert calibrate([0.9] * 10, [0.0] * 10, 0.05, promise="mean").value == NOBODY  # ten promise no twentieth
    for arguments, words in (
        (([], []), "0 confidences"),
        (([0.5], [2.0]), "from 0 to 1"),
        (([0.5, 0.1], [0]), "2 confid"),
    ):
        with pytest.raises(BadInput, match=words):
            calibrate(*arguments, 0.05)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="harm=0"):
        calibrate([0.5], [0], 0)


def simulated(loss: float, n: int, seed: int, disagree: float = 0.2) -> tuple[list[float], list[float]]:
    """A teacher and a student that is worse by ``loss``, and differs from it on ``disagree`` of the examples."""
    chance = np.random.default_rng(seed)
    kind = chance.choice(3, size=n, p=[(disagree - loss) / 2, (disagree + loss) / 2, 1 - disagree])
    both = (chance.random(n) < 0.8).astype(float)
    return [1.0 if k == 0 else 0.0 if k == 1 else b for k, b in zip(kind, both, strict=True)], [
        0.0 if k == 0 else 1.0 if k == 1 else b for k, b in zip(kind, both, strict=True)
    ]


def test_students_worse_by_the_margin_are_held_back_and_equal_ones_ship_with_the_examples_asked_for() -> None:
    worse = [judged(*simulated(0.03, 600, seed), margin=0.03).accepted for seed in range(400)]
    assert np.mean(worse) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)
    shipped = []
    for seed in range(150):
        needed = judged(*simulated(0.0, 300, seed), margin=0.03).needed
        assert needed is not None
        shipped.append(judged(*simulated(0.0, needed, 10_000 + seed), margin=0.03).accepted)
    assert np.mean(shipped) >= 0.8


def test_the_power_that_is_told_is_that_of_simulations() -> None:
    told = [power_of(judged(*simulated(0.0, 500, seed), margin=0.04))["power"] for seed in range(60)]
    shipped = [judged(*simulated(0.0, 500, 999 + seed), margin=0.04).accepted for seed in range(600)]
    assert np.mean(told) == pytest.approx(np.mean(shipped), abs=0.06)
    same = [1.0, 0.0, 1.0] * 30
    none = power_of(judged(same, same, margin=0.04))
    assert none["n"] == 90 and none["needed"] > 0


@pytest.mark.parametrize("score", [1.0, 0.5])
@pytest.mark.parametrize("margin", [0.3, 0.05, 0.01])
def test_where_nobody_disagrees_the_examples_asked_for_are_those_that_are_accepted(score: float, margin: float) -> None:
    few = judged([score] * 4, [score] * 4, margin=margin)
    assert not few.accepted and few.needed is not None
    assert f"some {few.needed} examples would decide" in str(few)
    assert power_of(few) == {"n": 4.0, "margin": margin, "needed": float(few.needed), "power": 0.0}
    for n, enough in ((few.needed - 1, False), (few.needed, True)):
        found = judged([score] * n, [score] * n, margin=margin)
        assert found.accepted is enough
        assert power_of(found) == {"n": float(n), "margin": margin, "needed": few.needed, "power": float(enough)}
    assert margin != 0.01 or score != 1.0 or few.needed == 299  # 0.99 ** 299 < 0.05


class TestCascade(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        given = Gold().run(state(tmp_path, bases["encoder"]))
        return Cascade(harm=0.5), Gate().run(TrainEncoder(training=FAST).run(given))


class TestCascadeEngine(EngineContract):
    @pytest.fixture(autouse=True)
    def _bases(self, bases: dict[str, str]) -> None:
        self.bases = bases

    def make(self, folder: Path) -> Any:
        made = folder / "run" / "students" / "self"
        if not made.exists():
            TrainEncoder(training=FAST).run(Gold().run(state(folder, self.bases["encoder"])))
        student: Any = student_engine(made)
        return CascadeEngine(student, LM(fakes.painter()), dspy.Predict(fakes.Paint), "chat", 0.5)

    def asked(self, **config: Any) -> Any:
        import dspy
        from dstill.runtime.wire import request_of_chat

        chat = dspy.ChatAdapter().format(fakes.Paint, [], {"text": "thing number 7"})
        return request_of_chat("m", chat, self.config(**config))


def test_below_its_threshold_the_teacher_answers_in_its_own_prompt(tmp_path: Path, bases: dict[str, str]) -> None:
    task = fakes.task()
    made = teacher(tmp_path, task, fakes.painter(lambda demos, instructions: 0.95))
    stages = [Gold(), TrainEncoder(Training(epochs=1, batch=8, lr=1e-3)), Gate(), Cascade(harm=0.9, promise="mean")]
    small = distill(made, task, bases["encoder"], stages, run=tmp_path / "small")
    gate = small.gates["self"]
    assert gate.shipped and gate.threshold is not None
    assert "asks the teacher" in small.verdict
    assert json.loads((tmp_path / "small" / "program.json").read_text())["dstill"]["cascades"]["thresholds"]

    def answers(threshold: float) -> tuple[list[float | None], int]:
        engine = fakes.painter(lambda demos, instructions: 0.95 if demos == 4 else 0.0)
        session = Session()
        loaded = load_distilled(tmp_path / "small", task.program, lm=LM(engine, session), session=session)
        cascade: Any = loaded.program.predictors()[0].lm
        assert cascade.door.engine.threshold == gate.threshold
        cascade.door.engine.threshold = threshold
        report = evaluate_on(task, loaded, session=session)
        return [row.score for row in report.rows], engine.calls

    alone, free = answers(0.0)
    all_asked, paid = answers(NOBODY)
    assert (free, paid) == (0, 40)
    assert sum(score or 0 for score in all_asked) > 30  # with the teacher's four demonstrations
    assert alone != all_asked
    some, part = answers(gate.threshold)
    assert 0 <= part <= 40 and len(some) == 40


def test_a_promise_that_cannot_be_kept_ships_nothing(tmp_path: Path, bases: dict[str, str]) -> None:
    given = Gold().run(state(tmp_path, bases["encoder"]))
    after = Cascade(harm=0.001).run(Gate().run(TrainEncoder(training=FAST).run(given)))
    assert not after.gates["self"].shipped
    assert "no part of its answers keeps a promise of 0.1 points at 97.5 % on 60 examples" in after.gates["self"].why
    with pytest.raises(BadInput, match="harm=2"):
        Cascade(harm=2)
    assert replace(Cascade(), harm=0.02).harm == 0.02
