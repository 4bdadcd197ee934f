"""Students as plain Hugging Face folders: merged weights, configuration, tokenizer and card.

Classifiers are asked as their card tells others to, with transformers alone; of the other kinds, whose own engine loads
the very same classes, the weights are compared.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ...runtime.engines.local.loading import load, quiet
from ..students import LOADERS
from .export import Exported


def export_hf(folder: Path, student: Any, out: Path, probes: Sequence[Mapping[str, str]]) -> Exported:
    """Copy a student, load it back with transformers alone, and compare."""
    for path in sorted(folder.iterdir()):
        if path.is_file():
            shutil.copy2(path, out / path.name)
    if student.kind == "encoder":
        return _compared_answers(folder, student.facts, out, probes)
    ours, _ = load(LOADERS[student.kind], folder, dtype="float32")
    theirs, _ = load(LOADERS[student.kind], out, dtype="float32")
    pairs = list(zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True))
    worst = max((float((a - b).abs().max()) for a, b in pairs if a.dtype.is_floating_point), default=0.0)
    note = "its encoder alone, as transformers has no class for its head" if student.kind == "matcher" else ""
    return Exported("hf", out, len(pairs), None, worst, "weight", note)


def _compared_answers(
    folder: Path, facts: Mapping[str, Any], out: Path, probes: Sequence[Mapping[str, str]]
) -> Exported:
    """The student's own engine, and the folder as others load it."""
    from ..students.engines import EncoderStudent

    engine = EncoderStudent(folder, facts)
    ours = engine.probabilities([dict(probe) for probe in probes])
    engine.close()
    theirs = _plainly(out, facts, probes)
    agree = float((ours.argmax(-1) == theirs.argmax(-1)).double().mean())
    return Exported("hf", out, len(probes), agree, float((ours - theirs).abs().max()), "probability")


def _plainly(folder: Path, facts: Mapping[str, Any], probes: Sequence[Mapping[str, str]]) -> torch.Tensor:
    """Probabilities [inputs, labels], computed as the card in the folder says (``students.card``)."""
    import transformers
    from safetensors.torch import load_file

    from ..students.encoding import encode
    from ..students.pooling import HEAD, mean_of

    mean, found = facts.get("pooling") == "mean", []
    with quiet():
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        loader = transformers.AutoModel if mean else transformers.AutoModelForSequenceClassification
        model = loader.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval()
    head = load_file(folder / HEAD) if mean else {}
    for probe in probes:
        row = encode(tokenizer, dict(probe), facts["inputs"], facts["max_length"])
        feed = {name: torch.tensor([ids]) for name, ids in row.items()}
        with torch.inference_mode():
            made = model(**feed)
            if mean:
                pooled = mean_of(made.last_hidden_state, feed["attention_mask"])
                logits = pooled @ head["weight"].T + head["bias"]
            else:
                logits = made.logits
        found.append(logits[0].double().softmax(-1))
    return torch.stack(found)
