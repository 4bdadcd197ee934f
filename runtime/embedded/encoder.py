"""Train the embedded encoder from nothing: a small ModernBERT that tells the concepts of the small world apart.

Example (about four minutes on one core):

    python -m dstill.runtime.embedded.encoder --out weights/encoder --tokenizer weights/base

It reads texts of all sources (support messages, topics, opinions, things) and learns by name which concept of its
source wrote each of them. The head that names concepts is left behind; what stays is the base of classifier students.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from pathlib import Path

import torch
from torch.nn import functional
from transformers import AutoTokenizer, ModernBertConfig, ModernBertModel

from ..derive import derive
from .classify import SHORT
from .concepts import Source, sources, support_source
from .jumble import jumble, roughness
from .lexicon import Split

CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: feature-extraction
---

# dstill embedded encoder

A tiny ModernBERT, trained from nothing by `runtime/embedded/encoder.py` to tell the concepts of the embedded LM's
small world apart. It is the base of classifier students; text outside that world it hardly knows.

| | |
|---|---|
| parameters | {parameters:,} |
| weights | float32, sha256 `{digest}` |
| trained on | {texts:,} generated texts, seed {seed} |
| held-out wordings of support messages told apart, of {intents} kinds | {held:.1%} |
"""

Row = tuple[str, int, Source]
"""A text, its concept's place in the head, its source."""


def batch(rng: random.Random, every: list[Source], offset: dict[str, int], split: Split, n: int) -> list[Row]:
    """n labelled texts, half of them support messages; rough ones too in training."""
    out: list[Row] = []
    for _ in range(n):
        source = support_source(rng.choice((0.3, 1.0))) if rng.random() < 0.5 else rng.choice(every)
        k = rng.randrange(len(source.concepts))
        text = source.concepts[k].write(rng, split)
        if split == "train" and source.key not in SHORT:
            text = jumble(rng, text, roughness(rng))
        out.append((text, offset[source.key] + k, source))
    return out


def main() -> None:
    """The command line."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--out", type=Path, required=True, help="folder to write")
    cli.add_argument("--tokenizer", type=Path, required=True, help="folder with the embedded LM's tokenizer")
    cli.add_argument("--steps", type=int, default=800, help="steps of 64 texts (default: 800)")
    cli.add_argument("--lr", type=float, default=1e-3, help="peak learning rate (default: 0.001)")
    cli.add_argument("--seed", type=int, default=0)
    cli.add_argument("--threads", type=int, default=1)
    a = cli.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(derive(a.seed, "encoder").getrandbits(60))

    tokenizer = AutoTokenizer.from_pretrained(a.tokenizer)
    config = ModernBertConfig(
        vocab_size=len(tokenizer), hidden_size=128, intermediate_size=192, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=512, local_attention=64, global_attn_every_n_layers=2, classifier_pooling="mean",
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        cls_token_id=tokenizer.bos_token_id, sep_token_id=tokenizer.eos_token_id,
        embedding_dropout=0.1, mlp_dropout=0.1, classifier_dropout=0.1,
    )  # fmt: skip
    model = ModernBertModel(config)
    every = [s for s in sources("train") if s.key != "mood"]
    offset, size = {}, 0
    for source in every:
        offset[source.key] = size
        size += len(source.concepts)
    head = torch.nn.Linear(128, size)
    mask = {s.key: torch.full((size,), float("-inf")) for s in every}
    for s in every:
        mask[s.key][offset[s.key] : offset[s.key] + len(s.concepts)] = 0.0

    def logits(rows: list[Row]) -> torch.Tensor:
        texts = [text for text, _, _ in rows]
        coded = tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=512)
        ids = coded["input_ids"]
        if model.training:  # words are hidden, or it would know templates instead of meanings
            hide = torch.rand(ids.shape) < 0.25
            ids = torch.where(hide, tokenizer.eos_token_id, ids)
        hidden = model(input_ids=ids, attention_mask=coded["attention_mask"]).last_hidden_state
        kept = coded["attention_mask"][..., None].float()
        pooled = (hidden * kept).sum(1) / kept.sum(1)
        return head(pooled) + torch.stack([mask[s.key] for _, _, s in rows])

    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=a.lr, weight_decay=0.05)
    for step in range(a.steps):
        rows = batch(derive(a.seed, "encoder", step), every, offset, "train", 64)
        optimizer.param_groups[0]["lr"] = a.lr * min(1, (step + 1) / 100, max(0.01, 1.5 * (1 - step / a.steps)))
        model.train()
        loss = functional.cross_entropy(logits(rows), torch.tensor([k for _, k, _ in rows]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 100 == 99 or step == a.steps - 1:
            model.eval()
            held = batch(derive(a.seed, "held", step), [s for s in every if s.key == "support"], offset, "held", 256)
            held = [row for row in held if row[2].key == "support"]
            with torch.no_grad():
                right = (logits(held).argmax(-1) == torch.tensor([k for _, k, _ in held])).float().mean()
            print(f"step {step + 1}: loss {loss.item():.3f}, held-out support wordings {right.item():.3f}", flush=True)
    a.out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(a.out)
    tokenizer.save_pretrained(a.out)
    digest = hashlib.sha256((a.out / "model.safetensors").read_bytes()).hexdigest()
    card = CARD.format(
        parameters=model.num_parameters(), digest=digest, texts=64 * a.steps, seed=a.seed, held=right.item(),
        intents=len(support_source().concepts),
    )  # fmt: skip
    (a.out / "README.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
