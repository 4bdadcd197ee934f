"""A fence around a split: hashes of its inputs, by which others can tell that a text stands there, and nothing more.

Training rows are checked against dev in the open and against test through its fence, so that code which distils is
never handed the test split itself.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import dspy

from ..runtime.canonical import as_json, encodable

NGRAM = 13
"""Words in a row that two texts do not share by chance (Brown et al., "Language Models are Few-Shot Learners",
2005.14165, appendix C)."""

COMMON = 0.1
"""An n-gram of more than this share of a split's examples (and of three or more) is a turn of phrase of the task."""


@dataclass(frozen=True)
class Fence:
    """Hashes of a split's inputs: whole, and by ``NGRAM`` words in sequence."""

    whole: frozenset[int]
    grams: frozenset[int]

    @classmethod
    def of(cls, examples: Sequence[dspy.Example]) -> Fence:
        """The fence of a split. N-grams that many of its examples share, such as a task's fixed wording, are left
        out."""
        whole: set[int] = set()
        met: Counter[int] = Counter()
        for example in examples:
            values = list(example.inputs().values())
            whole.add(hashed(key(values)))
            met.update({hashed(gram) for gram in ngrams(normal(values), NGRAM)})
        most = max(2, COMMON * len(examples))
        return cls(frozenset(whole), frozenset(gram for gram, count in met.items() if count <= most))

    def holds(self, values: Iterable[object]) -> str | None:
        """How a text's inputs are known here: ``exact``, ``n-gram``, or ``None``."""
        values = list(values)
        if hashed(key(values)) in self.whole:
            return "exact"
        return "n-gram" if any(hashed(gram) in self.grams for gram in ngrams(normal(values), NGRAM)) else None


def normal(values: Iterable[object]) -> str:
    """Texts without regard to case and white space, a line each."""
    return "\n".join(" ".join(str(as_json(value)).casefold().split()) for value in values)


def key(values: Iterable[object]) -> str:
    """Texts as ``normal``, in no order: a program's inputs and a predictor's are not always declared in the same."""
    return "\n".join(sorted(normal(values).split("\n")))


def ngrams(text: str, n: int) -> Iterator[str]:
    """Runs of ``n`` words, punctuation at their edges left out; of a line with fewer words, none."""
    for line in text.split("\n"):
        words = [word for word in (raw.strip(".,;:!?\"'()[]{}") for raw in line.split()) if word]
        for start in range(len(words) - n + 1):
            yield " ".join(words[start : start + n])


def hashed(text: str) -> int:
    """64 bits."""
    return int.from_bytes(hashlib.blake2b(encodable(text).encode(), digest_size=8).digest(), "big")
