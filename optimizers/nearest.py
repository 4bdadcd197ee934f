"""Demonstrations chosen for every input: those of a pool that are nearest to it.

As ``dspy.KNNFewShot`` and KATE do (Liu et al., "What makes good in-context examples for GPT-3?", 2101.06804), which
compare embeddings of sentences; here words are compared, by the cosine of their tf-idf weights, so no model is needed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import dspy

Demo = Mapping[str, Any]


class Pool:
    """Demonstrations to choose from; an immutable value that copies of a program share."""

    def __init__(self, demos: Sequence[Demo], fields: Iterable[str]) -> None:
        self.demos, self.fields = tuple(demos), tuple(fields)

    def __deepcopy__(self, memo: object) -> Pool:
        return self

    def nearest(self, inputs: Mapping[str, Any], k: int) -> list[Demo]:
        """The ``k`` nearest to a predictor's inputs, the nearest last; of equals the earlier is nearer.

        Where no word is shared with any, these are the first of the pool.
        """
        found = [0.0] * len(self.demos)
        for word, count in sorted(_words(inputs, self.fields).items()):
            for place, weight in self._index.get(word, ()):
                found[place] += count * self._rarity[word] * weight
        order = sorted(range(len(found)), key=lambda place: (-round(found[place], 12), place))[:k]
        return [self.demos[place] for place in reversed(order)]

    @cached_property
    def _rarity(self) -> dict[str, float]:
        """A word's weight, as in scikit-learn's TfidfVectorizer."""
        spread = Counter(word for demo in self.demos for word in _words(demo, self.fields))
        return {word: math.log((1 + len(self.demos)) / (1 + times)) + 1 for word, times in spread.items()}

    @cached_property
    def _index(self) -> dict[str, list[tuple[int, float]]]:
        """By word, where it stands with what weight; the weights of one demonstration have length 1."""
        found: dict[str, list[tuple[int, float]]] = {}
        for place, demo in enumerate(self.demos):
            weights = {word: count * self._rarity[word] for word, count in _words(demo, self.fields).items()}
            size = math.sqrt(math.fsum(weight * weight for weight in weights.values()))
            for word, weight in weights.items():
                found.setdefault(word, []).append((place, weight / size))
        return found


def _words(values: Mapping[str, Any], fields: Iterable[str]) -> Counter[str]:
    return Counter(re.findall(r"\w+", " ".join(str(values[f]) for f in fields if f in values).lower()))


class NearestPredict(dspy.Predict):
    """A predictor that shows as many demonstrations as it has, but those of its pool that are nearest to the input."""

    pool: Pool

    def forward(self, **kwargs: Any) -> Any:
        """Predict, with the demonstrations for this input."""
        return super().forward(**{"demos": self._chosen(kwargs), **kwargs})

    async def aforward(self, **kwargs: Any) -> Any:
        """The same from async code."""
        return await super().aforward(**{"demos": self._chosen(kwargs), **kwargs})

    def _chosen(self, inputs: Mapping[str, Any]) -> list[dspy.Example]:
        return [dspy.Example(**demo) for demo in self.pool.nearest(inputs, len(self.demos))]


def can_choose(predictor: dspy.Predict) -> bool:
    """Whether a predictor can be made one that chooses: it must be DSPy's own ``Predict``."""
    return type(predictor) in (dspy.Predict, NearestPredict)


def choosing(predictor: dspy.Predict, demos: Sequence[Demo]) -> None:
    """Make a predictor one that chooses from a pool, or, with an empty one, plain again."""
    if demos:
        predictor.__class__ = NearestPredict  # it stays the object that the program knows
        predictor.pool = Pool(demos, predictor.signature.input_fields)
    elif isinstance(predictor, NearestPredict):
        predictor.__class__ = dspy.Predict
        del predictor.pool


def demos_for(predictor: dspy.Predict, inputs: Mapping[str, Any]) -> list[Any]:
    """The demonstrations that a predictor shows with these inputs."""
    return predictor._chosen(inputs) if isinstance(predictor, NearestPredict) else list(predictor.demos)


def pool_of(predictor: dspy.Predict) -> tuple[Demo, ...]:
    """The pool that a predictor chooses from; empty for one that does not."""
    return predictor.pool.demos if isinstance(predictor, NearestPredict) else ()
