"""Classifiers by pairs: a head beside scikit-learn's, encoders that learn from few rows, and what is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fakes
import numpy as np
import pytest
import torch
from contracts import StageContract
from dstill.distill import DistillState, Gold, Pair, Stage, TrainEncoder, Training, recipe_of, student_engine
from dstill.distill.stages import pairs
from dstill.distill.stages.pairs import PairLoss
from dstill.distill.students import read_student
from dstill.runtime import BadInput
from sklearn.linear_model import LogisticRegression
from students import FAST, state

RNG = np.random.default_rng(0)


class Reader(torch.nn.Module):
    """A model that sees a row as its vector."""

    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.head = torch.nn.Linear(width, labels)

    def forward(self, vectors: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(pooled=vectors, logits=self.head(vectors))


@pytest.mark.parametrize("at_once", [7, pairs.AT_ONCE])
def test_a_head_is_scikit_learns(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(pairs, "AT_ONCE", at_once)
    labels = np.arange(90) % 3
    rows = torch.tensor(3 * np.eye(3)[labels] @ RNG.normal(size=(3, 6)) + 2 * RNG.normal(size=(90, 6))).float()
    weights = torch.tensor(RNG.uniform(0.5, 2, 90)).float()
    model = Reader(6, 3)
    targets = torch.nn.functional.one_hot(torch.tensor(labels), 3).float()
    PairLoss(model, lambda places: {"vectors": rows[list(places)]}, targets, weights).fit_head()
    scale = float(rows.norm(dim=-1).mean())
    theirs = LogisticRegression(C=pairs.TRUST, tol=1e-10, max_iter=5000)
    theirs.fit(rows.numpy() / scale, labels, sample_weight=weights.numpy() / weights.numpy().mean())
    found = torch.softmax(model(rows).logits, -1).detach().numpy()
    np.testing.assert_allclose(found, theirs.predict_proba(rows.numpy() / scale), atol=2e-4)


def test_a_batch_is_the_weighted_mean_of_its_rows() -> None:
    from dstill.distill.objectives import pair_loss

    rows, weights = torch.tensor(RNG.normal(size=(10, 4))).float(), torch.tensor([1.0, 3.0] * 5)
    targets = torch.nn.functional.one_hot(torch.arange(10) % 2, 2).float()
    loss = PairLoss(Reader(4, 2), lambda places: {"vectors": rows[list(places)]}, targets, weights)
    each = pair_loss(rows[:6], targets[:6])
    assert float(loss(range(6))) == pytest.approx(float((each * weights[:6]).sum() / weights[:6].sum()))
    assert loss.mean() == pytest.approx(float((pair_loss(rows, targets) * weights).sum() / weights.sum()))


BY_PAIRS = TrainEncoder(FAST, objective="pairs", pooling="mean")


class TestTrainByPairs(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        return BY_PAIRS, Gold().run(state(tmp_path, bases["encoder"]))


def test_few_rows_teach_what_is_alike(tmp_path: Path, bases: dict[str, str]) -> None:
    given = Gold().run(state(tmp_path, bases["encoder"], fakes.sounds()))
    some: tuple[Pair, ...] = given.pairs["self"][:8]
    given = given.with_effect("few", 40, pairs={"self": some})
    how = Training(epochs=12, batch=8, lr=2e-3)
    after = TrainEncoder(how, objective="pairs", pooling="mean").run(given)
    engine: Any = student_engine(after.students["self"])
    rows = [{"text": row.text} for row in given.task.dev]
    best = engine.probabilities(rows).argmax(-1).tolist()
    engine.close()
    labels = [engine._labels[place] for place in best]
    assert np.mean([a == row.colour for a, row in zip(labels, given.task.dev, strict=True)]) > 0.95


def test_rows_kept_apart_choose_the_weights(tmp_path: Path, bases: dict[str, str]) -> None:
    """What the course says of the best step is the loss of the rows kept apart under the student that was kept."""
    from dstill.distill.stages.common import kept_apart
    from dstill.distill.students.encoding import collate, encode

    given = Gold().run(state(tmp_path, bases["encoder"], fakes.sounds()))
    how = Training(epochs=6, batch=8, lr=2e-2, heldout=0.3, evaluate=1, patience=2)
    after = TrainEncoder(how, objective="pairs", pooling="mean").run(given)
    folder = after.students["self"]
    _, apart = kept_apart(given, "self", given.pairs["self"], 0.3)
    engine: Any = student_engine(folder)
    model, tokenizer = engine.loaded
    coded = [encode(tokenizer, dict(row.inputs), ["text"], 256) for row in apart]
    labels = read_student(folder).facts["labels"]
    places = torch.tensor([labels.index(row.outputs["colour"]) for row in apart])
    targets = torch.nn.functional.one_hot(places, len(labels)).float()
    loss = PairLoss(model, lambda some: collate([coded[n] for n in some], tokenizer), targets, torch.ones(len(apart)))
    told = read_student(folder).training
    with torch.no_grad():
        assert loss.mean() == pytest.approx(told["dev"], abs=1e-5)
    engine.close()
    assert told["steps"] < len(told["losses"]) < 24  # the best was not the last, and the last not the end of all epochs


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: TrainEncoder(objective="pair"), "objective='pair'.*: expected one of: labels, pairs"),
        (lambda: TrainEncoder(objective="pairs", robust="symmetric"), "no robust loss and no auxiliary task"),
        (lambda: TrainEncoder(objective="pairs", rationale="words"), "no robust loss and no auxiliary task"),
        (
            lambda: TrainEncoder(Training(batch=2), objective="pairs"),
            "batch = 2, .* a batch of 4 or more",
        ),
        (lambda: TrainEncoder(Training(devices=2), objective="pairs"), "devices = 2, .* on one device"),
        (lambda: TrainEncoder(Training(accumulate=8), objective="pairs"), "accumulate = 8: .* whole, on one device"),
    ],
)
def test_what_cannot_be_meant_is_refused(made: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        made()


def test_a_base_that_is_read_by_its_first_token_is_refused(tmp_path: Path, bases: dict[str, str]) -> None:
    given = state(tmp_path, bases["encoder"])
    with pytest.raises(BadInput, match=r"objective = 'pairs' compares means of tokens, .* or pooling = 'mean'"):
        recipe_of("pairs").stages[2].check(bases["encoder"], given.task.program, given.teacher.lm)  # type: ignore[attr-defined]
