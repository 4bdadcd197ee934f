"""Hugging Face's model-index: results in the YAML at the head of a model card.

The form is that of huggingface_hub's ``EvalResult``. What a mean alone hides stands in each metric's ``args``: the
interval, the number of examples, and how many failed or do not count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...runtime.atomic import write_bytes
from ...runtime.errors import BadInput
from ..report import Report

OWN = "dstill"
"""Stands in a metric's ``args`` as ``measured_by``, so that results of our own can be replaced."""


def model_index(reports: Sequence[Report], *, name: str | None = None, kind: str = "text-generation") -> dict[str, Any]:
    """The head of a card, with ``model-index`` in it.

    Args:
        reports: of one system; one for each task, split and metric.
        name: what the model is called; the system's name by default.
        kind: the hub's name of what the task is, e.g. ``text-classification``.

    Raises:
        BadInput: for no reports, several systems, or a report without a score.
    """
    systems = list(dict.fromkeys(report.system for report in reports))
    if len(systems) != 1:
        raise BadInput(
            f"a model card is of one model, and these are reports of {len(systems)}: {', '.join(systems) or 'none'}"
        )
    groups: dict[tuple[str, str], list[Report]] = {}
    for report in reports:
        groups.setdefault((report.task, report.split), []).append(report)
    return {"model-index": [{"name": name or systems[0], "results": [
        {
            "task": {"type": kind},
            "dataset": {"type": task or "custom", "name": task or "custom", **({"split": split} if split else {})},
            "metrics": [_metric(report) for report in group],
        }
        for (task, split), group in groups.items()
    ]}]}  # fmt: skip


def write_model_card(
    reports: Sequence[Report], path: Path | str, *, name: str | None = None, kind: str = "text-generation"
) -> Path:
    """Write a model card with the results at its head; one that is there keeps all but the results of our own.

    Raises:
        BadInput: as ``model_index``, and for a file whose head cannot be read.
    """
    path, found = Path(path), model_index(reports, name=name, kind=kind)
    head: dict[str, Any] = {}
    body = ""
    if path.exists():
        head, body = _card(path)
        others = [result for model in head.get("model-index") or [] for result in model.get("results") or []]
        found["model-index"][0]["results"] += [result for result in others if not _own(result)]
    write_bytes(path, f"---\n{_yaml({**head, **found})}---\n{body}".encode())
    return path


def _metric(report: Report) -> dict[str, Any]:
    score = report.score
    if score is None:
        raise BadInput(f"{report.system} has no score on {report.task} {report.split}: nothing was scored")
    return {
        "type": report.metric or "score",
        "name": report.metric or "score",
        "value": round(100 * score.value, 4),
        "args": {
            "scale": "0 to 100", "low": _bound(score.low), "high": _bound(score.high), "level": score.level,
            "n": len(report.rows), "measured_by": OWN, "failed": report.failed, "unscored": report.unscored,
        },
    }  # fmt: skip


def _own(result: dict[str, Any]) -> bool:
    """Whether a result of a card is one that we wrote."""
    return any((metric.get("args") or {}).get("measured_by") == OWN for metric in result.get("metrics") or [])


def _bound(value: float) -> float | None:
    return None if math.isnan(value) else round(100 * value, 4)


def _card(path: Path) -> tuple[dict[str, Any], str]:
    """A card's head and what follows it."""
    text = path.read_text(encoding="utf-8")
    if not text.startswith("---\n"):
        return {}, text
    head, end, body = text[4:].partition("\n---\n")
    import yaml

    try:
        found = yaml.safe_load(head)
    except yaml.YAMLError as error:
        raise BadInput(f"{path}: the head of the card cannot be read: {error}") from None
    if not end or not isinstance(found, dict):
        raise BadInput(
            f"{path}: the head of the card does not end, or is no mapping: expected YAML between two lines ---"
        )
    return found, body


def _yaml(value: dict[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120))
