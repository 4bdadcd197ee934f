"""Turn a training run into a weights folder that transformers loads.

Example:

    python -m dstill.runtime.embedded.ship --run runs/base --to runtime/embedded/weights/base --card figures.md
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from tokenizers import Tokenizer

from .checkpoint import load_checkpoint
from .model import Network, Shape, export_state
from .tokens import END, START, save_tokenizer, token_id

CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
---

# dstill embedded LM, {size}

A tiny language model in a simpler English of its own, trained from nothing by `runtime/embedded/train.py`. It reads
the prompts of DSPy's ChatAdapter and JSONAdapter and is taught to learn from the demonstrations and instructions in
them and to reason in steps; the figures below say how far that goes. It knows a small world (an online shop's mail,
everyday topics, sums, facts about people) and nothing else; text outside it gets a poor answer.

| | |
|---|---|
| architecture | Lfm2ForCausalLM: {layers} layers, {attention} of them attention, width {width}, vocabulary {vocab} |
| parameters | {parameters:,} |
| context | {context} tokens |
| weights | bfloat16, {bytes:,} bytes, sha256 `{digest}` |
| seed | {seed} |
| trained on | {tokens:,} tokens of generated episodes{runs} |
| command | {command} |
| time | {hours} |

{figures}
"""


def write(run: Path, to: Path, figures: str = "", hours: str = "") -> str:
    """Write the folder; returns the sha256 of model.safetensors."""
    settings = json.loads((run / "settings.json").read_text(encoding="utf-8"))
    shape = Shape(**{**settings["shape"], "attention": tuple(settings["shape"]["attention"])})
    network = Network(shape, torch.Generator().manual_seed(0))
    at = load_checkpoint(run / "latest.safetensors", network)
    tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
    bos, eos = token_id(tokenizer, START), token_id(tokenizer, END)
    with tempfile.TemporaryDirectory(dir=to.parent) as temporary:
        folder = Path(temporary) / "weights"
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(save(export_state(network), metadata={"format": "pt"}))
        config = {"architectures": ["Lfm2ForCausalLM"], "model_type": "lfm2", "dtype": "bfloat16"}
        config |= shape.config(bos, eos, eos)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        generation = {"bos_token_id": bos, "eos_token_id": eos, "pad_token_id": eos, "do_sample": False}
        (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n", encoding="utf-8")
        save_tokenizer(tokenizer, folder, shape.context)
        blob = (folder / "model.safetensors").read_bytes()
        digest = hashlib.sha256(blob).hexdigest()
        before = _before(settings)
        card = CARD.format(
            size=settings["size"], layers=shape.layers, attention=len(shape.attention), width=shape.width,
            vocab=shape.vocab, parameters=sum(p.numel() for p in network.parameters()), context=shape.context,
            bytes=len(blob), digest=digest, seed=settings["seed"], tokens=int(at["tokens"]) + sum(before),
            runs=f" in {len(before) + 1} runs" if before else "", command=_commands(settings), hours=hours,
            figures=figures,
        )  # fmt: skip
        (folder / "README.md").write_text(card, encoding="utf-8")
        shutil.rmtree(to, ignore_errors=True)
        shutil.move(folder, to)
    return digest


def _before(settings: dict[str, Any]) -> list[int]:
    """The tokens of the runs that this one went on from, which went to their ends."""
    if "after" not in settings:
        return []
    command = settings["after"]["command"].split()
    return [*_before(settings["after"]), int(command[command.index("--tokens") + 1])]


def _commands(settings: dict[str, Any]) -> str:
    """The command of the run, behind that of the run it went on from."""
    before = f"{_commands(settings['after'])}, then " if "after" in settings else ""
    return f"{before}`{settings['command']}`"


def main() -> None:
    """The command line."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--run", type=Path, required=True, help="folder of the training run")
    cli.add_argument("--to", type=Path, required=True, help="weights folder to write")
    cli.add_argument("--card", type=Path, help="Markdown with the figures, for the model card")
    cli.add_argument("--hours", default="", help="how long the training took, in words")
    a = cli.parse_args()
    print(write(a.run, a.to, a.card.read_text(encoding="utf-8") if a.card else "", a.hours))


if __name__ == "__main__":
    main()
