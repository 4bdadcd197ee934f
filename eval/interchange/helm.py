"""Runs of HELM: a folder with ``run_spec.json``, ``scenario_state.json``, ``per_instance_stats.json``, ``stats.json``.

The files are those that helm.benchmark.runner writes, dataclasses as JSON without their empty fields. They carry no
version; what is read of them has been the same since HELM 0.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...runtime.errors import BadInput
from ..rows import Failure
from .collect import Collector
from .part import Source
from .sample import Mark, Sample
from .streams import amount, as_written_by, elements, members, read_json

SPEC, STATS, STATE, ALL = "run_spec.json", "per_instance_stats.json", "scenario_state.json", "stats.json"
COUNTS = (
    "num_", "finish_reason_", "inference_", "training_", "batch_", "estimated_", "max_prob", "logprob",
    "predicted_index", "prompt_truncated", "perplexity", "bits_per_byte", "classification_", "annotator_",
)  # fmt: skip
"""How the names begin of HELM's statistics that count something, and score nothing."""


@dataclass(frozen=True)
class Helm:
    """A run's folder, or a suite's that holds several; the model is the system, what stands before ``model=`` the task.

    Every score of an instance is a metric, and the splits are apart. So are perturbed instances: ``test, typos``.
    Several training trials are several answers to an example.
    """

    name: str = "helm"

    def read(self, path: Path, into: Collector) -> None:
        """Hand over every sample; see ``Reader``."""
        found = runs_in(path)
        if not found:
            raise BadInput(f"{path}: no run of HELM in it; expected a folder with {SPEC}")
        for folder in found:
            _run(folder, into)


def runs_in(path: Path) -> list[Path]:
    """The runs at a path: its own folder, or those in it."""
    folder = path.parent if path.is_file() else path
    if (folder / SPEC).is_file():
        return [folder]
    return sorted(inner.parent for inner in folder.glob(f"*/{SPEC}"))


def _run(folder: Path, into: Collector) -> None:
    spec = read_json(folder / SPEC)
    adapter = spec.get("adapter_spec") if isinstance(spec, dict) else None
    if not isinstance(adapter, dict) or "name" not in spec:
        raise BadInput(f"{folder / SPEC}: no run of HELM; expected an object with a name and an adapter_spec")
    for name in (STATS, STATE):
        if not (folder / name).is_file():
            raise BadInput(f"{folder / name} is missing: expected what a run of HELM that has ended wrote")
    task, _, model = str(spec["name"]).partition("model=")
    task = task.rstrip(",:") or str(spec["name"])
    system = str(adapter.get("model") or adapter.get("model_deployment") or model.split(",")[0] or "?")
    if not into.wants(task):
        return
    source, ids, place = Source(system, task, "test", folder), dict[str, str](), 0
    for name, state in members(folder / STATE, "request_states"):
        if name == "request_states":
            place += 1
            _state(state, place, source, ids, into)
    for place, entry in enumerate(elements(folder / STATS), 1):
        _stats(entry, place, source, ids, into)
    if (folder / ALL).is_file():
        with as_written_by("HELM", str(folder / ALL)):
            _compare(read_json(folder / ALL), source, into)


def _state(state: Any, place: int, source: Source, ids: dict[str, str], into: Collector) -> None:
    """A request, without scores: what was asked and what was said."""
    where = f"{source.file}, {STATE} request {place}"
    instance = state.get("instance") if isinstance(state, dict) else None
    if not isinstance(instance, dict) or instance.get("id") is None:
        raise BadInput(f"{where}: expected an object with an instance that has an id, got {str(state)[:60]!r}")
    field, id = into.reading.id, str(instance["id"])
    with as_written_by("HELM", where):
        asked = _asked(instance)
        if field is not None:
            if field not in asked:
                raise BadInput(f"{where}: no field {field!r} to be the id; it has: {', '.join(asked)}")
            ids[id] = str(asked[field])
        result = state.get("result") or {}
        said = [str(one.get("text", "")) for one in result.get("completions") or ()]
        which = "" if state.get("reference_index") is None else f" of reference {state['reference_index']}"
        error = None if result.get("success", True) else str(result.get("error", ""))[:300]
        sample = Sample(
            ids.get(id, id), place, {}, f"{STATE} request", repeat=int(amount(state, "train_trial_index")),
            layer=f"request {place}", failure=None if error is None else Failure("error", "Request", error),
            outputs={f"completion{which}": said[0] if len(said) == 1 else said} if said else {}, asked=asked,
            calls=1, seconds=amount(result, "request_time"),
        )  # fmt: skip
        source = _of(source, instance.get("split"), instance.get("perturbation"))
    into.part(source).add(sample)


def _asked(instance: dict[str, Any]) -> dict[str, Any]:
    """The input, the scenario's extra data, and the right references."""
    references = instance.get("references") or []
    right = [_text(one.get("output")) for one in references if "correct" in (one.get("tags") or ())]
    target = {"target": right[0] if len(right) == 1 else right} if right else {}
    return {"input": _text(instance.get("input")), **(instance.get("extra_data") or {}), **target}


def _stats(entry: Any, place: int, source: Source, ids: dict[str, str], into: Collector) -> None:
    """What one of HELM's metrics gave for an instance."""
    where = f"{source.file}, {STATS} entry {place}"
    if not isinstance(entry, dict) or not isinstance(entry.get("stats"), list) or "instance_id" not in entry:
        raise BadInput(f"{where}: expected an object with instance_id and stats, got {str(entry)[:60]!r}")
    with as_written_by("HELM", where):
        named = [(stat.get("name") or {}, stat) for stat in entry["stats"]]
        values = {str(name.get("name")): _mean(stat) for name, stat in named}
        id = str(entry["instance_id"])
        sample = Sample(
            ids.get(id, id), place,
            {name: Mark(value) for name, value in values.items() if not name.startswith(COUNTS)},
            f"{STATS} entry", repeat=int(amount(entry, "train_trial_index")), layer=f"entry {place}",
            tokens_in=round(amount(values, "num_prompt_tokens")),
            tokens_out=round(amount(values, "num_output_tokens") or amount(values, "num_completion_tokens")),
        )  # fmt: skip
        source = _of(source, next((name.get("split") for name, _ in named), None), entry.get("perturbation"))
    into.part(source).add(sample)


def _of(source: Source, split: Any, perturbation: Any) -> Source:
    name = (perturbation or {}).get("name")
    return replace(source, split=f"{split or 'test'}, {name}" if name else str(split or "test"))


def _compare(stats: Any, source: Source, into: Collector) -> None:
    """Note where HELM's own figure is another than the mean of its instances."""
    for stat in stats if isinstance(stats, list) and into.reading.scale is None else ():
        name, value = stat.get("name") or {}, _mean(stat)
        perturbed = name.get("perturbation") or {}
        if value is None or perturbed.get("computed_on", "perturbed") != "perturbed":  # the worst of several, and such
            continue
        part = into.known(_of(source, name.get("split"), perturbed))
        if part is None:
            continue
        count, total = part.means.get(into.reading.name(str(name.get("name"))), (0, 0.0))
        if count and abs(total / count - value) > 1e-6:
            part.note(f"the mean of {name['name']} is {total / count:.6f}, where {ALL} says {value:.6f}")


def _mean(stat: dict[str, Any]) -> float | None:
    """The value of a statistic; of one without a value HELM leaves the mean out."""
    mean = stat.get("mean")
    return float(mean) if isinstance(mean, int | float) else None


def _text(part: Any) -> str:
    return str((part or {}).get("text") or "")
