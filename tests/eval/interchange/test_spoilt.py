"""Whatever is spoilt in a file, there is a report or an error that names the place, never a crash."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from dstill.eval import read_results
from dstill.runtime import BadInput

DATA = Path(__file__).parent / "data"
VALUES: list[Any] = [None, True, 0, -1, 1.5, float("inf"), float("nan"), "", "x", [], {}, [None], {"a": 1}, "9" * 50]


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a value of JSON but its top."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*way, key)
            yield from places(value[key], (*way, key))


def spoil(value: Any, random: Random) -> tuple[Any, ...]:
    """Take out a place or put something else there; which one."""
    way = random.choice(list(places(value)))
    for key in way[:-1]:
        value = value[key]
    if random.random() < 0.25:
        del value[way[-1]]
    else:
        value[way[-1]] = random.choice(VALUES)
    return way


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "name", ["inspect/epochs.json", "helm/simple_mcqa_model=simple_model1", "lm_eval/org__scripted-1b"]
)
def test_a_spoilt_file_is_read_or_refused(tmp_path: Path, name: str, seed: int) -> None:
    random, refused = Random(f"{name}{seed}"), 0
    for turn in range(30):
        target = tmp_path / str(turn) / name
        if (DATA / name).is_dir():
            shutil.copytree(DATA / name, target)
        else:
            target.parent.mkdir(parents=True)
            shutil.copy(DATA / name, target)
        files = [target] if target.is_file() else sorted(target.iterdir())
        file = random.choice(files)
        lines = file.suffix == ".jsonl"
        body = [json.loads(line) for line in file.read_text().splitlines()] if lines else json.loads(file.read_text())
        spoil(body, random)
        file.write_text("\n".join(map(json.dumps, body)) if lines else json.dumps(body))
        said, found = "", None
        try:
            found = read_results(target)
        except BadInput as error:
            said = str(error)
        refused += found is None
        assert found is not None or str(target.parent) in said
        assert all(row.score is None or 0 <= row.score <= 1 for report in found or () for row in report.rows)
    assert refused < 30


def test_the_field_that_is_wrong_is_named(tmp_path: Path) -> None:
    body = json.loads((DATA / "inspect" / "one.json").read_text())
    body["samples"][1]["model_usage"]["mockllm/model"]["input_tokens"] = "many"
    (tmp_path / "log.json").write_text(json.dumps(body))
    with pytest.raises(BadInput, match=r"log\.json, sample 2: .*inspect_ai writes: input_tokens is 'many', expected"):
        read_results(tmp_path / "log.json")
