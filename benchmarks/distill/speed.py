"""Training speed beside TRL's SFTTrainer: same model, rows, batch size, precision and number of steps, in turn.

    python -m venv build/trl && build/trl/bin/pip install torch==2.13.0 && build/trl/bin/pip install trl
    python benchmarks/distill/speed.py --trl build/trl/bin/python

The model is a Llama of random weights, the rows are e-SNLI's training rows with their rationales (prompt and answer;
the loss is on the answer alone in both). Both have the same learning rate at every step, the same AdamW without decay
of weights, and clip at the same norm. TRL runs three times:

as it comes      rows in random order, padded to the longest of their batch;
by length        rows of similar length to a batch, its option ``train_sampling_strategy="group_by_length"``;
our batches      in our order, so that both end with the same weights but for rounding.

Each run is a process of its own, so that its peak of memory is its own; all report their final loss on the same rows.
Tokens are those of the rows, padding does not count.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

SIZES = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 6, "num_attention_heads": 4}
WARMUP = 0.1
SAMPLING = {"as it comes": "random", "by length": "group_by_length", "our batches": "sequential"}
"""How TRL orders its rows."""


def prepare(folder: Path, data: Path, rows: int, template: str) -> None:
    """A model of random weights with a tokenizer of its rows' words, and the rows as tokens."""
    import torch
    import transformers as tf
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    with gzip.open(next((data / "esnli").glob("train*.gz")), "rt") as lines:
        found = [json.loads(line) for _, line in zip(range(rows), lines, strict=False)]
    texts = [
        (template.format(**row), f"{row.get('rationale') or ''} So the answer is {row['teacher_label']}.")
        for row in found
    ]
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=16000, special_tokens=["<pad>", "<end>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    raw.train_from_iterator([part for pair in texts for part in pair], trainer)
    tokenizer = tf.PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="<end>")
    torch.manual_seed(0)
    config = tf.LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=1024, pad_token_id=0, eos_token_id=1,
                            bos_token_id=None, tie_word_embeddings=True, **SIZES)  # fmt: skip
    tf.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    coded = [[tokenizer(part)["input_ids"] for part in pair] for pair in texts]
    (folder / "rows.json").write_text(json.dumps([[a, [*b, 1]] for a, b in coded]))


def course(folder: Path, batch: int) -> None:
    """Our loop's batches and rates, for the other side to follow."""
    from dstill.distill.training.schedule import batches, rate

    rows = json.loads((folder / "rows.json").read_text())
    order = batches([len(a) + len(b) for a, b in rows], batch, 0, 0)
    # A batch that is not full would end up in another place there, where rows are cut into batches one after another.
    if any(len(part) != batch for part in order):
        sys.exit(f"{len(rows)} rows make no whole batches of {batch}: give --rows a multiple of --batch")
    rates = [rate(step, len(order), WARMUP) for step in range(len(order))]
    (folder / "course.json").write_text(json.dumps({"order": order, "rates": rates}))


def ours(folder: Path, batch: int, lr: float) -> dict[str, Any]:
    """One epoch with our loop."""
    import torch
    from dstill.distill.training import Training, train
    from dstill.distill.training.writers import Causal, Coded
    from transformers import AutoModelForCausalLM

    rows = [Coded(tuple(a), tuple(b)) for a, b in json.loads((folder / "rows.json").read_text())]
    model = AutoModelForCausalLM.from_pretrained(folder)
    writer = Causal(model)

    def loss(places: Any) -> torch.Tensor:
        said = writer.say(model, [rows[place] for place in places])
        return torch.nn.functional.cross_entropy(said.logits, said.targets)

    how = Training(epochs=1, batch=batch, lr=lr, warmup=WARMUP, weight_decay=0.0, clip=1.0, checkpoint=10**9)
    with tempfile.TemporaryDirectory() as place:
        started = time.perf_counter()
        train(model, [row.size for row in rows], loss, how, Path(place))
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "loss": final(model, rows)}


def theirs(folder: Path, batch: int, lr: float, sampling: str) -> dict[str, Any]:
    """One epoch with TRL's SFTTrainer on the answers alone."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    rows = json.loads((folder / "rows.json").read_text())
    follow = json.loads((folder / "course.json").read_text())
    ordered = [rows[place] for part in follow["order"] for place in part] if sampling == "sequential" else rows
    data = Dataset.from_dict({
        "input_ids": [a + b for a, b in ordered], "labels": [[-100] * len(a) + b for a, b in ordered],
    })  # fmt: skip

    class Trainer(SFTTrainer):  # type: ignore[misc]
        """With our rates; its own are a step behind."""

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            rates = [*follow["rates"], 0.0]
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, rates.__getitem__)
            return self.lr_scheduler

    model = AutoModelForCausalLM.from_pretrained(folder)
    with tempfile.TemporaryDirectory() as place:
        config = SFTConfig(
            output_dir=place, num_train_epochs=1, per_device_train_batch_size=batch, learning_rate=lr,
            weight_decay=0.0, max_grad_norm=1.0, adam_beta2=0.98, report_to="none", save_strategy="no",
            logging_steps=10**6, use_cpu=True, bf16=False, gradient_checkpointing=False, max_length=None, packing=False,
            train_sampling_strategy=sampling, disable_tqdm=True, dataset_kwargs={"skip_prepare_dataset": True},
        )  # fmt: skip
        trainer = Trainer(
            model, args=config, train_dataset=data, processing_class=AutoTokenizer.from_pretrained(folder)
        )
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
    from types import SimpleNamespace

    return {"seconds": seconds, "loss": final(model, [SimpleNamespace(prompt=a, answer=b) for a, b in rows])}


def final(model: Any, rows: Any) -> float:
    """Mean loss per answer token on the first rows, one at a time."""
    import torch

    model.eval()
    model.set_attn_implementation("sdpa")
    total, count = 0.0, 0
    with torch.no_grad():
        for row in rows[:128]:
            ids = torch.tensor([[*row.prompt, *row.answer]])
            logits = model(input_ids=ids).logits[0, len(row.prompt) - 1 : -1]
            total += float(torch.nn.functional.cross_entropy(logits, torch.tensor(row.answer), reduction="sum"))
            count += len(row.answer)
    return total / count


def one(side: str, folder: Path, batch: int, lr: float) -> None:
    """One side in this process, with its peak of memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = theirs(folder, batch, lr, SAMPLING[side]) if side in SAMPLING else ours(folder, batch, lr)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("RESULT " + json.dumps({**found, "peak_mb": peak / 1024, "before_mb": before / 1024}))


def main() -> None:
    """Both sides in turn, several times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl", help="a Python in which trl is installed")
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--here", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        one(given.here, given.folder, given.batch, given.lr)
        return
    from common import data_folder, record, spread

    if not given.trl:
        sys.exit("give a Python in which trl is installed: --trl FOLDER/bin/python")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        template = "Premise: {premise}\nHypothesis: {hypothesis}\nDoes the premise entail the hypothesis?"
        prepare(folder, data_folder(given.data), given.rows, template)
        course(folder, given.batch)
        coded = json.loads((folder / "rows.json").read_text())
        tokens = sum(len(a) + len(b) for a, b in coded)
        runs: dict[str, list[dict[str, float]]] = {side: [] for side in ("ours", *SAMPLING)}
        for _ in range(given.repeats):
            for side in runs:
                python = given.trl if side in SAMPLING else sys.executable
                words = [python, __file__, "--here", side, "--folder", str(folder), "--batch", str(given.batch)]
                done = subprocess.run(
                    [*words, "--lr", str(given.lr)], capture_output=True, text=True,
                    env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
                )  # fmt: skip
                said = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
                if not said:
                    sys.exit(f"{side} failed: {done.stderr[-3000:]}")
                runs[side].append(json.loads(said[0][7:]))
    speed = {side: [tokens / run["seconds"] for run in found] for side, found in runs.items()}
    ratios = {side: [a / b for a, b in zip(speed["ours"], speed[side], strict=True)] for side in SAMPLING}
    told = {side: f"loss {found[0]['loss']:.3f}, peak {max(run['peak_mb'] for run in found):.0f} MB"
            for side, found in runs.items()}  # fmt: skip
    beside = [f"{side} {spread(ratios[side])} times, {told[side]}" for side in SAMPLING]
    record(
        "training_speed",
        {"tokens": tokens, "answer_tokens": sum(len(b) for _, b in coded), "ratios": ratios, "runs": runs,
         "model": SIZES},
        f"tokens a second {spread(speed['ours'])}, {told['ours']}; beside TRL's SFTTrainer {'; '.join(beside)}",
    )  # fmt: skip
    picture(ratios)


def picture(ratios: dict[str, list[float]]) -> None:
    """Times TRL's rate, by how its rows are put together."""
    from common import RESULTS
    from plot import median_of, ranges

    rows = {f"TRL, {side}": median_of(found) for side, found in ratios.items()}
    title, axis = "Training beside SFTTrainer", "times the tokens a second"
    ranges(RESULTS / "training_speed.svg", title, axis, rows, asked=(1.0, 1.5))


if __name__ == "__main__":
    main()
