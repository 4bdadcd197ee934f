"""The reader of HELM's runs, on a run that it wrote: the contract, and what is particular to it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dstill.eval import read_results
from dstill.runtime import BadInput
from reader_contracts import DATA, HELM, ReaderContract


class TestHelm(ReaderContract):
    form = "helm"
    metric = "exact_match"

    def make(self, folder: Path) -> Path:
        """The unchanged instances, in one trial."""
        path = folder / HELM.name
        shutil.copytree(HELM, path)
        (path / "stats.json").unlink()
        state = json.loads((path / "scenario_state.json").read_text())
        kept = [
            s for s in state["request_states"] if "perturbation" not in s["instance"] and not s["train_trial_index"]
        ]
        (path / "scenario_state.json").write_text(json.dumps({**state, "request_states": kept}))
        self.edit(path, lambda es: [e for e in es if "perturbation" not in e and not e["train_trial_index"]])
        return path

    def edit(self, path: Path, change: Callable[[Any], Any]) -> None:
        file = path / "per_instance_stats.json"
        records = change(json.loads(file.read_text()))
        file.write_text(json.dumps(records))
        if not records:
            state = json.loads((path / "scenario_state.json").read_text())
            (path / "scenario_state.json").write_text(json.dumps({**state, "request_states": []}))

    def score(self, record: Any, value: Any) -> None:
        for stat in record["stats"]:
            if stat["name"]["name"] == "exact_match":
                stat["mean"] = value

    def test_the_same_id_twice_is_named(self, tmp_path: Path) -> None:
        """HELM's metrics may give a statistic twice; they must agree."""
        path = self.make(tmp_path)
        self.edit(path, lambda records: [*records, records[0]])
        assert len(self.read(path)[0].rows) == 3
        other = json.loads(json.dumps(json.loads((path / "per_instance_stats.json").read_text())[0]))
        self.score(other, 1.0 - other["stats"][-1]["mean"])
        self.edit(path, lambda records: [*records, other])
        with pytest.raises(BadInput, match=r"entry 5: the id 'id\d+' has two values of exact_match, 0.0 and 1.0"):
            self.read(path)

    def test_a_value_that_is_no_number_is_named(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        self.edit(path, lambda records: [{**records[0], "stats": "none"}, *records[1:]])
        with pytest.raises(BadInput, match=r"per_instance_stats.json entry 1: expected an object with instance_id"):
            self.read(path)

    def test_splits_perturbations_trials_and_helms_own_means(self) -> None:
        found = {(r.split, r.metric): r for r in read_results(DATA / "helm")}
        assert list(found) == [
            (split, metric) for split in ("test", "test, lowercase") for metric in ("exact_match", "quasi_exact_match")
        ]
        stats = json.loads((HELM / "stats.json").read_text())
        own = next(s["mean"] for s in stats if s["name"] == {"name": "exact_match", "split": "test"})
        report = found["test", "exact_match"]
        assert report.score is not None and report.score.value == pytest.approx(own, abs=1e-12)
        assert (report.system, report.task, len(report.rows)) == ("simple/model1", "simple_mcqa", 3)
        assert report.notes == ("up to 2 answers to an example: a row is their mean",)
        row = report.rows[0]
        assert row.calls == 1 and row.tokens_in > 100 and row.tokens_out == 1 and row.seconds > 0
        assert row.outputs == {"completion": [" B", " B"]}
        assert report.examples is not None and report.examples[0] == {"input": "Is 70 even or odd?", "target": "Even"}

    def test_a_mean_that_is_not_helms_own_is_noted(self, tmp_path: Path) -> None:
        shutil.copytree(HELM, tmp_path / "run")
        stats = json.loads((tmp_path / "run" / "stats.json").read_text())
        for stat in stats:
            stat["mean"] = 0.125
        (tmp_path / "run" / "stats.json").write_text(json.dumps(stats))
        notes = read_results(tmp_path / "run")[0].notes
        assert any("the mean of exact_match is 0.666667, where stats.json says 0.125000" in note for note in notes)

    def test_a_request_that_failed(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        state = json.loads((path / "scenario_state.json").read_text())
        state["request_states"][0]["result"] = {"success": False, "error": "blocked", "completions": []}
        (path / "scenario_state.json").write_text(json.dumps(state))
        report = read_results(path, metric="exact_match")[0]
        assert report.rows[0].status == "failed"  # HELM counts it as 0, and so it counts here
        assert report.rows[0].failure is not None and report.rows[0].failure.message == "blocked"

    @pytest.mark.parametrize("name", ["scenario_state.json", "per_instance_stats.json"])
    def test_a_file_that_is_missing(self, tmp_path: Path, name: str) -> None:
        path = self.make(tmp_path)
        (path / name).unlink()
        with pytest.raises(BadInput, match=f"{name} is missing"):
            read_results(path)

    def test_a_file_that_is_cut_off(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        file = path / "per_instance_stats.json"
        file.write_text(file.read_text()[:-500])
        with pytest.raises(BadInput, match=r"per_instance_stats.json, character \d+: not JSON"):
            read_results(path)
