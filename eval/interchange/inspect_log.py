"""Logs of inspect_ai: ``.eval`` (a zip archive of JSON) and ``.json``, versions 1 and 2 of the format.

The form is that of inspect_ai.log.EvalLog.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...runtime.errors import BadInput
from .archive import Archive, archive
from .collect import Collector
from .inspect_sample import asked_of, completion_of, failure_of, marks_of, usage_of
from .part import Part, Source
from .sample import Sample
from .streams import amount, as_written_by, members, parse

VERSIONS = (1, 2)


@dataclass(frozen=True)
class Inspect:
    """Logs, or folders of them; a log's model is the system, and every scorer a metric.

    A scorer whose value has parts gives a metric for each. Epochs are several answers to an example. A sample that an
    error halted has no score; what it is that failed, the log does not say.
    """

    name: str = "inspect"

    def read(self, path: Path, into: Collector) -> None:
        """Hand over every sample; see ``Reader``."""
        for file in logs(path):
            if file.suffix == ".eval":
                with archive(file) as packed:
                    self._eval(packed, file, into)
            else:
                self._json(file, into)

    def _eval(self, packed: Archive, file: Path, into: Collector) -> None:
        name = next((name for name in ("header.json", "_journal/start.json") if name in packed), None)
        if name is None:
            raise BadInput(f"{file}: no log of inspect_ai, it holds neither header.json nor _journal/start.json")
        head = _object(parse(packed.read(name), f"{file}, {name}"), f"{file}, {name}")
        part = _part(head, file, into)
        if part is not None:
            for place, member in enumerate(packed.names("samples/"), 1):
                body = parse(packed.read(member), f"{file}, {member}")
                part.add(_sample(body, place, head, into.reading.id, f"{file}, {member}"))

    def _json(self, file: Path, into: Collector) -> None:
        """The samples stand behind what tells whose they are, and are read one at a time."""
        head: dict[str, Any] = {}
        part, place = None, 0
        for name, value in members(file, "samples"):
            if name != "samples":
                head[name] = value
                continue
            if value is None:
                continue
            place += 1
            part = part or _part(head, file, into)
            if part is None:
                return
            part.add(_sample(value, place, head, into.reading.id, f"{file}, sample {place}"))
        if part is None:
            _part(head, file, into)


def logs(path: Path) -> list[Path]:
    """The logs at a path: itself, or those in a folder."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix == ".eval" or is_log(file))
    return [path]


def is_log(path: Path) -> bool:
    """Whether a .json file begins as inspect's logs do."""
    if path.suffix != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(200)
    return b'"version"' in start and b'"status"' in start


def _part(head: dict[str, Any], file: Path, into: Collector) -> Part | None:
    """The part that a log's samples belong to, with what is known before them."""
    version = head.get("version")
    if version not in VERSIONS:
        raise BadInput(
            f"{file}: version {version!r} of inspect's log format; expected {' or '.join(map(str, VERSIONS))}"
        )
    spec = _object(head.get("eval"), f"{file}, eval")
    with as_written_by("inspect_ai", f"{file}, eval"):
        task = str(spec.get("task_display_name") or spec.get("task") or file.stem).rpartition("/")[2]
        planned = [str(id) for id in (spec.get("dataset") or {}).get("sample_ids") or ()]
        expected = tuple(_names(spec))
        error = str((head.get("error") or {}).get("message", ""))
        source = Source(str(spec.get("model") or "?"), task, _split(spec), file)
    if not into.wants(task):
        return None
    part = into.part(source)
    part.planned, part.expected = planned, expected
    status = head.get("status", "started")
    if status != "success":
        part.note(f"the evaluation did not end well: {status}{f', {error}' if error else ''}"[:300])
    return part


def _split(spec: dict[str, Any]) -> str:
    """Inspect has no splits; a log that we wrote says it in its metadata."""
    named = (spec.get("metadata") or {}).get("split")
    return named if isinstance(named, str) and named else "test"


def _names(spec: dict[str, Any]) -> Iterator[str]:
    """The scorers' names, of a value with parts each part's."""
    for scorer in spec.get("scorers") or ():
        metrics = scorer.get("metrics")
        parts = [name for name in metrics if name != "*"] if isinstance(metrics, dict) else []
        yield from (f"{scorer['name']}.{name}" for name in parts)
        if not parts:
            yield str(scorer["name"])


def _sample(body: Any, place: int, head: dict[str, Any], field: str | None, where: str) -> Sample:
    body = _object(body, where)
    if body.get("id") is None:
        raise BadInput(f"{where}: no id; expected one of a sample")
    with as_written_by("inspect_ai", where):
        asked = asked_of(body)
        if field is not None and field not in asked:
            raise BadInput(f"{where}: no field {field!r} to be the id; it has: {', '.join(asked)}")
        usage = usage_of(body)
        messages = body.get("messages") or ()
        return Sample(
            str(body["id"] if field is None else asked[field]),
            place,
            marks_of(body, head),
            "sample",
            repeat=int(amount(body, "epoch")) or 1,
            outputs={"completion": completion_of(body)},
            asked=asked,
            failure=failure_of(body),
            calls=int(amount(body, "turn_count")) or sum(m.get("role") == "assistant" for m in messages),
            tokens_in=round(sum(usage[f"input_tokens{kind}"] for kind in ("", "_cache_read", "_cache_write"))),
            tokens_out=round(usage["output_tokens"]),
            usd=usage["total_cost"],
            seconds=amount(body, "working_time") or amount(body, "total_time"),
        )


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadInput(f"{where}: expected a JSON object, got {str(value)[:60]!r}")
    return value
