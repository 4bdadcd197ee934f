"""Similarity: the embeddings are those of a plain loop, and nothing is loaded before it is needed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import dspy
import numpy as np
import pytest
from dstill.programs import metrics
from dstill.programs.metrics import similarity as made
from dstill.programs.metrics.similarity import cosine
from dstill.runtime import BadInput
from dstill.runtime.errors import ModelUnavailable
from dstill.runtime.models import embedded_folder

TEXTS = ["where is my parcel", "my parcel has not come yet, where is it?", "I forgot my password"]


def embedded(text: str) -> np.ndarray[Any, Any]:
    """One text alone, unpadded; the mean by hand."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = embedded_folder("embedded:encoder")
    tokens = AutoTokenizer.from_pretrained(folder)(text)["input_ids"]
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(folder).eval()(input_ids=torch.tensor([tokens])).last_hidden_state
    return np.asarray([hidden[0, :, j].sum().item() / len(tokens) for j in range(hidden.shape[2])])


def test_the_value_is_half_of_one_plus_the_cosine() -> None:
    vectors = [embedded(text) for text in TEXTS]
    metric = metrics.similarity("answer")
    for i, gold in enumerate(TEXTS):
        for j, answer in enumerate(TEXTS):
            u, v = vectors[i], vectors[j]
            expected = (1 + float(u @ v) / float(np.linalg.norm(u) * np.linalg.norm(v))) / 2
            got = metric(dspy.Example(answer=gold), dspy.Prediction(answer=answer)).value
            assert got == pytest.approx(expected, abs=2e-5)
    assert metric(dspy.Example(answer=TEXTS[0]), dspy.Prediction(answer=TEXTS[0])) == metrics.Score(1.0, "Right.")


def test_what_is_said_alike_is_closer() -> None:
    assert cosine("embedded:encoder", TEXTS[0], TEXTS[1]) > cosine("embedded:encoder", TEXTS[0], TEXTS[2])


def test_empty_texts_and_surrogates() -> None:
    metric = metrics.similarity("answer")
    assert metric(dspy.Example(answer=" "), dspy.Prediction(answer="x")).value is None
    assert metric(dspy.Example(answer=["x"]), dspy.Prediction(answer="x")).value is None
    assert metric(dspy.Example(answer="x"), dspy.Prediction(answer="")).value == 0
    value = metric(dspy.Example(answer="x"), dspy.Prediction(answer="\ud800")).value
    assert value is not None and 0 <= value <= 1


def test_an_encoder_that_is_not_there() -> None:
    with pytest.raises(BadInput, match="a folder, a hub name, or embedded:encoder"):
        metrics.similarity("answer", encoder=" ")
    absent = metrics.similarity("answer", encoder="./nowhere")
    with pytest.raises(ModelUnavailable, match="nowhere"):
        absent(dspy.Example(answer="x"), dspy.Prediction(answer="y"))


def test_nothing_is_loaded_before_it_is_needed() -> None:
    code = "from dstill.programs import metrics; metrics.similarity('x'); import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert made is metrics.similarity
