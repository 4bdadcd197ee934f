"""The training loop: deterministic, resumable to the last bit, honest about what goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from dstill.distill import Training
from dstill.distill.checkpoints import load_checkpoint
from dstill.distill.training import _order, _schedule, train
from dstill.runtime import BadInput, Damaged, DstillError


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = torch.nn.Linear(6, 16)
        self.two = torch.nn.Linear(16, 3)
        self.drop = torch.nn.Dropout(0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.two(self.drop(self.one(x).tanh()))
        return out


def make() -> tuple[Net, Any]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net, x = Net(), torch.randn(50, 6)
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()

    def loss(rows: Sequence[int]) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(net(x[list(rows)]), y[list(rows)])

    return net, loss


HOW = Training(epochs=6, batch=8, lr=0.02, checkpoint=7)
LENGTHS = [n % 9 + 1 for n in range(50)]


def weights(net: torch.nn.Module) -> bytes:
    return b"".join(p.detach().numpy().tobytes() for p in net.parameters())


def test_it_learns_and_repeats_itself(tmp_path: Path) -> None:
    net, loss = make()
    log = train(net, LENGTHS, loss, HOW, tmp_path / "a", seed=1)
    again, same = make()
    assert train(again, LENGTHS, same, HOW, tmp_path / "b", seed=1) == log
    assert weights(net) == weights(again)
    assert sum(line["loss"] for line in log[-5:]) < 0.6 * sum(line["loss"] for line in log[:5])
    other, third = make()
    assert train(other, LENGTHS, third, HOW, tmp_path / "c", seed=2) != log


@pytest.mark.parametrize("stop", [1, 7, 8, 20, 41])
def test_interrupted_anywhere_it_ends_with_the_same_bits(tmp_path: Path, stop: int) -> None:
    whole, loss = make()
    log = train(whole, LENGTHS, loss, HOW, tmp_path / "whole", seed=1)
    net, plain = make()
    calls = [0]

    def failing(rows: Sequence[int]) -> torch.Tensor:
        calls[0] += 1
        if calls[0] > stop:
            raise KeyboardInterrupt
        value: torch.Tensor = plain(rows)
        return value

    with pytest.raises(KeyboardInterrupt):
        train(net, LENGTHS, failing, HOW, tmp_path / "cut", seed=1)
    torch.rand(5)  # whatever else happened in between
    resumed, rest = make()
    assert train(resumed, LENGTHS, rest, HOW, tmp_path / "cut", seed=1) == log
    assert weights(resumed) == weights(whole)


def test_the_global_generator_is_left_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    net, loss = make()
    train(net, LENGTHS, loss, HOW, tmp_path, seed=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_is_torchs_adamw_step_for_step(tmp_path: Path) -> None:
    """Against a plain loop over the same batches with the same rates, without dropout."""
    net, loss = make()
    net.drop.p = 0.0
    reference, again = make()
    reference.drop.p = 0.0
    how = Training(epochs=2, batch=10, lr=0.01, weight_decay=0.1, clip=1e9, warmup=0.2)
    train(net, LENGTHS, loss, how, tmp_path, seed=3)
    matrices = [p for p in reference.parameters() if p.ndim > 1]
    vectors = [p for p in reference.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.98))
    for step in range(10):
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * ((step + 1) / 2 if step < 2 else (10 - step) / 8)
        optimizer.zero_grad()
        again(_order(LENGTHS, 10, 3, step // 5)[step % 5]).backward()
        optimizer.step()
    for ours, theirs in zip(net.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_batches_hold_every_row_once_and_like_lengths_together() -> None:
    lengths = [n * 37 % 101 for n in range(1000)]
    batches = _order(lengths, 16, 0, 0)
    assert sorted(row for batch in batches for row in batch) == list(range(1000))
    spread = [max(lengths[r] for r in b) - min(lengths[r] for r in b) for b in batches]
    assert sum(spread) / len(spread) < 15
    assert _order(lengths, 16, 0, 1) != batches


def test_the_schedule_rises_and_falls() -> None:
    rates = [_schedule(step, 100, 0.1) for step in range(100)]
    assert max(rates) == 1.0
    assert rates[9] == 1.0
    assert rates[0] == 0.1
    assert 0 < rates[-1] < 0.02


def test_a_loss_that_is_no_number_is_named(tmp_path: Path) -> None:
    net, loss = make()
    with pytest.raises(DstillError, match="step 0: lower the learning rate"):
        train(net, LENGTHS, lambda rows: loss(rows) * float("nan"), HOW, tmp_path, seed=1)


def cut_checkpoint(folder: Path) -> None:
    net, loss = make()
    calls = [0]

    def failing(rows: Sequence[int]) -> torch.Tensor:
        calls[0] += 1
        if calls[0] > 10:
            raise KeyboardInterrupt
        value: torch.Tensor = loss(rows)
        return value

    with pytest.raises(KeyboardInterrupt):
        train(net, LENGTHS, failing, HOW, folder, seed=1)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda p: (p / "state.safetensors").write_bytes(b"x" * 100), "not what was written"),
        (lambda p: (p / "state.safetensors").unlink(), "not what was written"),
        (lambda p: (p / "checkpoint.json").write_text("{"), "cannot be read"),
    ],
)
def test_a_corrupt_checkpoint_is_named_and_kept(tmp_path: Path, damage: Any, words: str) -> None:
    cut_checkpoint(tmp_path)
    (place,) = tmp_path.glob("step-*")
    damage(place)
    net, loss = make()
    with pytest.raises(Damaged, match=words):
        train(net, LENGTHS, loss, HOW, tmp_path, seed=1)
    assert place.exists()


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    cut_checkpoint(tmp_path)
    other = torch.nn.Linear(6, 16)
    with pytest.raises(Damaged, match="another model"):
        load_checkpoint(tmp_path, list(other.named_parameters()), torch.optim.AdamW(other.parameters()))


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"batch": 0}, {"lr": -1.0}, {"warmup": 1.0}])
def test_settings_that_make_no_sense(bad: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=str(next(iter(bad.values())))):
        Training(**bad)
