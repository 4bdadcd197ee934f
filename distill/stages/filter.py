"""Filter: duplicates, and rows whose inputs stand in the dev split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..state import DistillState


@dataclass(frozen=True)
class Filter:
    """Drops rows that repeat another one's inputs and answer, and rows contaminated by dev examples (named)."""

    @property
    def name(self) -> str:
        """``filter``."""
        return "filter"

    def run(self, state: DistillState) -> DistillState:
        """The rows that remain."""
        known = {_normal(e.inputs().values()) for e in state.task.dev}
        pairs, notes = {}, []
        for name, rows in state.pairs.items():
            seen: set[tuple[str, str]] = set()
            kept, tainted = [], []
            for row in rows:
                key = (_normal(row.inputs.values()), _normal(row.outputs.values()))
                if key[0] in known:
                    tainted.append(row.example)
                elif key not in seen:
                    seen.add(key)
                    kept.append(row)
            twice = len(rows) - len(kept) - len(tainted)
            if twice:
                notes.append(f"{name}: {twice} duplicates")
            if tainted:
                more = f" and {len(tainted) - 5} more" if len(tainted) > 5 else ""
                notes.append(f"{name}: {len(tainted)} rows stand in dev ({', '.join(tainted[:5])}{more})")
            pairs[name] = tuple(kept)
        return state.with_effect(self.name, state.rows, *notes, pairs=pairs)


def _normal(values: Iterable[object]) -> str:
    return "\n".join(" ".join(str(value).casefold().split()) for value in values)
