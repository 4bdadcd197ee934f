"""Demonstrations that are unlike one another, so that few of them show much of the task.

Sets are drawn as k-means++ draws its centres (Arthur and Vassilvitskii, 2007): the first example at random, every
further one by its squared distance from the nearest that is in the set. That diversity helps in-context learning was
shown by Su et al. (vote-k, 2209.01975) and Zhang et al. (Auto-CoT, 2210.03493), who cluster sentence embeddings; here
words are compared, so that no model is needed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from ...runtime.canonical import canonical
from ...runtime.derive import derive
from ..candidate import Candidate, Demo
from ..history import History
from .base import Ground, fresh

MOST = 1000
"""Labelled examples that are compared, for each predictor; of more, as many at random."""


@dataclass(frozen=True)
class DiverseDemos:
    """Sets of up to ``k`` labelled examples unlike one another, under the instructions of the leader."""

    ground: Ground
    k: int

    @property
    def name(self) -> str:
        """``diverse-k``."""
        return f"diverse-{self.k}"

    def propose(self, history: History, rng: Random, n: int) -> Sequence[Candidate]:
        """Up to ``n`` new sets; none if the examples have not all fields of any predictor."""
        parent = history.leader().candidate if history.trials else self.ground.baseline
        pools = {name: self._pool(name) for name in parent.predictors}

        def drawn() -> Candidate:
            candidate = parent
            for name, (demos, points) in pools.items():
                if demos:
                    chosen = spread(points, self.k, rng)
                    candidate = candidate.with_state(name, demos=tuple(demos[place] for place in chosen))
            return candidate.made_from(parent)

        return fresh(history, (drawn() for _ in range(4 * n)), n)

    def _pool(self, name: str) -> tuple[list[Demo], list[Point]]:
        demos = [demo for _, demo in self.ground.labelled(name)]
        if len(demos) > MOST:
            places = sorted(derive(self.ground.seed, "diverse pool", name).sample(range(len(demos)), MOST))
            demos = [demos[place] for place in places]
        inputs = dict(self.ground.program.named_predictors())[name].signature.input_fields
        return demos, points_of(demos, inputs)


@dataclass(frozen=True)
class Point:
    """An example as it is compared."""

    words: Mapping[str, float]
    """Of its inputs: word to weight (tf-idf), of length 1; empty if there are none."""
    answer: str
    """Its outputs."""


def points_of(demos: Sequence[Demo], inputs: Mapping[str, object]) -> list[Point]:
    """Demonstrations as points. A word's weight is its count times log((1 + n) / (1 + n with it)) + 1, as in
    scikit-learn's TfidfVectorizer."""
    counts = [
        Counter(re.findall(r"\w+", " ".join(str(demo[f]) for f in inputs if f in demo).lower())) for demo in demos
    ]
    spread_over = Counter(word for count in counts for word in count)
    rarity = {word: math.log((1 + len(demos)) / (1 + found)) + 1 for word, found in spread_over.items()}
    points = []
    for demo, count in zip(demos, counts, strict=True):
        weights = {word: times * rarity[word] for word, times in count.items()}
        size = math.sqrt(math.fsum(weight * weight for weight in weights.values()))
        answer = canonical({field: value for field, value in demo.items() if field not in inputs})
        points.append(Point({word: weight / size for word, weight in weights.items()}, str(answer)))
    return points


def distance(one: Point, other: Point) -> float:
    """Between 0 and 1: half of it how little the inputs share (1 less their cosine), half whether outputs differ."""
    fewer, more = sorted((one.words, other.words), key=len)
    cosine = math.fsum(weight * more.get(word, 0.0) for word, weight in fewer.items())
    apart = 0.0 if one.words == other.words else max(0.0, 1.0 - cosine)
    return (apart + (one.answer != other.answer)) / 2


def spread(points: Sequence[Point], k: int, rng: Random) -> list[int]:
    """Places of up to ``k`` points that are unlike one another, in the order drawn; fewer if all others are equal to
    those. ``points`` holds at least one."""
    chosen = [rng.randrange(len(points))] if k else []
    nearest = [math.inf] * len(points)
    while chosen and len(chosen) < k:
        nearest = [
            min(known, distance(point, points[chosen[-1]])) for known, point in zip(nearest, points, strict=True)
        ]
        weights = [known * known for known in nearest]
        if not any(weights):
            break
        chosen.append(rng.choices(range(len(points)), weights=weights)[0])
    return chosen
