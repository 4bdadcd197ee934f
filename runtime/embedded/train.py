"""Train the embedded LM from nothing.

Example (about an hour and a half on one core, resumable: run it again after an interruption):

    python -m dstill.runtime.embedded.train --out runs/base --tokens 20000000

On several cores, each with a part of every step:

    torchrun --nproc-per-node 2 -m dstill.runtime.embedded.train --out runs/base --tokens 20000000

On a GPU (minutes), with larger steps, which other processes make beforehand:

    python -m dstill.runtime.embedded.train --out runs/large --size large --device cuda --ahead 32 \
        --batch 65536 --row 65536 --growth 150000000 --tokens 1000000000

Reads from top to bottom: tokenizer, network, optimizers, the loop. Everything is a function of the options and the
number of processes: sequence i of process r in step n with seed s is always the same, so on a CPU a resumed run ends
in the same bits as one never interrupted.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import distributed

from ..atomic import write_bytes
from ..derive import derive
from . import probes
from .checkpoint import load_checkpoint, save_checkpoint
from .model import Network, Shape, row_of
from .steps import Ahead, Steps, stage
from .tokens import sample_texts, train_tokenizer

SHAPES = {
    "large": Shape(),
    "base": Shape(width=128, heads=4, kv_heads=4, ffn=384),
    "small": Shape(vocab=2048, width=64, layers=5, attention=(1, 3), heads=2, kv_heads=2, ffn=192),
}


def main() -> None:
    """The command line."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--out", type=Path, required=True, help="folder of the run: tokenizer, checkpoints, log.jsonl")
    cli.add_argument("--size", choices=SHAPES, default="base", help="which network (default: base)")
    cli.add_argument("--tokens", type=int, default=20_000_000, help="tokens to train on (default: 20 million)")
    cli.add_argument("--growth", type=int, default=9_000_000, help="tokens until all is asked (default: 9 million)")
    cli.add_argument("--batch", type=int, default=4096, help="tokens per step (default: 4096; half at the start)")
    cli.add_argument("--row", type=int, default=4096, help="tokens per forward pass (default: 4096)")
    cli.add_argument("--lr", type=float, default=0.003, help="peak learning rate (default: 0.003)")
    cli.add_argument("--decay", type=float, default=0.3, help="share of the run in which it falls (default: 0.3)")
    cli.add_argument("--seed", type=int, default=0)
    cli.add_argument("--threads", type=int, default=1)
    cli.add_argument("--device", default="cpu", help="where the network is: cpu (default) or cuda")
    cli.add_argument("--ahead", type=int, default=0, help="steps that other processes make beforehand (default: 0)")
    cli.add_argument("--probe-every", type=int, default=400, help="steps between probes (default: 400)")
    cli.add_argument("--exam", type=int, default=64, help="examples of each probe (default: 64)")
    cli.add_argument("--after", type=Path, help="another run to go on from, with its tokenizer and at full hardness")
    cli.add_argument("--stop-after", type=int, default=0, help="stop at this step, as if interrupted")
    a = cli.parse_args()
    keep_memory()
    torch.set_num_threads(a.threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what makes its sums the same every time
    torch.use_deterministic_algorithms(True, warn_only=a.device != "cpu")
    a.out.mkdir(parents=True, exist_ok=True)
    shape = SHAPES[a.size]

    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1:
        distributed.init_process_group("gloo")

    named = ["size", "tokens", "growth", "batch", "row", "lr", "decay", "seed"]
    named += ["device", "ahead"] if a.device != "cpu" or a.ahead else []
    starter = "python" if world == 1 else f"torchrun --nproc-per-node {world}"
    command = f"{starter} -m dstill.runtime.embedded.train " + " ".join(f"--{n} {getattr(a, n)}" for n in named)
    settings = {"size": a.size, "shape": asdict(shape), "seed": a.seed, "command": command}
    if a.after:
        settings["after"] = json.loads((a.after / "settings.json").read_text(encoding="utf-8"))

    # The tokenizer comes first: it is learned from the curriculum's own text.
    if rank == 0:
        write_bytes(a.out / "settings.json", (json.dumps(settings, indent=2) + "\n").encode())
    if rank == 0 and a.after:
        write_bytes(a.out / "tokenizer.json", (a.after / "tokenizer.json").read_bytes())
    elif rank == 0 and not (a.out / "tokenizer.json").exists():
        learned = train_tokenizer(sample_texts(a.seed, 20_000), shape.vocab)
        write_bytes(a.out / "tokenizer.json", learned.to_str(pretty=True).encode())
    if world > 1:
        distributed.barrier()
    tokenizer = Tokenizer.from_file(str(a.out / "tokenizer.json"))

    # The network, and an optimizer for each kind of parameter: Muon (Jordan 2024) for the matrices inside, AdamW for
    # embeddings, convolutions and norms.
    network = Network(shape, torch.Generator().manual_seed(derive(a.seed, "weights").getrandbits(60)))
    network.to(a.device)
    inner = [p for n, p in network.named_parameters() if p.dim() == 2 and "embed" not in n]
    outer = [p for n, p in network.named_parameters() if p.dim() != 2 or "embed" in n]
    optimizers = [
        torch.optim.Muon(inner, lr=2 * a.lr, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(outer, lr=a.lr, weight_decay=0.01, betas=(0.9, 0.98)),
    ]
    latest = a.out / "latest.safetensors"
    at: dict[str, Any] = {"step": 0, "tokens": 0, "hardness": 0.0, "skill": 0.0}
    if latest.exists():
        at = load_checkpoint(latest, network, optimizers)
    elif a.after:
        load_checkpoint(a.after / "latest.safetensors", network)
        at["hardness"] = 1.0
    step, done, hardness, skill = int(at["step"]), int(at["tokens"]), at["hardness"], at["skill"]
    steps = Steps(a.out / "tokenizer.json", a.size, shape.vocab, shape.context, a.seed, a.batch, a.row, rank, world)
    ahead = Ahead(steps, a.ahead, step, at.get("planned") or [hardness] * (a.ahead + 1))

    def save() -> None:
        at = {"step": step, "tokens": done, "hardness": hardness, "skill": skill, "planned": list(ahead.planned)}
        save_checkpoint(latest, network, optimizers, at)

    def learning_rate() -> float:
        """Warm up, hold, fall linearly to a hundredth (warmup-stable-decay)."""
        left = (a.tokens - done) / (a.decay * a.tokens)
        rate: float = a.lr * min(1.0, (step + 1) / 50, max(0.01, left))
        return rate

    exam = probes.suite(a.seed, a.exam)
    began, before = time.time(), done
    while done < a.tokens and (step < a.stop_after or not a.stop_after):
        sums = torch.zeros(5, dtype=torch.float64, device=a.device)  # loss, weight, values right, values, tokens
        for group in ahead.take():
            row = row_of(group, a.device)
            loss, hit = network.loss(row)
            (loss / a.batch).backward()
            full = row.weights >= 1
            size = torch.tensor(len(group.tokens), device=a.device)
            sums += torch.stack([loss.detach(), row.weights.sum(), (hit & full).sum(), full.sum(), size])
        if world > 1:
            add_up(network, sums)
        for optimizer, factor in zip(optimizers, (2.0, 1.0), strict=True):
            optimizer.param_groups[0]["lr"] = factor * learning_rate()
            optimizer.step()
            optimizer.zero_grad()
        total, weight, right, counted, tokens = sums.tolist()
        step, done = step + 1, done + int(tokens)

        # It grows harder as accuracy rises: skill is the share of the values' tokens that are predicted right.
        accuracy = right / max(1.0, counted)
        skill = 0.98 * skill + 0.02 * accuracy
        hardness = min(1.0, hardness + tokens / a.growth * (skill > stage(hardness, a.size)[1]))
        ahead.plan(hardness)
        line: dict[str, object] = {"step": step, "loss": round(total / weight, 4), "right": round(accuracy, 4)}
        if rank > 0:
            continue
        if step % a.probe_every == 0 or done >= a.tokens:
            network.eval()
            line["probes"] = {k: round(v, 3) for k, v in probes.run(network, tokenizer, exam).items()}
            network.train()
            save()
            free_memory()
        if step % 10 == 0 or "probes" in line:
            line |= {"skill": round(skill, 3), "hardness": round(hardness, 3), "lr": round(learning_rate(), 6)}
            line |= {"tokens": done, "tokens_per_s": round((done - before) / (time.time() - began))}
            with (a.out / "log.jsonl").open("a", encoding="utf-8") as log:
                print(json.dumps(line), file=log)
    ahead.close()
    if rank == 0:
        save()
    if world > 1:
        distributed.destroy_process_group()


def keep_memory() -> None:
    """Let glibc keep what is freed: to give it back and ask for it again took a third of a step (measured)."""
    with suppress(AttributeError, OSError, TypeError):
        libc = ctypes.CDLL(None)
        for option, value in ((-1, 2**31 - 1), (-2, 2**29), (-4, 0)):  # M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX
            libc.mallopt(option, value)


def free_memory() -> None:
    """Give back what lies free between other things, which grows to gigabytes in an hour."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def add_up(network: Network, sums: torch.Tensor) -> None:
    """Replace the gradients and the sums of this process by those of all."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    distributed.all_reduce(flat)
    distributed.all_reduce(sums)
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


if __name__ == "__main__":
    main()
