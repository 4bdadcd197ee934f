"""``task``: the kinds by name, and their splits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from ...runtime.derive import derive
from ...runtime.errors import BadInput
from ..data import make_examples
from ..task import Task
from .kinds import claims, facts, lists, mail, sums, topics, values
from .material import Material
from .programs import desk, docket, hunt

KINDS: Mapping[str, Callable[[Random, int], Material]] = {
    "topics": topics, "mail": mail, "claims": claims, "values": values, "lists": lists, "sums": sums, "facts": facts,
    "desk": desk, "docket": docket, "hunt": hunt,
}  # fmt: skip
"""What can be asked for; ``desk``, ``docket`` and ``hunt`` have three predictors."""


def task(
    *, kind: str = "topics", classes: int = 4, train: int = 100, dev: int = 100, test: int = 200, seed: int = 0
) -> Task:
    """A task of a kind, drawn by seed: which classes, which labels, and fresh examples of them.

    Args:
        kind: one of ``KINDS``.
        classes: how many classes the sorting kinds have, 2 to 8.
        train, dev, test: examples in each split.

    Raises:
        BadInput: for a kind that there is not, or numbers out of range.
    """
    made = _material(kind, classes, seed)
    sizes = {"train": train, "dev": dev, "test": test}
    short = [f"{name}={size}" for name, size in sizes.items() if size < 1]
    if short:
        raise BadInput(f"{', '.join(short)}: expected at least 1 example in every split")
    rows: list[dict[str, object]] = []
    seen: set[tuple[object, ...]] = set()
    rng = derive(seed, "lab", kind, "examples")
    while len(rows) < sum(sizes.values()):
        row = dict(made.draw(rng))
        key = tuple(str(row[name]) for name in made.inputs)
        if key not in seen:
            seen.add(key)
            rows.append({"id": f"{kind}-{len(rows)}", **row})
    examples = make_examples(rows, inputs=list(made.inputs))
    first, second = train, train + dev
    parts = (examples[:first], examples[first:second], examples[second:])
    return Task(f"lab-{kind}", made.program, *parts, made.metric)


def rules(kind: str, *, classes: int = 4, seed: int = 0) -> dict[str, str]:
    """By predictor, an instruction that tells everything: what an optimizer of instructions could find at best."""
    return dict(_material(kind, classes, seed).rules)


def _material(kind: str, classes: int, seed: int) -> Material:
    if kind not in KINDS:
        raise BadInput(f"lab task {kind!r}: expected one of {', '.join(KINDS)}")
    if not 2 <= classes <= 8:
        raise BadInput(f"classes={classes!r}: expected a number from 2 to 8")
    return KINDS[kind](derive(seed, "lab", kind), classes)
