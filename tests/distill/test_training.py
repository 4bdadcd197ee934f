"""The training loop: deterministic, resumable to the last bit, honest about what goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from dstill.distill import Training
from dstill.distill.checkpoints import load_checkpoint
from dstill.distill.schedule import batches, rate
from dstill.distill.training import train
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
        again(batches(LENGTHS, 10, 3, step // 5)[step % 5]).backward()
        optimizer.step()
    for ours, theirs in zip(net.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_losses_fetched_late_change_no_bit_of_a_loop_that_asks_at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a plain loop with dropout, which turns loss and norm into numbers at once."""
    from dstill.distill import training
    from dstill.runtime.derive import derive_int

    monkeypatch.setattr(training, "_ahead", lambda device: 4)
    net, loss = make()
    log = train(net, LENGTHS, loss, replace(HOW, epochs=2, checkpoint=5), tmp_path, seed=3)
    reference, again = make()
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

    from dstill.distill import training
    from torch.utils._python_dispatch import TorchDispatchMode

    asked = []

    class Watching(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.aten._local_scalar_dense.default:
                asked.extend(f.name for f in traceback.extract_stack() if f.filename == training.__file__)
            return func(*args, **(kwargs or {}))

    monkeypatch.setattr(training, "_ahead", lambda device: training.AHEAD)
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: None)
    net, loss = make()
    with Watching():
        train(net, LENGTHS, loss, HOW, tmp_path, seed=1)
    assert not asked


def test_a_loss_that_is_no_number_is_named_by_its_own_step_however_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dstill.distill import training

    monkeypatch.setattr(training, "_ahead", lambda device: training.AHEAD)
    net, loss = make()
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


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"batch": 0}, {"lr": -1.0}, {"warmup": 1.0}, {"devices": 0}])
def test_settings_that_make_no_sense(bad: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=str(next(iter(bad.values())))):
        Training(**bad)


def test_parts_of_a_batch_add_up_to_the_whole(tmp_path: Path) -> None:
    found = []
    for parts in (1, 3):
        net, _ = make()
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


def watched(best_at: int) -> Any:
    """A dev loss that is least at the ``best_at``-th look."""
    looks = [0]

    def watch() -> float:
        looks[0] += 1
        return abs(looks[0] - best_at) + 1.0

    return watch


def test_the_best_weights_are_kept_and_patience_ends_it(tmp_path: Path) -> None:
    how = Training(epochs=20, batch=10, lr=0.02, evaluate=4, patience=2)
    net, loss = make()
    log = train(net, LENGTHS, loss, how, tmp_path / "a", seed=1, watch=watched(3))
    assert [line["step"] + 1 for line in log if "dev" in line] == [4, 8, 12, 16, 20]
    short, again = make()
    train(short, LENGTHS, again, replace(how, patience=0), tmp_path / "b", seed=1, watch=watched(3))
    assert weights(net) == weights(short)
    stopped, third = make()
    calls = [0]

    def failing(rows: Sequence[int]) -> torch.Tensor:
        calls[0] += 1
        if calls[0] > 12:
            raise KeyboardInterrupt
        value: torch.Tensor = third(rows)
        return value

    with pytest.raises(KeyboardInterrupt):
        train(stopped, LENGTHS, failing, how, tmp_path / "c", seed=1, watch=watched(3))
    assert weights(stopped) == weights(net)  # those after twelve steps


@pytest.mark.parametrize("stop", [5, 13, 19])
def test_early_stopping_goes_on_after_a_kill_with_the_same_bits(tmp_path: Path, stop: int) -> None:
    how = Training(epochs=20, batch=10, lr=0.02, evaluate=4, patience=2, checkpoint=3)

    def real(net: Net) -> Any:
        return lambda: float((net(torch.ones(1, 6)) - 0.3).square().sum())

    net, loss = make()
    log = train(net, LENGTHS, loss, how, tmp_path / "a", seed=1, watch=real(net))
    cut, plain = make()
    calls = [0]

    def failing(rows: Sequence[int]) -> torch.Tensor:
        calls[0] += 1
        if calls[0] > stop:
            raise KeyboardInterrupt
        value: torch.Tensor = plain(rows)
        return value

    try:
        train(cut, LENGTHS, failing, how, tmp_path / "b", seed=1, watch=real(cut))
    except KeyboardInterrupt:
        cut, plain = make()
        assert train(cut, LENGTHS, plain, how, tmp_path / "b", seed=1, watch=real(cut)) == log
    assert weights(cut) == weights(net)


def test_best_weights_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    from dstill.distill.checkpoints import load_best, save_best

    net, _ = make()
    named = list(net.named_parameters())
    save_best(tmp_path, 4, named)
    with pytest.raises(Damaged, match="is not of step 5"):
        load_best(tmp_path, 5, named)
    (tmp_path / "best.safetensors").write_bytes(b"x")
    with pytest.raises(Damaged, match="cannot be read"):
        load_best(tmp_path, 4, named)


def test_products_in_bf16_leave_weights_in_float32(tmp_path: Path) -> None:
    net, loss = make()
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


class TestMemory:
    def model(self) -> Any:
        import transformers as tf

        torch.manual_seed(0)
        config = tf.LlamaConfig(
            vocab_size=400, hidden_size=64, intermediate_size=172, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=4,
        )  # fmt: skip
        return tf.LlamaForCausalLM(config)

    def test_what_is_kept_for_the_backward_pass_is_about_what_was_predicted(self) -> None:
        from dstill.distill.memory import predict

        model = self.model()
        ids = torch.randint(0, 400, (4, 128))
        kept: dict[int, int] = {}

        def note(tensor: torch.Tensor) -> torch.Tensor:
            if not isinstance(tensor, torch.nn.Parameter):
                kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
            model(input_ids=ids, labels=ids).loss  # noqa: B018
        parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
        measured = sum(size for place, size in kept.items() if place not in parameters)
        predicted = predict(model, [128] * 4, Training(batch=4)).activations
        assert 0.6 < predicted / measured < 2.0

    def test_weights_gradients_and_moments_are_counted(self) -> None:
        from dstill.distill.memory import predict

        model = self.model()
        size = 4 * sum(p.numel() for p in model.parameters())
        found = predict(model, [128] * 8, Training(batch=4))
        assert (found.gradients, found.optimizer) == (size, 2 * size)
        assert size <= found.weights < size + 1000  # tables of positions, which are no parameters
        model.model.embed_tokens.requires_grad_(False)
        frozen = 4 * model.model.embed_tokens.weight.numel()
        assert predict(model, [1], Training()).gradients == size - frozen
        less = [predict(model, [128] * 8, Training(batch=4, **more)).activations for more in (
            {"accumulate": 4}, {"precision": "bf16"}, {"recompute": True})]  # type: ignore[arg-type]  # fmt: skip
        assert all(one < found.activations for one in less)

    def test_too_little_is_told_before_anything_is_done(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from dstill.distill import memory
        from dstill.runtime import ModelUnavailable

        monkeypatch.setattr(memory, "available", lambda device: 1000)
        net, loss = make()
        before = weights(net)
        with pytest.raises(ModelUnavailable, match=r"training would take some .* and 0.0 MiB are free: use lora"):
            train(net, LENGTHS, loss, HOW, tmp_path, seed=1)
        assert weights(net) == before and not list(tmp_path.iterdir())
