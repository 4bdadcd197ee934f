"""Training by several real processes: the sums of one, nothing lost with any of them, and no hang."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fakes
import networks
import psutil
import pytest
import torch
from dstill.distill import Collect, Gold, Lora, Stage, TrainCausal, TrainEncoder, Training, TrainMatcher, distill
from dstill.distill.training import train
from dstill.distill.training.devices import check_devices, check_launcher
from dstill.distill.training.memory import predict
from dstill.runtime import BadInput, DstillError
from dstill.runtime.progress import Silent
from safetensors.torch import load_file
from students import FAST, state, teacher

HOW = Training(epochs=2, batch=7, lr=0.02, checkpoint=5, evaluate=4, patience=2, weight_decay=0.1)
"""The last batch of an epoch holds one row, so one of two processes has nothing to do there."""


class Counting(Silent):
    def __init__(self) -> None:
        self.done, self.whole, self.notes = 0, 0, 0

    def advance(self, count: int = 1) -> None:
        self.done += count

    def total(self, count: int) -> None:
        self.whole = count

    def note(self, text: str) -> None:
        self.notes += 1


def test_two_processes_do_bit_for_bit_what_one_does_in_two_parts(tmp_path: Path) -> None:
    """With dropout, rows of unlike weights, a parameter that nothing reaches, and early stopping."""
    one, two = networks.make(), networks.make()
    bar, logs = Counting(), []
    for (net, loss), how in ((one, replace(HOW, accumulate=2)), (two, replace(HOW, devices=2))):
        folder = tmp_path / str(how.devices)
        logs.append(
            train(net, networks.LENGTHS, loss, how, folder, seed=1, share=loss.share, watch=loss.watch, bar=bar)
        )
    assert logs[0] == logs[1] and any("dev" in line for line in logs[0])
    assert networks.weights(one[0]) == networks.weights(two[0])
    assert not two[0].training
    assert (bar.done, bar.whole, bar.notes) == (2 * len(logs[0]), 16, 2 * len(logs[0]))
    files = [sorted(p.relative_to(tmp_path / n) for p in (tmp_path / n).rglob("*")) for n in ("1", "2")]
    assert files[0] == files[1]


def test_a_process_that_dies_ends_the_others_and_is_gone_on_from(tmp_path: Path) -> None:
    net, loss = networks.make()
    loss.before = networks.Dies("1")
    how = replace(HOW, devices=2)
    with pytest.raises(DstillError, match=r"process 2 of 2 of the training ended with signal 9 \(9 is"):
        train(net, networks.LENGTHS, loss, how, tmp_path / "a", seed=1, share=loss.share)
    assert not psutil.Process().children(recursive=True)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["step-00000005"]
    whole, log = networks.trained(tmp_path / "b", replace(HOW, accumulate=2))
    again, rest = networks.trained(tmp_path / "a", how)
    assert rest == log
    assert networks.weights(again) == networks.weights(whole)


KILLED = """
    import os, sys, time
    from pathlib import Path
    import networks
    from dstill.distill import Training
    from dstill.distill.training import train

    folder = Path(sys.argv[1])
    how = Training(epochs=2, batch=7, lr=0.02, checkpoint=5, weight_decay=0.1)
    networks.trained(folder / "one", how)
    assert "accelerate" not in sys.modules and "torch.distributed.elastic" not in sys.modules

    def hold(rows):
        if list((folder / "a").glob("step-*/checkpoint.json")):
            (folder / "held").touch()  # the other process does so too, or waits for this one's gradients
            time.sleep(3600)

    net, loss = networks.make()
    loss.before = hold
    train(net, networks.LENGTHS, loss, Training(**{**vars(how), "devices": 2}), folder / "a", seed=1, share=loss.share)
"""


def test_with_the_process_that_watches_all_end_and_the_same_weights_follow(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(textwrap.dedent(KILLED))
    path = os.pathsep.join(part for part in sys.path if part)
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path)], env={**os.environ, "PYTHONPATH": path})
    try:
        while not (tmp_path / "held").exists():
            with pytest.raises(subprocess.TimeoutExpired):  # it must not end by itself
                parent.wait(0.2)
        children = psutil.Process(parent.pid).children(recursive=True)
        assert len(children) == 2
    finally:
        parent.kill()
        parent.wait()
    psutil.wait_procs(children)
    how = Training(epochs=2, batch=7, lr=0.02, checkpoint=5, weight_decay=0.1)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["step-00000005"]
    again, rest = networks.trained(tmp_path / "a", replace(how, accumulate=2))  # as two would go on, see above
    whole, log = networks.trained(tmp_path / "b", replace(how, accumulate=2))
    assert rest == log
    assert networks.weights(again) == networks.weights(whole)


def test_what_goes_wrong_in_a_process_is_told_as_in_one(tmp_path: Path) -> None:
    net, loss = networks.make()
    loss.weights = torch.full((50,), float("nan"))
    with pytest.raises(DstillError, match="the loss is nan at step 0: lower the learning rate"):
        train(net, networks.LENGTHS, loss, replace(HOW, devices=2), tmp_path, seed=1)
    lock = __import__("threading").Lock()
    with pytest.raises(BadInput, match="devices = 2: this training cannot be sent to other processes"):
        train(net, networks.LENGTHS, lambda rows: lock, replace(HOW, devices=2), tmp_path, seed=1)


HOW_OF_STAGES = replace(FAST, evaluate=2)
STAGES: dict[str, Callable[[Training, str], Stage]] = {
    "adapters": lambda how, base: TrainCausal(lora=Lora(rank=4, alpha=8), training=replace(how, precision="bf16")),
    "a teacher's probabilities": lambda how, base: TrainCausal(kd="forward", teacher=base, training=how),
    "robust classifiers": lambda how, base: TrainEncoder(robust="generalised", pooling="mean", training=how),
    "matchers": lambda how, base: TrainMatcher(shown=3, training=how),
}


@pytest.mark.parametrize("name", STAGES)
def test_stages_by_two_processes_are_those_of_two_parts(tmp_path: Path, bases: dict[str, str], name: str) -> None:
    """With packing, where there is any, and early stopping on rows of dev."""
    writes = isinstance(STAGES[name](HOW_OF_STAGES, bases["causal"]), TrainCausal)
    base, rows = (bases["causal"], Collect(dev=True)) if writes else (bases["encoder"], Gold(dev=True))
    given = rows.run(state(tmp_path, base, fakes.task(train=16, dev=6)))
    found = [
        STAGES[name](replace(HOW_OF_STAGES, **how), base)
        .run(replace(given, folder=tmp_path / str(n))).students["self"]
        for n, how in enumerate(({"accumulate": 2}, {"devices": 2}))
    ]  # fmt: skip
    one, two = (load_file(folder / "model.safetensors") for folder in found)
    assert one.keys() == two.keys()
    for key, tensor in one.items():
        torch.testing.assert_close(two[key], tensor, atol=1e-5, rtol=1e-5)
    assert found[0].joinpath("trainer_state.json").read_bytes() == found[1].joinpath("trainer_state.json").read_bytes()


def test_hidden_states_are_matched_on_one_device() -> None:
    for make in (
        lambda how: TrainEncoder(rationale="words", training=how),
        lambda how: TrainCausal(hidden="mse", training=how),
    ):
        make(Training())
        with pytest.raises(BadInput, match="devices = 2 with .*: expected devices = 1"):
            make(Training(devices=2))


def test_more_devices_than_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dstill.distill.training import devices

    monkeypatch.setattr(devices, "cores", lambda: 2)
    check_devices(2)
    with pytest.raises(BadInput, match="devices = 3: this machine has 2 processor cores"):
        check_devices(3)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(BadInput, match="devices = 2: this machine has 1 GPU$"):
        check_devices(2)
    from dstill.distill import recipe_of

    task = fakes.task()
    with pytest.raises(BadInput, match="devices = 2"):  # before anything is asked or written
        distill(teacher(tmp_path, task), task, "embedded:small", recipe_of("sft", devices=2), run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_launcher_is_told_what_to_give_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    check_launcher()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BadInput, match=r"one of 2 processes of torchrun or accelerate launch.* give --devices 2"):
        check_launcher()


def test_memory_is_predicted_for_each_device() -> None:
    import transformers as tf

    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = tf.LlamaForCausalLM(tf.LlamaConfig(vocab_size=50, **sizes))
    one, parts, two = (
        predict(model, [9] * 8, Training(batch=8, **how)) for how in ({}, {"accumulate": 2}, {"devices": 2})
    )
    assert parts == two and two.activations == one.activations // 2 and two.gradients == one.gradients
