"""What the tests of the embedded LM share: a tokenizer and a network small enough to make in a moment."""

from __future__ import annotations

import pytest
from dstill.runtime.embedded.model import Shape
from dstill.runtime.embedded.tokens import sample_texts, train_tokenizer
from tokenizers import Tokenizer

VOCAB = 1024


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """Learned as a training run's is, from fewer episodes."""
    return train_tokenizer(sample_texts(0, 200), VOCAB)


@pytest.fixture
def shape() -> Shape:
    """A network with all there is: both kinds of layer, shared keys, an odd number of taps beside the default."""
    return Shape(vocab=VOCAB, width=32, layers=4, attention=(1, 3), heads=4, kv_heads=2, ffn=48, taps=5, context=1024)
