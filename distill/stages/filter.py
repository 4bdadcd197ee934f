"""Filter: what a student should not learn from, each kind counted and, where it matters, named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ...eval.runner import id_of
from ...programs.fence import Fence, key, normal
from ...runtime.errors import BadInput
from ..settings import check_settings
from ..similar import first_of_kind
from ..state import DistillState, Pair
from .votes import label_of


@dataclass(frozen=True)
class Filter:
    """Drops empty answers, repetitions, rows that stand in dev or test, and rows that too few answers agree with.

    Contamination is told by equal inputs or by 13 words in sequence, of the row or of the example that it comes from
    (a later predictor sees other texts than the example's); of test only hashes are at hand (see ``programs.fence``).
    Rows that stand in dev or test are named in the report.
    """

    near: float = 1.0
    """Rows whose inputs overlap by so much (Jaccard, 5-grams of signs) and whose answers are equal are one row; 1
    takes equal inputs only."""
    ngram: bool = True
    """Whether 13 words in sequence shared with a dev or test input count as contamination, not only equal inputs."""
    confidence: float = 0.0
    """The least share of answers that must agree with a row; rows with one answer have none and stay."""
    score: Literal["keep", "passing", "weight"] = "keep"
    """Of rows that the metric scored: keep all as they are, keep those with full marks, or weight each by its score
    and drop those at 0."""

    def __post_init__(self) -> None:
        check_settings(self)
        if not 0 < self.near <= 1 or not 0 <= self.confidence <= 1:
            asked = f"Filter(near={self.near}, confidence={self.confidence})"
            raise BadInput(f"{asked}: expected near above 0 and at most 1, confidence from 0 to 1")

    @property
    def name(self) -> str:
        """``filter``."""
        return "filter"

    def run(self, state: DistillState) -> DistillState:
        """The rows that remain."""
        known = _Known(state)
        pairs, notes = {}, []
        for name, rows in state.pairs.items():
            kept, said = self._kept(rows, known)
            notes += [f"{name}: {text}" for text in said]
            pairs[name] = tuple(kept)
        if state.rows and not any(pairs.values()):
            raise BadInput(f"the filter leaves nothing of {state.rows} rows: {'; '.join(notes)}")
        return state.with_effect(self.name, state.rows, *notes, pairs={n: rows for n, rows in pairs.items() if rows})

    def _kept(self, rows: Sequence[Pair], known: _Known) -> tuple[list[Pair], list[str]]:
        """The rows to keep and a line about each kind of the others."""
        notes: list[str] = []

        def drop(from_rows: Sequence[Pair], bad: Sequence[bool], what: str) -> list[Pair]:
            if any(bad):
                notes.append(f"{sum(bad)} {what}")
            return [row for row, is_bad in zip(from_rows, bad, strict=True) if not is_bad]

        left = drop(rows, [not label_of(row).strip() for row in rows], "empty answers")
        where = [known.in_dev(row, ngram=self.ngram) for row in left]
        named = [
            f"{row.example} is {k}" if k else row.example for row, k in zip(left, where, strict=True) if k is not None
        ]
        left = drop(left, [found is not None for found in where], f"rows stand in dev ({_few(named)})")
        bad = [known.in_test(row, ngram=self.ngram) for row in left]
        named = [row.example for row, is_bad in zip(left, bad, strict=True) if is_bad]
        left = drop(left, bad, f"rows stand in test ({_few(named)})")
        left = drop(left, _repeats(left), "duplicates")
        if self.near < 1:
            left = drop(left, _near(left, self.near), f"near-duplicates (overlap of {self.near:g})")
        if self.confidence > 0:
            low = [row.confidence is not None and row.confidence < self.confidence for row in left]
            left = drop(left, low, f"of confidence below {self.confidence:g}")
        if self.score != "keep":
            least = 1.0 if self.score == "passing" else 1e-12
            left = drop(left, [row.score is not None and row.score < least for row in left], "fail the metric")
        if self.score == "weight":
            left = [row if row.score is None else replace(row, weight=row.score) for row in left]
        return left, notes


class _Known:
    """What stands in dev and test: which rows repeat it."""

    def __init__(self, state: DistillState) -> None:
        self._dev, self._test = Fence.of(state.task.dev), state.fence
        self._ids = {
            key(e.inputs().values()): f"dev[{place}]" if e.get("id") is None else str(e["id"])
            for place, e in enumerate(state.task.dev)
        }
        self._sources = {id_of(e, "train", n): list(e.inputs().values()) for n, e in enumerate(state.task.train)}

    def in_dev(self, row: Pair, *, ngram: bool) -> str | None:
        """The dev row with equal inputs; an empty name for 13 shared words; ``None`` where nothing is shared."""
        for values in self._texts(row):
            found = self._dev.holds(values)
            if found == "exact":
                return self._ids.get(key(values), "")
            if found == "n-gram" and ngram:
                return ""
        return None

    def in_test(self, row: Pair, *, ngram: bool) -> bool:
        """Whether a row repeats a test row."""
        found = [None if self._test is None else self._test.holds(values) for values in self._texts(row)]
        return "exact" in found or (ngram and "n-gram" in found)

    def _texts(self, row: Pair) -> Iterator[list[Any]]:
        yield list(row.inputs.values())
        if (source := self._sources.get(row.example)) is not None:
            yield source


def _repeats(rows: Sequence[Pair]) -> list[bool]:
    seen: set[tuple[str, str]] = set()
    found = []
    for row in rows:
        both = (normal(row.inputs.values()), normal(row.outputs.values()))
        found.append(both in seen)
        seen.add(both)
    return found


def _near(rows: Sequence[Pair], threshold: float) -> list[bool]:
    """Within each answer, the rows that resemble an earlier one."""
    groups: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(normal((label_of(row),)), []).append(place)
    found = [False] * len(rows)
    for places in groups.values():
        like = first_of_kind([normal(rows[place].inputs.values()) for place in places], threshold)
        for place, other in zip(places, like, strict=True):
            found[place] = other is not None
    return found


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
