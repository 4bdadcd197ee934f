"""Near-duplicates: all pairs of texts whose sets of character n-grams overlap by a threshold, found exactly.

The overlap is Jaccard's, |A and B| / |A or B|. Two sets of overlap t or more share one of the rarest elements of each
(Bayardo, Ma and Srikant, "Scaling Up All Pairs Similarity Search", WWW 2007), so only those are indexed; what the index
proposes is compared whole. Nothing is missed, unlike with MinHash, and no hash has to be tuned.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

SHINGLE = 5
"""Signs in an n-gram; with words, short texts would have hardly any."""


def shingles(text: str, n: int = SHINGLE) -> frozenset[str]:
    """The character n-grams of a text; a shorter text is its own."""
    return frozenset(text[start : start + n] for start in range(len(text) - n + 1)) or frozenset((text,))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """|A and B| / |A or B|."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


def first_of_kind(texts: Sequence[str], threshold: float) -> list[int | None]:
    """For every text the place of the earliest kept one that it resembles by ``threshold`` or more, or ``None``.

    A text with ``None`` is kept; the others repeat one that is.

    Args:
        threshold: above 0, at most 1.
    """
    sets = [shingles(text) for text in texts]
    often = Counter(gram for one in sets for gram in one)
    index: dict[str, list[int]] = {}
    found: list[int | None] = []
    for place, one in enumerate(sets):
        rarest = sorted(one, key=lambda gram: (often[gram], gram))
        prefix = rarest[: len(rarest) - math.ceil(threshold * len(rarest) - 1e-9) + 1]
        candidates = sorted({other for gram in prefix for other in index.get(gram, ())})
        match = next((other for other in candidates if jaccard(one, sets[other]) >= threshold), None)
        found.append(match)
        if match is None:
            for gram in prefix:
                index.setdefault(gram, []).append(place)
    return found
