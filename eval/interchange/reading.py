"""``read_results``: what another tool found, as reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...runtime.errors import BadInput
from .collect import Collector, Reader, Results
from .harness import Harness, is_results, results_in
from .helm import SPEC, Helm, runs_in
from .inspect_log import Inspect, is_log, logs
from .own import Own
from .sample import Reading, Repeats
from .streams import members
from .table import Table

READERS: dict[str, Reader] = {reader.name: reader for reader in (Harness(), Inspect(), Helm(), Table())}
FORMS = ("dstill", *READERS, "wide")
"""What results may be read as; ``wide`` is a table whose columns of numbers are systems."""
ACCEPTED = (
    "an evaluation's directory, results_*.json or a folder of lm-evaluation-harness, a log or a folder of logs of "
    "inspect_ai, a run's folder of HELM, or a table (.csv, .tsv, .jsonl, .json, also .gz)"
)


def read_results(
    path: Path | str,
    *,
    form: str | None = None,
    system: str | None = None,
    task: str | Sequence[str] = (),
    metric: str | Sequence[str] = (),
    rename: Mapping[str, str] | None = None,
    id: str | None = None,
    scale: tuple[float, float] | None = None,
    repeats: Repeats = "mean",
) -> Results:
    """Per-example results of lm-evaluation-harness, inspect_ai, HELM, a plain table, or an evaluation of our own.

    Every metric makes a report of its own. A metric whose values are no scores in [0, 1] is left out with a note,
    unless it was asked for, or stands in a table; then it is an error, which says how to rescale.

    Args:
        path: a file or a folder.
        form: what it is, where it should not be told by its content: one of ``FORMS``.
        system: what to call the system; of a file with several, the one to take.
        task: take only these tasks.
        metric: take only these metrics.
        rename: other names for tasks, splits and metrics, so that results of two tools stand on one board. They count
            for ``task`` and ``metric`` too.
        id: the field of the example that is its id, where the tool's own numbers are not what other results have.
        scale: the worst and the best value of the metric: (0, 100) for points, (10, 0) where less is better.
        repeats: of several answers to an example, ``mean`` makes one row, ``each`` a row each.

    Returns:
        The reports, in a sequence that knows what was asked in the examples too.

    Raises:
        BadInput: for files that are missing, empty, damaged, of an unknown version or form, for ids that stand twice,
            and for values that are no scores; file, place and value are named.
        Damaged: for an evaluation of our own whose files have changed.
    """
    place = Path(path).expanduser()
    if form is not None and form not in FORMS:
        raise BadInput(f"form={form!r}: expected one of {', '.join(FORMS)}")
    found = form or form_of(place)
    columns: Any = {"wide": "systems", "table": "metrics"}.get(form or "")
    reading = Reading(system, _several(metric), _several(task), rename or {}, id, scale, repeats, columns)
    if found == "dstill":
        return Own().results(place, reading)
    into = Collector(place, reading)
    name = "table" if found == "wide" else found
    READERS[name].read(place, into)
    return into.results(name)


def form_of(path: Path) -> str:
    """Which form results have.

    Raises:
        BadInput: for what is missing or of no known form.
    """
    if not path.exists():
        raise BadInput(f"{path} does not exist; expected {ACCEPTED}")
    if path.is_dir():
        return _folder(path)
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix == ".eval":
        return "inspect"
    if suffix in (".csv", ".tsv"):
        return "table"
    if suffix == ".jsonl":
        return "lm-eval" if path.name.startswith("samples_") else "table"
    if suffix == ".json":
        return _json(path)
    raise BadInput(f"{path}: files of this kind cannot be read; expected {ACCEPTED}")


def _folder(path: Path) -> str:
    ours = any((path / name).is_file() for name in ("report.json", "config.json", "program.json"))
    if ours or any(path.glob("*/rows.jsonl")):
        return "dstill"  # whose reader says what is missing
    if runs_in(path):
        return "helm"
    if results_in(path):
        return "lm-eval"
    if logs(path):
        return "inspect"
    raise BadInput(f"{path} holds no results; expected {ACCEPTED}")


def _json(path: Path) -> str:
    if path.name in (SPEC, "stats.json", "per_instance_stats.json", "scenario_state.json"):
        return "helm"
    if is_log(path):
        return "inspect"
    with path.open("rb") as file:
        start = file.read(4096).lstrip()
    if start[:1] == b"[":
        return "table"
    if start[:1] == b"{":
        keys = dict(members(path))
        if is_results(keys):
            return "lm-eval"
    raise BadInput(f"{path} is of no known form; expected {ACCEPTED}")


def _several(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
