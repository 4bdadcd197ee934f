"""A student's model card: what it is, what it was trained on, and how it is used with transformers alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

LOADERS = {"encoder": "SequenceClassification", "causal": "CausalLM", "seq2seq": "Seq2SeqLM", "matcher": ""}
"""What follows ``AutoModelFor`` in transformers, by kind of student; nothing for the bare model."""


def card(kind: str, facts: Mapping[str, Any], told: Mapping[str, Any], measured: Mapping[str, str]) -> str:
    """The card as Markdown, with the head that the hub reads; ``measured`` are scores by what they are of."""
    losses = ", ".join(f"{value:.3f}" for value in told.get("losses", []))
    rows = [
        ("task", told["task"]), ("predictor", told["predictor"]), ("base model", told["base"]),
        *([("licence of the base model", told["licence"])] if told.get("licence") else []),
        ("teacher", told["teacher"]), ("recipe", told["recipe"]), ("training rows", told["rows"]),
        ("digest of the rows", told["data"]), ("seed", told["seed"]), ("loss, first to last tenth", losses or "–"),
        *measured.items(),
    ]  # fmt: skip
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    settings = "\n".join(f"- {name}: {value}" for name, value in told["settings"].items())
    return f"""---
library_name: transformers
tags: [dstill, distillation, {kind}]
---
# {told["task"]}, predictor {told["predictor"]}: a distilled student

Trained by dstill to take over one predictor of a language-model program. What the program scores with it
stands in `report.json` of the run that it belongs to.

| | |
|---|---|
{table}

## Settings

{settings}

## Use

`dstill.load(run)` gives the whole program with this student in it. {_use(kind, facts)}

The licence is that of the base model and of the training data.
"""


def _use(kind: str, facts: Mapping[str, Any]) -> str:
    """How transformers alone loads it."""
    if kind == "matcher":
        return (
            "`AutoModel.from_pretrained(folder)` of transformers\nloads its encoder; the maps by which it scores labels"
            " lie beside it in `match.safetensors`, which dstill reads and\ntransformers does not."
        )
    if kind == "encoder":
        mean = facts.get("pooling") == "mean"
        why = (
            "transformers has no class for\nits head, which reads the mean of the tokens and lies in `head.safetensors`"
            " (a pooler, which transformers may make up and\nwarn of, is not used)"
            if mean
            else "The folder is a Hugging Face\nmodel as well"
        )
        return f"{why}; without dstill:\n\n```python\n{_code(facts, mean=mean)}```"
    return (
        f"The folder is a Hugging Face model as well:\n`AutoModelFor{LOADERS[kind]}.from_pretrained(folder)`; "
        "`student.json` says how its input is written."
    )


def _code(facts: Mapping[str, Any], *, mean: bool) -> str:
    """A classifier asked with torch and transformers alone."""
    auto = "AutoModel" if mean else "AutoModelForSequenceClassification"
    taken = f'{_texts(facts["inputs"])}, truncation=True, max_length={facts["max_length"]}, return_tensors="pt"'
    lines = [
        "import torch",
        *(["from safetensors.torch import load_file"] if mean else []),
        f"from transformers import {auto}, AutoTokenizer", "",
        'folder = "."  # where this card lies', "tokenizer = AutoTokenizer.from_pretrained(folder)",
        f"model = {auto}.from_pretrained(folder).eval()",
        *(['head = load_file(f"{folder}/head.safetensors")'] if mean else []), "", "",
        "def answer(inputs):",
        f"    feed = tokenizer({taken})",
        "    with torch.inference_mode():",
        *(
            [
                "        states, mask = model(**feed).last_hidden_state, feed[\"attention_mask\"][..., None]",
                "        mean = (states * mask).sum(1) / mask.sum(1)",
                "        logits = mean @ head[\"weight\"].T + head[\"bias\"]",
            ]
            if mean
            else ["        logits = model(**feed).logits"]
        ),
        "    return model.config.id2label[int(logits.argmax())]", "", "",
        f"print(answer({json.dumps(dict.fromkeys(facts['inputs'], '...'))}))", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _texts(names: Sequence[str]) -> str:
    """As ``encoding.encode`` takes them, stripped: a text, two as a pair, more as ``name: text`` lines."""
    if len(names) > 2:
        return f'"\\n".join(f"{{name}}: {{inputs[name].strip()}}" for name in {json.dumps(list(names))})'
    return ", ".join(f'inputs["{name}"].strip()' for name in names)
