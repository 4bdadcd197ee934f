"""Semantic similarity: the cosine of two texts' embeddings by an encoder on this machine.

An embedding is the mean of the encoder's last hidden states over a text's tokens, as sentence encoders are trained and
read (Reimers and Gurevych, "Sentence-BERT", 2019, arXiv:1908.10084). What a value means depends on the encoder; the
embedded one hardly knows text outside the embedded models' small world.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any

import dspy

from ...runtime.canonical import encodable
from ...runtime.errors import BadInput
from .base import Score
from .fields import answer_of, judged, text_of, wanted_of

MOST = 20_000
"""Characters of a text that are embedded, before the encoder's own limit on tokens."""
_loading = Lock()


@dataclass(frozen=True, slots=True)
class Similarity:
    """See ``similarity``."""

    field: str
    encoder: str
    gold: str = ""

    @property
    def name(self) -> str:
        """``similarity(field)``."""
        return f"similarity({self.field})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        gold = wanted_of(example, prediction, self.field, self.gold, str)
        if isinstance(gold, Score):
            return gold
        if not gold.strip():
            return Score(None, f"the example's {self.gold or self.field} is empty: nothing is similar to it")
        answer = answer_of(prediction, self.field)
        text = encodable(text_of(answer))
        if not text.strip():
            return judged(0.0, gold, answer)
        return judged(round((1 + cosine(self.encoder, gold, text)) / 2, 6), gold, answer)


def similarity(field: str, *, encoder: str = "embedded:encoder", gold: str = "") -> Similarity:
    """(1 + cosine) / 2 of the embeddings of an output field and the example's: 1 for equal texts, 1/2 for unrelated
    directions, 0 for opposite ones.

    Args:
        encoder: a Hugging Face encoder's folder or hub name, or ``embedded:encoder``; loaded once, when first used.
        gold: the example's field with the gold answer, where it has another name than the output field.

    Raises:
        BadInput: for an encoder without a name.
        ModelUnavailable: when first used, for an encoder that is not there.
    """
    if not isinstance(encoder, str) or not encoder.strip():
        raise BadInput(f"similarity(encoder={encoder!r}): expected a folder, a hub name, or embedded:encoder")
    return Similarity(field, encoder, gold)


def cosine(encoder: str, one: str, other: str) -> float:
    """The cosine of two texts' embeddings, in [-1, 1]; texts are cut at the encoder's limit.

    Raises:
        ModelUnavailable: for an encoder that is not there.
    """
    import torch

    with _loading:
        model, tokenizer, longest = _loaded(encoder)
    with torch.inference_mode():
        batch = tokenizer(
            [one[:MOST], other[:MOST]], padding=True, truncation=True, max_length=longest, return_tensors="pt"
        ).to(model.device)
        hidden = model(**batch).last_hidden_state.float()
        kept = batch["attention_mask"][..., None].float()
        found = (hidden * kept).sum(1) / kept.sum(1).clamp(min=1)
        value = torch.nn.functional.cosine_similarity(found[0], found[1], dim=0).item()
    return min(1.0, max(-1.0, float(value)))


@lru_cache(maxsize=4)
def _loaded(encoder: str) -> tuple[Any, Any, int]:
    from ...runtime.engines.local.loading import find_folder, load
    from ...runtime.models import embedded_folder

    embedded = encoder.partition(":")[0] == "embedded"
    model, tokenizer = load("", embedded_folder(encoder) if embedded else find_folder(encoder), dtype="float32")
    limits = (tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", None) or 512)
    return model, tokenizer, int(min(limits))
