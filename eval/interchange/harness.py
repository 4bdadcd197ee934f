"""Results of lm-evaluation-harness (lm_eval 0.4): ``results_*.json`` and the ``samples_*.jsonl`` beside it.

The form is that of lm_eval.result_schema. A line of samples is one document under one filter; the harness spells a
metric under a filter ``exact_match,strict-match``, and so it is called here, without the filter ``none``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...runtime.errors import BadInput
from ..rows import Failure
from .collect import Collector
from .part import Part, Source
from .sample import Mark, Sample
from .streams import as_written_by, lines, read_json

STAMP = re.compile(r"_(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d[\d.]*)$")
"""The time at the end of the names of files that were written together."""
FIXED = frozenset(
    ("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash", "prompt_hash",
     "target_hash")
)  # fmt: skip
"""What a line has beside its metrics."""
INVALID = "[invalid]"
"""What a filter leaves where it finds no answer."""


@dataclass(frozen=True)
class Harness:
    """A results file, a folder of them, or one file of samples; the model is the system, every task a task."""

    name: str = "lm-eval"

    def read(self, path: Path, into: Collector) -> None:
        """Hand over every sample; see ``Reader``."""
        if path.suffix == ".jsonl":
            task = STAMP.sub("", path.stem).removeprefix("samples_")
            if into.wants(task):
                _samples(path, task, path.parent.name, {}, into)
            return
        found = results_in(path)
        if not found:
            raise BadInput(f"{path}: no results_*.json of lm-evaluation-harness in it")
        for file in found:
            _results(file, into)


def results_in(path: Path) -> list[Path]:
    """The results files at a path: itself, or those of a folder and of the models' folders in it."""
    if path.is_dir():
        return sorted([*path.glob("results*.json"), *path.glob("*/results*.json")])
    return [path]


def is_results(body: Any) -> bool:
    """Whether a file's content is the harness's results."""
    return isinstance(body, dict) and isinstance(body.get("results"), dict) and "versions" in body


def _results(file: Path, into: Collector) -> None:
    head = read_json(file)
    if not is_results(head):
        raise BadInput(f"{file}: no results of lm-evaluation-harness; expected an object with results and versions")
    version = str(head.get("lm_eval_version") or "0.4")
    if version != "0.4" and not version.startswith("0.4."):
        raise BadInput(f"{file}: written by lm_eval {version}; expected 0.4")
    if not head["results"]:
        raise BadInput(f"{file} is empty: there is no task in it")
    config = head["config"] if isinstance(head.get("config"), dict) else {}
    system = str(head.get("model_name") or config.get("model_args") or config.get("model") or file.parent.name)
    stamp = STAMP.search(file.stem)
    for task in head["configs"] if isinstance(head.get("configs"), dict) else head["results"]:
        if not into.wants(task):
            continue
        samples = file.parent / f"samples_{task}{stamp.group() if stamp else ''}.jsonl"
        if not samples.is_file():
            raise BadInput(
                f"{samples} is missing: {file.name} has scores of the task {task}, and not of its examples; run "
                "lm_eval with --log_samples"
            )
        part = _samples(samples, task, system, head, into)
        with as_written_by("lm_eval", f"{file}, {task}"):
            _compare(part, task, head, into)


def _samples(file: Path, task: str, system: str, head: dict[str, Any], into: Collector) -> Part:
    with as_written_by("lm_eval", f"{file.parent}, the results of {task}"):
        config = (head.get("configs") or {}).get(task) or {}
        split = str(config.get("test_split") or config.get("validation_split") or "test")
        higher = (head.get("higher_is_better") or {}).get(task) or {}
        lower = [name for name, better in higher.items() if better is False]
    part = into.part(Source(system, task, split, file))
    for number, body in lines(file):
        with as_written_by("lm_eval", f"{file}, line {number}"):
            sample = _sample(body, number, into.reading.id, f"{file}, line {number}")
        for name in sample.marks:
            if name.partition(",")[0] in lower:
                part.lower(name)
        part.add(sample)
    return part


def _sample(body: dict[str, Any], number: int, field: str | None, where: str) -> Sample:
    doc = body.get("doc")
    asked = {**(doc if isinstance(doc, dict) else {"doc": doc}), "target": body.get("target")}
    if field is None and body.get("doc_id") is None:
        raise BadInput(f"{where}: no doc_id; expected a line of samples as lm_eval 0.4 writes them")
    if field is not None and field not in asked:
        raise BadInput(f"{where}: the document has no {field!r} to be the id; it has: {', '.join(asked)}")
    layer = str(body.get("filter") or "none")
    names = [str(name) for name in body.get("metrics") or ()] or [
        name for name, value in body.items() if name not in FIXED and not isinstance(value, str | dict)
    ]
    failure = None
    found = body.get("filtered_resps") or []
    if found and all(one == INVALID for one in found):
        failure = Failure("parse", "Filter", f"the filter {layer} found no answer")
    marks = {name if layer == "none" else f"{name},{layer}": Mark(body.get(name), failure=failure) for name in names}
    return Sample(
        str(body["doc_id"] if field is None else asked[field]), number, marks, layer=layer,
        outputs=dict(_outputs(body, layer, found)), asked=asked,
    )  # fmt: skip


def _outputs(body: dict[str, Any], layer: str, found: list[Any]) -> Iterator[tuple[str, Any]]:
    """The chosen text of a choice; else what was said, and what the filter took from it."""
    if found and all(isinstance(one, list) and len(one) == 2 for one in found):
        likely = [_float(one[0]) for one in found]
        request = list((body.get("arguments") or {}).values())[likely.index(max(likely))]
        yield "choice", str(request.get("arg_1", "")).strip() if isinstance(request, dict) else str(request)
        return
    said = [text for texts in body.get("resps") or [] for text in (texts if isinstance(texts, list) else [texts])]
    if said:
        yield "response", said[0] if len(said) == 1 else said
    if found != said:
        yield "answer" if layer == "none" else f"answer, {layer}", found[0] if len(found) == 1 else found


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("-inf")


def _compare(part: Part, task: str, head: dict[str, Any], into: Collector) -> None:
    """Note where the harness's own figure is another than the mean of its samples."""
    for key, value in (head["results"].get(task) or {}).items():
        metric, _, layer = key.partition(",")
        name = into.reading.name(metric if layer in ("", "none") else key)
        count, total = part.means.get(name, (0, 0.0))
        if (
            count
            and into.reading.scale is None
            and isinstance(value, int | float)
            and abs(total / count - value) > 1e-6
        ):
            part.note(f"the mean of {name} is {total / count:.6f}, where the results file says {value:.6f}")
    planned = ((head.get("n-samples") or {}).get(task) or {}).get("effective")
    if isinstance(planned, int) and planned != part.examples:
        part.note(f"{part.examples:,} examples have samples, of {planned:,} that were evaluated")
