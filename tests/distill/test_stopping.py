"""Early stopping: the best weights are kept, and a killed training goes on with the same bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from dstill.distill import Training
from dstill.distill.training import train
from dstill.runtime import Damaged
from networks import LENGTHS, Net, failing, simple, weights

HOW = Training(epochs=6, batch=8, lr=0.02, checkpoint=7)


def watched(best_at: int) -> Any:
    """A dev loss that is least at the ``best_at``-th look."""
    looks = [0]

    def watch() -> float:
        looks[0] += 1
        return abs(looks[0] - best_at) + 1.0

    return watch


def test_the_best_weights_are_kept_and_patience_ends_it(tmp_path: Path) -> None:
    how = Training(epochs=20, batch=10, lr=0.02, evaluate=4, patience=2)
    net, loss = simple()
    log = train(net, LENGTHS, loss, how, tmp_path / "a", seed=1, watch=watched(3))
    assert [line["step"] + 1 for line in log if "dev" in line] == [4, 8, 12, 16, 20]
    short, again = simple()
    train(short, LENGTHS, again, replace(how, patience=0), tmp_path / "b", seed=1, watch=watched(3))
    assert weights(net) == weights(short)
    stopped, third = simple()
    with pytest.raises(KeyboardInterrupt):
        train(stopped, LENGTHS, failing(third, 12), how, tmp_path / "c", seed=1, watch=watched(3))
    assert weights(stopped) == weights(net)  # those after twelve steps


@pytest.mark.parametrize("stop", [2, 5, 9, 11])
def test_early_stopping_goes_on_after_a_kill_with_the_same_bits(tmp_path: Path, stop: int) -> None:
    how = Training(epochs=20, batch=10, lr=0.02, evaluate=4, patience=2, checkpoint=3)

    def real(net: Net) -> Any:
        return lambda: float((net(torch.ones(1, 6)) - 0.3).square().sum())

    net, loss = simple()
    log = train(net, LENGTHS, loss, how, tmp_path / "a", seed=1, watch=real(net))
    assert len(log) == 12  # the best after four steps, and patience for two more looks
    cut, plain = simple()
    with pytest.raises(KeyboardInterrupt):
        train(cut, LENGTHS, failing(plain, stop), how, tmp_path / "b", seed=1, watch=real(cut))
    cut, plain = simple()
    assert train(cut, LENGTHS, plain, how, tmp_path / "b", seed=1, watch=real(cut)) == log
    assert weights(cut) == weights(net)


def test_best_weights_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    from dstill.distill.training.checkpoints import load_best, save_best

    net, _ = simple()
    named = list(net.named_parameters())
    save_best(tmp_path, 4, named)
    with pytest.raises(Damaged, match="is not of step 5"):
        load_best(tmp_path, 5, named)
    (tmp_path / "best.safetensors").write_bytes(b"x")
    with pytest.raises(Damaged, match="cannot be read"):
        load_best(tmp_path, 4, named)
