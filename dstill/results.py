"""Results as the command line names them: ``PATH`` or ``NAME=PATH``, of any form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from .ending import say
from .eval.interchange import Results, read_results
from .eval.people import noted, read_labels
from .eval.report import Report
from .runtime.errors import BadInput


@dataclass(frozen=True)
class How:
    """How results are read; the options of the commands that read some."""

    form: str | None = None
    tasks: Sequence[str] = ()
    metrics: Sequence[str] = ()
    rename: Sequence[str] = ()
    """``OLD=NEW``."""
    id: str | None = None
    scale: str | None = None
    """``WORST:BEST``."""
    repeats: str = "mean"

    @property
    def given(self) -> str:
        """The options that were given, as on the command line."""
        names = {"tasks": "task", "metrics": "metric"}
        return ", ".join(
            f"--{names.get(part.name, part.name)}" for part in fields(self) if getattr(self, part.name) != part.default
        )


def read_all(words: Sequence[str], how: How) -> list[Results]:
    """The results of every path, a system's name before it where one was given.

    Raises:
        BadInput: as ``read_results``, and for options that cannot be read.
    """
    options: dict[str, Any] = {
        "form": how.form, "task": how.tasks, "metric": how.metrics, "id": how.id, "repeats": how.repeats,
        "rename": dict(_renamed(text) for text in how.rename), "scale": _scale(how.scale),
    }  # fmt: skip
    found = []
    for word in words:
        name, equals, path = word.partition("=")
        named = bool(equals) and not Path(word).exists()
        if named and not name.strip():
            raise BadInput(f"{word}: expected a name before the =, or the path alone")
        results = read_results(path if named else word, system=name if named else None, **options)
        found.append(results)
        for said in results.left_out:
            say(f"left out: {said}")
    return found


def read_one(word: str, how: How, like: Report | None = None) -> Report:
    """One report; of several the one on the task, split and metric of another.

    Raises:
        BadInput: where there is none, or there are several.
    """
    reports = list(read_all([word], how)[0])
    if like is not None and len(reports) > 1:
        reports = [one for one in reports if one.metric == like.metric and one.task in ("", like.task)] or reports
    if len(reports) != 1:
        shown = ", ".join(f"{one.system} on {one.task} {one.split} ({one.metric})" for one in reports[:6])
        raise BadInput(f"{word} holds {len(reports)} reports, {shown}: expected one; --metric or --task chooses")
    return reports[0]


def with_labels(results: Sequence[Results], labels: Sequence[Path]) -> list[Results]:
    """The results, with notes of what people would score those of whose answers there are labels.

    Raises:
        BadInput: as ``read_labels`` and ``noted``.
    """
    reports = iter(noted([report for found in results for report in found], [read_labels(path) for path in labels]))
    return [replace(found, reports=tuple(next(reports) for _ in found)) for found in results]


def _renamed(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not equals or not old or not new:
        raise BadInput(f"--rename {text}: expected OLD=NEW, e.g. acc=exact")
    return old, new


def _scale(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        worst, best = map(float, text.split(":"))
    except ValueError:
        raise BadInput(f"--scale {text}: expected the worst and the best value, e.g. 0:100") from None
    return worst, best
