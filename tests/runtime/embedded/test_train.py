"""A training run, interrupted or not, ends in the same bits, and ships as a folder that transformers loads."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from dstill.runtime.embedded import encoder, probes, ship, steps, train
from dstill.runtime.embedded.model import Network, Shape, import_state, lay, pack
from dstill.runtime.embedded.tokens import END, encode_episode, token_id
from safetensors import safe_open
from tokenizers import Tokenizer

TOKENS, BATCH = 2560, 512
ProbesOf = Mapping[str, list[Any]]


@pytest.fixture(autouse=True)
def _tiny(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A network for the tests, one probe of each kind, and torch left as it was."""
    suite, threads = probes.suite, torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    monkeypatch.setattr(probes, "suite", lambda seed, n: suite(seed, 1))
    # From the primer to the full mixture in a few steps, however little was learned.
    monkeypatch.setattr(steps, "PLAN", tuple((end, 2 * share, -1.0) for end, share, _ in steps.PLAN))
    monkeypatch.setitem(train.SHAPES, "small", replace(shape, layers=2))
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture
def run(tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`run(name, *options)`: the command line on a small run of that name; its folder."""

    def start(name: str, *options: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        tokenizer.save(str(folder / "tokenizer.json"))
        settings = {
            "--size": "small",
            "--tokens": TOKENS,
            "--growth": 1500,
            "--batch": BATCH,
            "--row": 400,
            "--probe-every": 2,
        }
        flat = [str(part) for pair in settings.items() for part in pair]
        monkeypatch.setattr("sys.argv", ["train", "--out", str(folder), *flat, *options])
        train.main()
        return folder

    return start


def saved(folder: Path) -> dict[str, Any]:
    with safe_open(folder / "latest.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name).numpy().tobytes() for name in file.keys()}  # noqa: SIM118 (no mapping)
        return {**json.loads(file.metadata()["at"]), "tensors": tensors}


def test_a_resumed_run_ends_in_the_same_bits(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = saved(run("whole"))
    assert whole["tokens"] >= TOKENS and whole["hardness"] == 1.0

    assert saved(run("stopped", "--stop-after", "3"))["step"] == 3
    assert saved(run("stopped")) == whole

    def until_the_exam(rows: Any) -> Any:
        if (tmp_path / "killed" / "latest.safetensors").exists():
            raise KeyboardInterrupt
        return lay(rows)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(steps, "lay", until_the_exam)
        run("killed")
    assert saved(tmp_path / "killed")["step"] == 2
    assert saved(run("killed")) == whole


KEEPS = """
import shutil
from dstill.runtime.embedded import train

def save(path, *rest):
    plain(path, *rest)
    if rest[-1]["step"] == 2:
        shutil.copytree(path.parent, path.parents[1] / "stopped")

plain, train.save_checkpoint = train.save_checkpoint, save
train.main()
"""
"""A run that leaves its folder as it was after two steps, for another to go on from."""


def test_two_processes_share_a_step_and_resume_in_the_same_bits(tokenizer: Tokenizer, tmp_path: Path) -> None:
    def start(name: str, *what: str) -> dict[str, Any]:
        folder = tmp_path / name
        options = f"--size small --tokens 1200 --growth 600 --batch 512 --exam 1 --probe-every 2 --out {folder}".split()
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *what]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, *launcher, *options], capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stderr[-2000:]
        return saved(folder)

    (tmp_path / "whole").mkdir()
    tokenizer.save(str(tmp_path / "whole" / "tokenizer.json"))
    (tmp_path / "keeps.py").write_text(KEEPS)
    whole = start("whole", str(tmp_path / "keeps.py"))
    assert 1200 <= whole["tokens"] < 2400
    assert saved(tmp_path / "stopped")["step"] == 2 < whole["step"]
    assert start("stopped", "-m", "dstill.runtime.embedded.train") == whole
    settings = json.loads((tmp_path / "whole" / "settings.json").read_text(encoding="utf-8"))
    assert settings["command"].startswith("torchrun --nproc-per-node 2 -m dstill.runtime.embedded.train --size small")


def test_steps_made_beforehand_are_as_hard_as_training_was_then(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = train.save_checkpoint

    def save(path: Path, *rest: Any) -> None:
        plain(path, *rest)
        if rest[-1]["step"] == 4:
            shutil.copytree(path.parent, tmp_path / "stopped")

    with monkeypatch.context() as patch:
        patch.setattr(train, "save_checkpoint", save)
        whole = saved(run("whole", "--ahead", "2"))
    assert saved(tmp_path / "stopped")["step"] == 4 < whole["step"]
    assert saved(run("stopped", "--ahead", "2")) == whole
    assert len(whole["planned"]) == 3 and whole["planned"] == sorted(whole["planned"])
    assert whole["tensors"] != saved(run("at once"))["tensors"]


def test_another_seed_is_another_run(run: Any) -> None:
    one, other = (saved(run(f"seed {seed}", "--seed", seed, "--stop-after", "1")) for seed in "01")
    assert one["tensors"] != other["tensors"]


def test_a_run_ships_as_a_folder_that_transformers_loads(run: Any, tmp_path: Path, tokenizer: Tokenizer) -> None:
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, to = run("whole"), tmp_path / "weights"
    digest = ship.write(folder, to, figures="FIGURES", hours="a moment")
    assert hashlib.sha256((to / "model.safetensors").read_bytes()).hexdigest() == digest
    card = (to / "README.md").read_text(encoding="utf-8")
    assert digest in card and "FIGURES" in card and f"| {int(saved(folder)['tokens']):,} tokens" in card

    model = AutoModelForCausalLM.from_pretrained(to, dtype=torch.float32).eval()
    fast = AutoTokenizer.from_pretrained(to)
    assert fast.eos_token == END and fast.pad_token_id == model.config.pad_token_id == token_id(tokenizer, END)

    trained = Network(train.SHAPES["small"], torch.Generator())
    import_state(trained, load_file(to / "model.safetensors"))
    e = probes.suite(0, 1)["things2_demos4"][0]
    ids, _ = encode_episode(tokenizer, e)
    with torch.no_grad():
        ours = trained(pack([(ids, [1.0] * len(ids))]))
        theirs = model(torch.tensor([ids])).logits[0, :-1]
    assert (ours - theirs).square().mean().sqrt() < 0.02 * theirs.std()

    inputs = fast.apply_chat_template(e.prompt(), add_generation_prompt=True, return_tensors="pt", return_dict=True)
    out = model.generate(**inputs, max_new_tokens=4)
    assert out.shape[1] <= inputs["input_ids"].shape[1] + 4
    assert ids[: inputs["input_ids"].shape[1]] == inputs["input_ids"][0].tolist()


def test_the_log_and_the_settings_tell_the_run(run: Any) -> None:
    folder = run("whole")
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    steps, last = [line["step"] for line in lines], saved(folder)["step"]
    assert steps == sorted({*range(2, int(last) + 1, 2), last})
    assert all(set(line["probes"]) == set(probes.suite(0, 1)) for line in lines)
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    assert f"--batch {BATCH} " in settings["command"] and settings["shape"]["vocab"] == 1024


def test_the_encoder_is_a_base_of_classifiers(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    ship.write(run("whole"), tmp_path / "weights")
    for name in ("one", "two"):
        options = ["--out", str(tmp_path / name), "--tokenizer", str(tmp_path / "weights"), "--steps", "2"]
        monkeypatch.setattr("sys.argv", ["encoder", *options])
        encoder.main()
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "one", num_labels=3)
    coded = AutoTokenizer.from_pretrained(tmp_path / "one")(
        ["where is my parcel", "a"], padding=True, return_tensors="pt"
    )
    assert model(coded["input_ids"], attention_mask=coded["attention_mask"]).logits.shape == (2, 3)
