"""The first lessons, before there are words: which label stood behind this token the last time?

Pairs of random tokens and labels, side by side at first, then with a separator or two between them, over a
vocabulary that grows from a few hundred tokens to all. A decoder that meets DSPy's
layout at once stays on a plateau for millions of tokens; one that begins here binds labels after half a million and
keeps it while distance and vocabulary grow (measured; "induction heads", Olsson et al. 2022, are what it learns).
"""

from __future__ import annotations

import random

FIRST = 300  # tokens in use at the start
SEPARATORS = 2  # most tokens between a word and its label
TURNS = 14
GUESS_WEIGHT = 0.02  # of a label in the loss when its word is new


def pairs(rng: random.Random, vocab: int, progress: float) -> tuple[list[int], list[float]]:
    """Token ids of one sequence of pairs and, for each, how much predicting it counts; `progress` is 0 to 1."""

    def token() -> int:
        return rng.randrange(8, FIRST + int(progress * (vocab - FIRST)))

    reached = min(SEPARATORS, int(progress * (SEPARATORS + 1)))
    gap = round(reached * rng.random() ** 0.5)
    between, after = [token() for _ in range(gap)], [token() for _ in range(rng.randint(0, gap))]
    longest = 1 if progress < 0.2 else 3
    pool = [tuple(token() for _ in range(rng.randint(1, longest))) for _ in range(rng.randint(3, 7))]
    labels = [token() for _ in range(rng.randint(2, 4))]
    label = {word: rng.choice(labels) for word in pool}
    ids, weights, known = [1], [0.0], set()
    for _ in range(TURNS):
        word = rng.choice(pool)
        ids += [*word, *between, label[word], *after]
        weights += [0.0] * (len(word) + gap) + [1.0 if word in known else GUESS_WEIGHT] + [0.0] * len(after)
        known.add(word)
    return ids, weights
