"""Samples in bounded memory: all of them up to a limit, beyond it those of a part of the examples."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from hashlib import blake2b

import numpy as np

from .sample import Sample

MOST = 200_000
"""Examples that are kept of one system on one task. More would make an interval narrower than 0.4 points, which no
board can show, and a page that no browser opens."""
TEXTS = 200_000_000
"""Characters of outputs and inputs that are kept of one system on one task."""


class Keep:
    """Samples by their example's id, in the order in which they came.

    Of more examples than ``most``, those are kept whose ids have the smallest digests (a bottom-k sample: Cohen and
    Kaplan, PODC 2007). Which these are hangs on the ids alone, so of two systems on the same examples the same ones
    are kept, whatever the order of their files, and they stay paired. Besides, 16 bytes are held for every record.
    """

    def __init__(self, most: int = MOST, texts: int = TEXTS) -> None:
        self.seen = 0
        """Records that came."""
        self.untexted = 0
        """Records whose texts were left out."""
        self._most, self._texts, self._used = most, texts, 0
        self._limit = 1 << 64
        self._samples: dict[int, list[Sample]] = {}
        self._keys, self._places, self._unit = array("Q"), array("Q"), ""

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[list[Sample]]:
        """The samples of each example; the examples by the place of their first one."""
        return iter(sorted(self._samples.values(), key=lambda samples: samples[0].place))

    @property
    def dropped(self) -> bool:
        """Whether some examples were not kept."""
        return self._limit < 1 << 64

    @property
    def repeats(self) -> int:
        """The most samples that an example has."""
        return max(map(len, self._samples.values()), default=0)

    def add(self, sample: Sample) -> None:
        """Take a record. One of an answer that is there already adds its metrics to it.

        Raises:
            Twice: for a second record of the same answer and layer, where the first one is kept.
        """
        digest = _digest(sample.id)
        self.seen += 1
        self._keys.append(digest if not (sample.repeat or sample.layer) else _digest(
            f"{sample.id}\0{sample.repeat}\0{sample.layer}"
        ))  # fmt: skip
        self._places.append(sample.place)
        self._unit = sample.unit
        if digest >= self._limit:
            return
        before = self._samples.setdefault(digest, [])
        same = next((one for one in before if one.repeat == sample.repeat), None)
        if same is not None:
            self._merge(same, sample)
            return
        self._measure(sample)
        before.append(sample)
        if len(self._samples) > self._most * 5 // 4:
            self.prune()

    def prune(self) -> None:
        """Keep no more examples than allowed."""
        if len(self._samples) <= self._most:
            return
        digests = np.fromiter(self._samples, dtype=np.uint64, count=len(self._samples))
        self._limit = int(np.partition(digests, self._most)[self._most])
        self._samples = {digest: kept for digest, kept in self._samples.items() if digest < self._limit}
        self._used = sum(_size(sample) for kept in self._samples.values() for sample in kept)

    def duplicate(self) -> tuple[str, str] | None:
        """The places of two records of the same answer and layer, kept or not; ``None`` if there are none."""
        keys = np.frombuffer(self._keys, dtype=np.uint64)
        ordered = np.sort(keys)
        again = np.flatnonzero(ordered[1:] == ordered[:-1])
        if not again.size:
            return None
        first, second = np.flatnonzero(keys == ordered[again[0]])[:2]
        return f"{self._unit} {self._places[int(first)]}", f"{self._unit} {self._places[int(second)]}"

    def _merge(self, same: Sample, sample: Sample) -> None:
        if same.layer == sample.layer:
            raise Twice(f"the id {sample.id!r} stands in {same.unit} {same.place} too; expected it once")
        for name, mark in sample.marks.items():
            if name in same.marks and same.marks[name].value != mark.value:
                values = f"{same.marks[name].value} and {mark.value}"
                raise Twice(f"the id {sample.id!r} has two values of {name}, {values}; expected one")
        same.marks.update(sample.marks)
        same.outputs, same.asked = {**same.outputs, **sample.outputs}, same.asked or sample.asked
        same.failure = same.failure or sample.failure
        same.tokens_in, same.tokens_out = max(same.tokens_in, sample.tokens_in), max(same.tokens_out, sample.tokens_out)
        same.calls, same.usd = same.calls + sample.calls, same.usd + sample.usd
        same.seconds += sample.seconds

    def _measure(self, sample: Sample) -> None:
        if not sample.outputs and not sample.asked:
            return
        size = _size(sample)
        if size and self._used + size > self._texts:
            sample.outputs, sample.asked = {}, {}
            self.untexted += 1
            size = 0
        self._used += size


class Twice(Exception):
    """A second record of the same answer; says which."""


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _size(sample: Sample) -> int:
    return sum(
        len(value) if isinstance(value, str) else 16
        for part in (sample.outputs, sample.asked)
        for value in part.values()
    )
