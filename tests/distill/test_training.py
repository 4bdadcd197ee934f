"""The training loop: deterministic, resumable to the last bit, honest about what goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from dstill.distill import Training
from dstill.distill.training import train
from dstill.distill.training.checkpoints import load_checkpoint
from dstill.distill.training.schedule import batches, rate
from dstill.runtime import BadInput, Damaged, DstillError
from networks import LENGTHS, Net, failing, simple, weights

HOW = Training(epochs=6, batch=8, lr=0.02, checkpoint=7)


def test_it_learns_and_repeats_itself(tmp_path: Path) -> None:
    net, loss = simple()
    log = train(net, LENGTHS, loss, HOW, tmp_path / "a", seed=1)
    again, same = simple()
    assert train(again, LENGTHS, same, HOW, tmp_path / "b", seed=1) == log
    assert weights(net) == weights(again)
    assert sum(line["loss"] for line in log[-5:]) < 0.6 * sum(line["loss"] for line in log[:5])
    other, third = simple()
    assert train(other, LENGTHS, third, HOW, tmp_path / "c", seed=2) != log


@pytest.mark.parametrize("stop", [1, 7, 8, 20, 41])
def test_interrupted_anywhere_it_ends_with_the_same_bits(tmp_path: Path, stop: int) -> None:
    whole, loss = simple()
    log = train(whole, LENGTHS, loss, HOW, tmp_path / "whole", seed=1)
    net, plain = simple()
    with pytest.raises(KeyboardInterrupt):
        train(net, LENGTHS, failing(plain, stop), HOW, tmp_path / "cut", seed=1)
    torch.rand(5)  # whatever else happened in between
    resumed, rest = simple()
    assert train(resumed, LENGTHS, rest, HOW, tmp_path / "cut", seed=1) == log
    assert weights(resumed) == weights(whole)


def test_the_global_generator_is_left_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    net, loss = simple()
    train(net, LENGTHS, loss, HOW, tmp_path, seed=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_is_torchs_adamw_step_for_step(tmp_path: Path) -> None:
    """Against a plain loop over the same batches with the same rates, without dropout."""
    net, loss = simple()
    net.drop.p = 0.0
    reference, again = simple()
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
        again(batches(LENGTHS, 10, 3, step // 5)[step % 5]).backward()
        optimizer.step()
    for ours, theirs in zip(net.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_losses_fetched_late_change_no_bit_of_a_loop_that_asks_at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a plain loop with dropout, which turns loss and norm into numbers at once."""
    from dstill.distill.training import loop
    from dstill.runtime.derive import derive_int

    monkeypatch.setattr(loop, "_ahead", lambda device: 4)
    net, loss = simple()
    log = train(net, LENGTHS, loss, replace(HOW, epochs=2, checkpoint=5), tmp_path, seed=3)
    reference, again = simple()
    groups = [
        {"params": [p for p in reference.parameters() if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in reference.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.02, betas=(0.9, 0.98), foreach=False)
    lines = []
    for step in range(14):
        now = 0.02 * rate(step, 14, 0.1)
        for group in optimizer.param_groups:
            group["lr"] = now
        with torch.random.fork_rng():
            torch.manual_seed(derive_int(3, "step", step, bits=63))
            value = again(batches(LENGTHS, 8, 3, step // 7)[step % 7])
            value.backward()
        norm = torch.nn.utils.clip_grad_norm_(list(reference.parameters()), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        lines.append({"step": step, "loss": float(value.detach()), "lr": now, "norm": float(norm)})
    assert log == lines
    assert weights(net) == weights(reference)


def test_no_number_is_waited_for_between_two_looks_at_the_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU every ``float(tensor)`` stops the queue; AdamW's own on the CPU are not ours."""
    import traceback

    from dstill.distill.training import loop
    from torch.utils._python_dispatch import TorchDispatchMode

    asked = []

    class Watching(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.aten._local_scalar_dense.default:
                asked.extend(f.name for f in traceback.extract_stack() if f.filename == loop.__file__)
            return func(*args, **(kwargs or {}))

    monkeypatch.setattr(loop, "_ahead", lambda device: loop.AHEAD)
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: None)
    net, loss = simple()
    with Watching():
        train(net, LENGTHS, loss, HOW, tmp_path, seed=1)
    assert not asked


def test_a_loss_that_is_no_number_is_named_by_its_own_step_however_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dstill.distill.training import loop

    monkeypatch.setattr(loop, "_ahead", lambda device: loop.AHEAD)
    net, loss = simple()
    calls = [0]

    def spoiled(rows: Sequence[int]) -> torch.Tensor:
        calls[0] += 1
        value: torch.Tensor = loss(rows) * (float("nan") if calls[0] == 10 else 1.0)
        return value

    with pytest.raises(DstillError, match="the loss is nan at step 9: lower the learning rate"):
        train(net, LENGTHS, spoiled, HOW, tmp_path, seed=1)
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000007"]


def test_batches_hold_every_row_once_and_like_lengths_together() -> None:
    lengths = [n * 37 % 101 for n in range(1000)]
    made = batches(lengths, 16, 0, 0)
    assert sorted(row for batch in made for row in batch) == list(range(1000))
    spread = [max(lengths[r] for r in b) - min(lengths[r] for r in b) for b in made]
    assert sum(spread) / len(spread) < 15
    assert batches(lengths, 16, 0, 1) != made


def test_the_schedule_rises_and_falls() -> None:
    rates = [rate(step, 100, 0.1) for step in range(100)]
    assert max(rates) == 1.0
    assert rates[9] == 1.0
    assert rates[0] == 0.1
    assert 0 < rates[-1] < 0.02


def test_a_loss_that_is_no_number_is_named(tmp_path: Path) -> None:
    net, loss = simple()
    with pytest.raises(DstillError, match="step 0: lower the learning rate"):
        train(net, LENGTHS, lambda rows: loss(rows) * float("nan"), HOW, tmp_path, seed=1)


@pytest.mark.parametrize("at", [3, 41])
def test_a_gradient_that_is_no_number_is_named_though_the_loss_is_one(tmp_path: Path, at: int) -> None:
    """At the last step there is no loss after it that would tell."""
    net, loss = simple()
    calls = [-1]

    def spoiled(rows: Sequence[int]) -> torch.Tensor:
        calls[0] += 1
        value: torch.Tensor = loss(rows)
        return value + (net.one.weight * 0).sum().sqrt() if calls[0] == at else value

    with pytest.raises(DstillError, match=f"the gradient's norm is nan at step {at}: lower the learning rate"):
        train(net, LENGTHS, spoiled, HOW, tmp_path, seed=1)


def cut_checkpoint(folder: Path) -> None:
    net, loss = simple()
    with pytest.raises(KeyboardInterrupt):
        train(net, LENGTHS, failing(loss, 10), HOW, folder, seed=1)


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
    net, loss = simple()
    with pytest.raises(Damaged, match=words):
        train(net, LENGTHS, loss, HOW, tmp_path, seed=1)
    assert place.exists()


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    cut_checkpoint(tmp_path)
    other = torch.nn.Linear(6, 16)
    with pytest.raises(Damaged, match="another model"):
        load_checkpoint(tmp_path, list(other.named_parameters()), torch.optim.AdamW(other.parameters()))


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"batch": 0}, {"lr": -1.0}, {"warmup": 1.0}, {"devices": 0}])
def test_settings_that_make_no_sense(bad: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=str(next(iter(bad.values())))):
        Training(**bad)


def test_parts_of_a_batch_add_up_to_the_whole(tmp_path: Path) -> None:
    found = []
    for parts in (1, 3):
        net, _ = simple()
        net.drop.p = 0.0
        x, w = torch.randn(50, 6, generator=torch.Generator().manual_seed(1)), torch.linspace(0.1, 3, 50)

        def loss(rows: Sequence[int], net: Net = net, x: torch.Tensor = x, w: torch.Tensor = w) -> torch.Tensor:
            part = list(rows)
            return (net(x[part]).square().sum(-1) * w[part]).sum() / w[part].sum()

        how = Training(epochs=3, batch=16, lr=0.01, accumulate=parts)
        share = lambda rows, w=w: float(w[list(rows)].sum())  # noqa: E731
        log = train(net, LENGTHS, loss, how, tmp_path / str(parts), seed=1, share=share)
        found.append((log, net))
    for a, b in zip(found[0][0], found[1][0], strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
    for p, q in zip(found[0][1].parameters(), found[1][1].parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-5, rtol=1e-4)


def test_products_in_bf16_leave_weights_in_float32(tmp_path: Path) -> None:
    net, loss = simple()
    seen = []
    net.one.register_forward_hook(lambda m, i, o: seen.append(o.dtype))
    train(net, LENGTHS, loss, Training(epochs=1, batch=10, precision="bf16"), tmp_path, seed=1)
    assert set(seen) == {torch.bfloat16}
    assert all(p.dtype == torch.float32 for p in net.parameters())


def test_the_courses_of_the_rate() -> None:
    courses = {name: [rate(step, 100, 0.1, name) for step in range(100)] for name in ("cosine", "constant", "wsd")}  # type: ignore[arg-type]
    assert courses["constant"][10:] == [1.0] * 90
    assert courses["wsd"][50] == 1.0 and courses["wsd"][80] == 1.0 and courses["wsd"][90] == 0.5
    assert courses["cosine"][55] == pytest.approx(0.5) and courses["cosine"][-1] < 0.001
    assert all(values[:10] == [0.1 * n for n in range(1, 11)] or values[4] == 0.5 for values in courses.values())
