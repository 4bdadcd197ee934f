"""Reports as a log of inspect_ai, ``.json`` or ``.eval``, which ``inspect view`` and its Python reader open.

Version 2 of the format, with what inspect's own classes require (inspect_ai.log.EvalLog). A right and a wrong answer
are C and I, a missing one N, a graded score a number, and what has no score NaN with the reason.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ...runtime.atomic import writing
from ...runtime.canonical import digest, encodable
from ...runtime.errors import BadInput
from ..report import Report
from ..rows import Row
from ..statistics.values import is_binary
from .together import aligned

INPUTS = ("input", "question", "prompt", "text", "message")
"""Names of fields that are what was asked, where an example does not tell by what was answered."""


def write_inspect(reports: Sequence[Report], path: Path | str, *, when: datetime | None = None) -> Path:
    """Write one log of a system on a task; each report, one a metric, is a scorer in it.

    Args:
        reports: of one system on the same examples.
        path: a file that ends in ``.json`` or ``.eval``.
        when: the time that stands in it; now by default.

    Raises:
        BadInput: for reports that do not belong into one log, and for another ending.
    """
    path = Path(path)
    if path.suffix not in (".json", ".eval"):
        raise BadInput(f"{path}: a log of inspect ends in .eval or .json")
    base = _one(reports)
    columns = [aligned(report, base) for report in reports]
    stamp = (when or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S+00:00")
    head = _head(columns, stamp)
    letters = {report.metric: is_binary(np.asarray(report.scores)) for report in columns}
    samples = (_sample(columns, letters, place, stamp) for place in range(len(base.rows)))
    with writing(path) as file:
        if path.suffix == ".json":
            file.write(_json(head)[:-1] + b',"samples":[')
            for place, sample in enumerate(samples):
                file.write((b"," if place else b"") + _json(sample))
            file.write(b"]}\n")
            return path
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("_journal/start.json", _json({name: head[name] for name in ("version", "eval", "plan")}))
            summaries = []
            for sample in samples:
                packed.writestr(f"samples/{sample['id']}_epoch_1.json", _json(sample))
                summaries.append(_summary(sample))
            packed.writestr("summaries.json", _json(summaries))
            packed.writestr("header.json", _json(head))
    return path


def _called(report: Report) -> str:
    where = " ".join(name for name in (report.task, report.split) if name)  # a plain table may name neither
    return f"{report.system}{' on ' * bool(where)}{where} ({len(report.rows)} examples)"


def _one(reports: Sequence[Report]) -> Report:
    """The first of reports that belong into one log."""
    if not reports:
        raise BadInput("no reports to write: expected at least one")
    base = reports[0]
    for report in reports:
        same = (report.system, report.task, report.split) == (base.system, base.task, base.split)
        if not same or {row.id for row in report.rows} != {row.id for row in base.rows}:
            raise BadInput(
                f"a log of inspect is of one system on one task: {_called(base)} and {_called(report)} have other "
                "names or examples; write a log of each"
            )
    metrics = [report.metric for report in reports]
    twice = [metric for metric in metrics if metrics.count(metric) > 1]
    if twice:
        raise BadInput(f"two reports have the metric {twice[0]!r}: expected one a metric")
    return base


def _head(columns: Sequence[Report], stamp: str) -> dict[str, Any]:
    base = columns[0]
    mark = digest([[report.dump(), [row.id for row in report.rows]] for report in columns])[:22]
    task = base.task or "task"
    usage = {"input_tokens": sum(r.tokens_in for r in base.rows), "output_tokens": sum(r.tokens_out for r in base.rows)}
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": mark, "run_id": mark, "created": stamp, "task": task, "task_id": mark, "task_version": 0,
            "dataset": {"name": task, "samples": len(base.rows), "sample_ids": [row.id for row in base.rows]},
            "model": base.system, "config": {"epochs": 1}, "packages": {},
            "metadata": {"written_by": "dstill", "split": base.split, "notes": list(base.notes)},
            "scorers": [
                {"name": report.metric, "metrics": [{"name": "mean"}, {"name": "stderr"}]} for report in columns
            ],
        },
        "plan": {"name": "plan", "steps": [], "config": {}},
        "results": {
            "total_samples": len(base.rows), "completed_samples": len(base.rows) - sum(map(_halted, base.rows)),
            "scores": [_score(report) for report in columns],
        },
        "stats": {
            "started_at": stamp, "completed_at": stamp,
            "model_usage": {base.system: {**usage, "total_tokens": sum(usage.values())}},
        },
    }  # fmt: skip


def _score(report: Report) -> dict[str, Any]:
    scores, n = report.scores, len(report.scores)
    mean = float(np.mean(scores)) if n else math.nan
    error = float(np.std(scores, ddof=1) / math.sqrt(n)) if n > 1 else 0.0
    return {
        "name": report.metric, "scorer": report.metric, "scored_samples": n, "unscored_samples": report.unscored,
        "params": {}, "metrics": {
            "mean": {"name": "mean", "value": mean, "params": {}},
            "stderr": {"name": "stderr", "value": error, "params": {}},
        },
    }  # fmt: skip


def _sample(columns: Sequence[Report], letters: dict[str, bool], place: int, stamp: str) -> dict[str, Any]:
    base = columns[0]
    row, system = base.rows[place], base.system
    asked = base.examples[place] if base.examples is not None else {}
    text, target = _asked(asked, row)
    said = _completion(row)
    usage = {"input_tokens": row.tokens_in, "output_tokens": row.tokens_out,
             "total_tokens": row.tokens_in + row.tokens_out, "total_cost": row.usd}  # fmt: skip
    error = row.failure.message if _halted(row) and row.failure is not None else None
    return {
        "id": row.id, "epoch": 1, "input": text, "target": target,
        "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": said, "model": system}],
        "output": {
            "model": system, "time": row.seconds, "usage": usage,
            "choices": [{"message": {"role": "assistant", "content": said, "model": system}, "stop_reason": "stop"}],
        },
        "scores": {} if _halted(row) else {
            report.metric: _value(report.rows[place], said, letters[report.metric]) for report in columns
        },
        "metadata": {**asked, "outputs": row.outputs}, "store": {}, "events": [], "attachments": {},
        "model_usage": {system: usage}, "started_at": stamp, "completed_at": stamp, "total_time": row.seconds,
        "working_time": row.seconds, "turn_count": row.calls,
        "error": None if error is None else {"message": error, "traceback": "", "traceback_ansi": ""},
    }  # fmt: skip


def _value(row: Row, said: str, letters: bool) -> dict[str, Any]:
    why = row.failure.message if row.failure is not None else ""
    found: dict[str, Any] = {"answer": said, "explanation": row.feedback or why or None}
    if row.score is None:
        return {**found, "value": math.nan, "reason": (row.failure.type if row.failure else "") or "scoring_failed"}
    if row.status == "failed":
        return {**found, "value": "N"}
    return {**found, "value": ("C" if row.score else "I") if letters else row.score}


def _halted(row: Row) -> bool:
    """Whether an error left a row without a score, not the metric."""
    return row.score is None and row.failure is not None and row.failure.kind != "abstained"


def _asked(asked: dict[str, Any], row: Row) -> tuple[str, str]:
    """What was asked and what was wanted: a field that the system answers too is what was wanted."""
    wanted = [name for name in asked if name in row.outputs or name == "target"]
    given = next((name for name in INPUTS if name in asked and name not in wanted), None)
    names = [given] if given else [name for name in asked if name not in wanted and name != "id"]
    return "\n".join(_text(asked[name]) for name in names) or row.id, "\n".join(_text(asked[name]) for name in wanted)


def _completion(row: Row) -> str:
    values = list(row.outputs.values())
    return "" if not values else _text(values[0] if len(values) == 1 else row.outputs)


def _summary(sample: dict[str, Any]) -> dict[str, Any]:
    error = sample["error"]
    names = ("id", "epoch", "input", "target", "scores", "model_usage", "total_time", "working_time")
    return {**{name: sample[name] for name in names}, "completed": True, "error": error and error["message"]}


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return encodable(text)


def _json(value: Any) -> bytes:
    """With the constant NaN, which inspect writes and reads; without halves of characters, which it refuses."""
    return encodable(json.dumps(value, default=str, ensure_ascii=False)).encode()
