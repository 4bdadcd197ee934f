"""Every reader on files that the tool itself wrote: one contract, and what is particular to each."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import outcomes
import pytest
from dstill.eval import Results, leaderboard, read_results
from dstill.runtime import BadInput, RunDir

DATA = Path(__file__).parent / "data"
HELM = DATA / "helm" / "simple_mcqa_model=simple_model1"
LM_EVAL = DATA / "lm_eval" / "org__scripted-1b"


class FormContract:
    """What ``read_results`` promises of every form. Subclasses make results in a folder."""

    form: str
    metric: str
    """One of the metrics."""

    def make(self, folder: Path) -> Path:
        """Results of one system on at least three examples."""
        raise NotImplementedError

    def read(self, path: Path, **options: Any) -> Results:
        return read_results(path, **options)

    def test_it_is_told_by_its_content(self, tmp_path: Path) -> None:
        assert self.read(self.make(tmp_path)).form == self.form

    def test_reports_stand_on_a_board_as_they_are(self, tmp_path: Path) -> None:
        found = self.read(self.make(tmp_path), metric=self.metric)
        board = leaderboard([found[0]])
        assert board.entries[0].report.system == found[0].system
        assert [row.index for row in found[0].rows] == list(range(len(found[0].rows)))
        assert all(row.score is None or 0 <= row.score <= 1 for row in found[0].rows)
        assert len({row.id for row in found[0].rows}) == len(found[0].rows) >= 3
        assert found[0].examples is None or len(found[0].examples) == len(found[0].rows)

    def test_reading_twice_gives_the_same(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        assert [r.dump() for r in self.read(path)] == [r.dump() for r in self.read(path)]

    def test_the_system_and_the_names_can_be_others(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        old = self.read(path, metric=self.metric)[0]
        found = self.read(path, system="mine", metric="points", rename={self.metric: "points", "test": "held out"})
        split = "held out" if old.split == "test" else old.split
        assert [(r.system, r.metric, r.task, r.split) for r in found] == [("mine", "points", old.task, split)]
        assert [row.score for row in found[0].rows] == [row.score for row in old.rows]

    def test_an_unknown_metric_shows_what_there_is(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match=rf"no metric shoes; expected one of: .*{self.metric}"):
            self.read(self.make(tmp_path), metric="shoes")

    def test_missing_files_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="nowhere"):
            self.read(tmp_path / "nowhere", form=self.form)

    def test_scale_and_repeats_are_checked(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        for scale in ((1, 1), (0,), "x", (0, float("inf"))):
            with pytest.raises(BadInput, match="expected the worst and the best value"):
                self.read(path, scale=scale)
        with pytest.raises(BadInput, match="expected 'mean' or 'each'"):
            self.read(path, repeats="all")


class ReaderContract(FormContract):
    """What it promises besides of other tools' forms. Subclasses spoil their results, too."""

    def edit(self, path: Path, change: Callable[[Any], Any]) -> None:
        """Change the records of the results, given as a list, which must stand in the file in this order."""
        raise NotImplementedError

    def score(self, record: Any, value: Any) -> None:
        """Give a record a score of ``metric``."""
        raise NotImplementedError

    def test_results_without_examples_are_refused(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        self.edit(path, lambda records: [])
        with pytest.raises(BadInput, match="is empty"):
            self.read(path)

    def test_the_same_id_twice_is_named(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        self.edit(path, lambda records: [*records, records[0]])
        with pytest.raises(BadInput, match=r"id '[^']+' stands in .*too; expected it once"):
            self.read(path)

    @pytest.mark.parametrize("value", [73.5, -0.5])
    def test_a_score_outside_is_named_with_the_way_out(self, tmp_path: Path, value: float) -> None:
        path = self.make(tmp_path)

        def spoil(records: list[Any]) -> list[Any]:
            self.score(records[1], value)
            return records

        self.edit(path, spoil)
        with pytest.raises(BadInput, match=rf"{value} is outside \[0, 1\].*--scale") as caught:
            self.read(path, metric=self.metric)
        assert str(tmp_path) in str(caught.value)
        assert self.metric in str(caught.value)

    def test_a_scale_brings_scores_into_range(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)

        def hundreds(records: list[Any]) -> list[Any]:
            for place, record in enumerate(records):
                self.score(record, 100.0 if place else 25.0)
            return records

        self.edit(path, hundreds)
        scores = [row.score for row in self.read(path, metric=self.metric, scale=(0, 100))[0].rows]
        assert set(scores) <= {0.25, 1.0, 0.625}
        assert min(scores) < 1
        turned = [row.score for row in self.read(path, metric=self.metric, scale=(100, 0))[0].rows]
        assert turned == [1 - score for score in scores]

    def test_a_value_that_is_no_number_is_named(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)

        def spoil(records: list[Any]) -> list[Any]:
            self.score(records[1], "splendid")
            return records

        self.edit(path, spoil)
        with pytest.raises(BadInput, match="'splendid' is no number"):
            self.read(path, metric=self.metric)

    def test_what_has_no_score_is_unscored_and_counted(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)

        def spoil(records: list[Any]) -> list[Any]:
            for record in records:
                self.score(record, float("nan"))
            self.score(records[0], 1.0)
            return records

        self.edit(path, spoil)
        report = self.read(path, metric=self.metric)[0]
        assert report.unscored == len(report.rows) - 1
        assert report.scores == [1.0]


class JsonLines:
    """Edits of files of JSON lines."""

    def edit(self, path: Path, change: Callable[[Any], Any]) -> None:
        records = change([json.loads(line) for line in path.read_text().splitlines()])
        path.write_text("".join(json.dumps(record) + "\n" for record in records))


class TestHarness(ReaderContract):
    form = "lm-eval"
    metric = "acc"

    def make(self, folder: Path) -> Path:
        shutil.copytree(LM_EVAL, folder / "org__scripted-1b")
        return next((folder / "org__scripted-1b").glob("results_*.json"))

    def edit(self, path: Path, change: Callable[[Any], Any]) -> None:
        JsonLines().edit(next(path.parent.glob("samples_capitals*")), change)

    def score(self, record: Any, value: Any) -> None:
        record["acc"] = value

    def test_tasks_metrics_and_filters(self) -> None:
        found = {(r.task, r.metric): r for r in read_results(DATA / "lm_eval")}
        assert list(found) == [
            ("capitals", "acc"), ("capitals", "acc_norm"), ("sums", "exact_match,strict-match"),
            ("sums", "exact_match,flexible-extract"),
        ]  # fmt: skip
        body = json.loads(next(LM_EVAL.glob("results_*")).read_text())["results"]
        for (task, metric), report in found.items():
            assert report.score is not None
            assert report.score.value == body[task][metric if "," in metric else f"{metric},none"]
            assert (report.system, report.split) == ("org/scripted-1b", "test")

    def test_a_filter_that_finds_no_answer_is_a_failure_kept_apart(self) -> None:
        strict, flexible = read_results(LM_EVAL, task="sums")
        assert strict.failures == {"parse": 1}
        assert strict.rows[1].status == "failed" and strict.rows[1].score == 0
        assert flexible.failed == 0
        assert strict.rows[1].outputs["response"] == "It is 7"

    def test_of_choices_the_likeliest_is_shown(self) -> None:
        report = read_results(LM_EVAL, metric="acc")[0]
        assert [row.outputs["choice"] for row in report.rows] == ["Paris", "Tokyo", "Cusco", "Nairobi"]
        assert report.examples is not None
        assert report.examples[0]["question"] == "What is the capital of France?"

    def test_a_metric_that_is_better_when_lower_is_left_out_with_a_note(self) -> None:
        found = read_results(LM_EVAL)
        assert any("brier_score: lower is better; read it with scale=(WORST, 0)" in note for note in found[0].notes)
        assert any("word_perplexity" in said for said in found.left_out)
        with pytest.raises(BadInput, match="word_perplexity: lower is better"):
            read_results(LM_EVAL, task="prose")
        with pytest.raises(BadInput, match="brier_score: lower is better"):
            read_results(LM_EVAL, metric="brier_score")

    def test_ids_of_the_documents_own(self) -> None:
        report = read_results(LM_EVAL, task="sums", id="id")[0]
        assert [row.id for row in report.rows] == ["sum-0", "sum-1", "sum-2", "sum-3"]
        with pytest.raises(BadInput, match=r"line 1: the document has no 'shoe' to be the id; it has: id, question"):
            read_results(LM_EVAL, id="shoe")

    def test_samples_alone(self) -> None:
        found = read_results(next(LM_EVAL.glob("samples_sums*")))
        assert [(r.system, r.task, len(r.rows)) for r in found] == [("org__scripted-1b", "sums", 4)] * 2

    def test_results_without_samples(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        next(tmp_path.rglob("samples_sums*")).unlink()
        with pytest.raises(BadInput, match=r"samples_sums_.*jsonl is missing: .*--log_samples"):
            read_results(path)
        assert len(read_results(path, task="capitals")) == 2
        with pytest.raises(BadInput, match="has no task shoes; expected some of: capitals, prose, sums"):
            read_results(path, task="shoes")

    def test_another_version(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        path.write_text(path.read_text().replace('"lm_eval_version": "0.4.13"', '"lm_eval_version": "1.0.0"'))
        with pytest.raises(BadInput, match=r"written by lm_eval 1\.0\.0; expected 0\.4"):
            read_results(path)

    def test_a_mean_that_is_not_the_harness_own_is_noted(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        self.edit(path, lambda records: records[:3])
        notes = read_results(path, metric="acc")[0].notes
        assert any("the mean of acc is 0.666667, where the results file says 0.750000" in note for note in notes)
        assert any("3 examples have samples, of 4" in note for note in notes)

    def test_two_runs_of_one_model_on_one_task(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        for file in path.parent.iterdir():
            shutil.copy(file, file.with_name(file.name.replace("_2026-", "_2027-")))
        with pytest.raises(BadInput, match="hold org/scripted-1b on capitals twice"):
            read_results(path.parent)

    def test_a_broken_line(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        samples = next(tmp_path.rglob("samples_sums*"))
        samples.write_text(samples.read_text().replace('{"doc_id": 2', '{"doc_id": ', 1))
        with pytest.raises(BadInput, match=r"samples_sums.*line 3: not JSON"):
            read_results(path)


class TestInspectJson(ReaderContract):
    form = "inspect"
    metric = "graded"
    source = "one.json"

    def make(self, folder: Path) -> Path:
        return Path(shutil.copy(DATA / "inspect" / self.source, folder / self.source))

    def edit(self, path: Path, change: Callable[[Any], Any]) -> None:
        body = json.loads(path.read_text())
        body["samples"] = change(body["samples"])
        path.write_text(json.dumps(body))

    def score(self, record: Any, value: Any) -> None:
        record["scores"]["graded"] = {"value": value}


class TestInspectArchive(TestInspectJson):
    source = "one.eval"

    def edit(self, path: Path, change: Callable[[Any], Any]) -> None:
        """Its samples, in an archive packed as older versions did; a second one of a name replaces the first."""
        from dstill.eval.interchange.archive import archive

        with archive(path) as packed:
            head = packed.read("header.json")
            samples = change([json.loads(packed.read(name)) for name in packed.names("samples/")])
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("header.json", head)
            for place, sample in enumerate(samples):
                file.writestr(f"samples/{place}_epoch_1.json", json.dumps(sample))


class TestInspect:
    """What holds of both kinds of log."""

    @pytest.mark.parametrize("name", ["one", "epochs"])
    def test_both_kinds_hold_the_same(self, name: str) -> None:
        one, other = (read_results(DATA / "inspect" / f"{name}.{kind}") for kind in ("eval", "json"))
        assert [r.dump() for r in one] == [r.dump() for r in other]
        assert [r.rows for r in one] == [r.rows for r in other]

    def test_grades_are_what_inspect_makes_of_them(self) -> None:
        report = read_results(DATA / "inspect" / "one.eval", metric="graded")[0]
        assert [row.score for row in report.rows] == [1.0, 0.0, 0.5, 0.0, 1.0]
        assert (report.failed, report.rows[3].failure.type) == (1, "NoAnswer")  # type: ignore[union-attr]
        assert report.rows[2].feedback == "The answer was to be Lima."
        assert (report.system, report.task) == ("mockllm/model", "capitals")
        assert report.examples is not None and report.examples[0]["continent"] == "Europe"

    def test_values_with_parts_and_values_that_are_none(self) -> None:
        found = {r.metric: r for r in read_results(DATA / "inspect" / "one.eval")}
        assert list(found) == ["graded", "style.polite", "judged"]
        assert found["judged"].failures == {"abstained": 1}
        assert found["judged"].rows[2].failure.type == "grader_failed"  # type: ignore[union-attr]
        assert any("left out style.length: 5 is outside [0, 1]" in note for note in found["graded"].notes)

    def test_tokens_time_and_calls(self) -> None:
        row = read_results(DATA / "inspect" / "one.eval")[0].rows[0]
        assert (row.tokens_in, row.tokens_out, row.calls, row.usd) == (25, 3, 1, 0.0)  # 20 read anew, 5 from a cache
        assert 0 < row.seconds < 10

    def test_what_graded_is_not_the_systems_cost(self, tmp_path: Path) -> None:
        body = json.loads((DATA / "inspect" / "one.json").read_text())
        body["samples"][0]["model_usage"]["judge"] = {"input_tokens": 900, "output_tokens": 90, "total_cost": 0.5}
        body["samples"][0]["role_usage"] = {"grader": {"input_tokens": 900, "output_tokens": 90, "total_cost": 0.5}}
        (tmp_path / "log.json").write_text(json.dumps(body))
        row = next(row for row in read_results(tmp_path / "log.json")[0].rows if row.id == body["samples"][0]["id"])
        assert (row.tokens_in, row.tokens_out, row.usd) == (25, 3, 0.0)

    def test_epochs_make_a_row_or_a_row_each(self) -> None:
        report = read_results(DATA / "inspect" / "epochs.eval", metric="graded")[0]
        assert {row.id: row.score for row in report.rows} == {
            "capital-fr": 1.0, "capital-jp": 0.5, "capital-pe": 0.75, "capital-ke": 0.0, "capital-nz": 1.0,
        }  # fmt: skip
        assert report.score is not None and report.score.value == 0.65  # what inspect's own accuracy says
        assert any("1 answers have no score and do not count" in note for note in report.notes)
        assert report.rows[1].outputs == {"completion": ["Kyoto", "Tokyo"]}
        each = read_results(DATA / "inspect" / "epochs.eval", metric="graded", repeats="each")[0]
        assert [row.id for row in each.rows][:3] == ["capital-fr#1", "capital-fr#2", "capital-jp#1"]
        assert (each.unscored, each.failures["error"]) == (1, 1)
        assert any("take them for independent, which answers to one example are not" in note for note in each.notes)

    def test_an_error_is_kept_apart_from_a_wrong_answer(self, tmp_path: Path) -> None:
        body = json.loads((DATA / "inspect" / "one.json").read_text())
        failed = body["samples"][0]
        failed["scores"], failed["error"] = (
            None,
            {"message": "RuntimeError('down')", "traceback": "", "traceback_ansi": ""},
        )
        (tmp_path / "log.json").write_text(json.dumps(body))
        report = read_results(tmp_path / "log.json", metric="graded")[0]
        assert (report.unscored, report.failures) == (1, {"error": 1, "program": 1})
        assert len(report.rows) == 5

    def test_a_log_that_ended_early_counts_what_is_missing(self, tmp_path: Path) -> None:
        body = json.loads((DATA / "inspect" / "one.json").read_text())
        body["status"], body["samples"] = "cancelled", body["samples"][:3]
        (tmp_path / "log.json").write_text(json.dumps(body))
        report = read_results(tmp_path / "log.json", metric="graded")[0]
        assert (len(report.rows), report.unscored) == (5, 2)
        assert any("did not end well: cancelled" in note for note in report.notes)

    def test_an_archive_without_its_end(self, tmp_path: Path) -> None:
        from dstill.eval.interchange.archive import archive

        with archive(DATA / "inspect" / "one.eval") as packed, zipfile.ZipFile(tmp_path / "a.eval", "w") as file:
            for name in ("_journal/start.json", *list(packed.names("samples/"))[:2]):
                file.writestr(name, packed.read(name))
        report = read_results(tmp_path / "a.eval", metric="graded")[0]
        assert (len(report.rows), report.unscored) == (5, 3)
        assert any("did not end well: started" in note for note in report.notes)

    def test_an_invalidated_sample_does_not_count(self, tmp_path: Path) -> None:
        body = json.loads((DATA / "inspect" / "one.json").read_text())
        body["samples"][0]["invalidation"] = {"author": "a", "reason": "the image was missing"}
        (tmp_path / "log.json").write_text(json.dumps(body))
        report = read_results(tmp_path / "log.json", metric="graded")[0]
        assert [row.failure.message for row in report.rows if row.status == "unscored" and row.failure] == [
            "the image was missing"
        ]

    def test_a_folder_of_logs(self, tmp_path: Path) -> None:
        body = json.loads((DATA / "inspect" / "one.json").read_text())
        for model in ("a", "b"):
            body["eval"]["model"] = model
            (tmp_path / f"{model}.json").write_text(json.dumps(body))
        assert [r.system for r in read_results(tmp_path, metric="graded")] == ["a", "b"]
        assert [r.system for r in read_results(tmp_path, metric="graded", system="b")] == ["b"]
        with pytest.raises(BadInput, match="holds several systems, which cannot all be called 'mine'"):
            read_results(tmp_path, system="mine")

    @pytest.mark.parametrize("version", [3, None])
    def test_another_version(self, tmp_path: Path, version: int | None) -> None:
        body = json.loads((DATA / "inspect" / "one.json").read_text())
        body["version"] = version
        (tmp_path / "log.json").write_text(json.dumps(body))
        with pytest.raises(BadInput, match=rf"log.json: version {version} of inspect's log format; expected 1 or 2"):
            read_results(tmp_path / "log.json")

    def test_an_archive_that_is_none_or_damaged(self, tmp_path: Path) -> None:
        (tmp_path / "a.eval").write_bytes(b"no zip")
        with pytest.raises(BadInput, match=r"a\.eval: no zip archive"):
            read_results(tmp_path / "a.eval")
        data = bytearray((DATA / "inspect" / "one.eval").read_bytes())
        data[data.index(b"samples/") + 200] ^= 0xFF
        (tmp_path / "a.eval").write_bytes(data)
        with pytest.raises(BadInput, match=r"a\.eval, samples/.*cannot be unpacked"):
            read_results(tmp_path / "a.eval")
        with zipfile.ZipFile(tmp_path / "a.eval", "w") as file:
            file.writestr("x", "y")
        with pytest.raises(BadInput, match=r"holds neither header\.json"):
            read_results(tmp_path / "a.eval")

    def test_a_log_of_version_1_has_one_score(self, tmp_path: Path) -> None:
        body = json.loads((DATA / "inspect" / "one.json").read_text())
        body["version"] = 1
        for sample in body["samples"]:
            sample["score"] = sample.pop("scores")["graded"]
        (tmp_path / "log.json").write_text(json.dumps(body))
        assert [r.metric for r in read_results(tmp_path / "log.json")] == ["graded"]


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


class TestTable(JsonLines, ReaderContract):
    form = "table"
    metric = "score"

    def make(self, folder: Path) -> Path:
        path = folder / "mine.jsonl"
        path.write_text("".join(json.dumps({"id": f"e{i}", "score": i % 2}) + "\n" for i in range(4)))
        return path

    def score(self, record: Any, value: Any) -> None:
        record["score"] = value


class TestTableOfCells(TestTable):
    def make(self, folder: Path) -> Path:
        path = folder / "mine.csv"
        path.write_text("id,score\ne0,0\ne1,1\ne2,0\n")
        return path

    def edit(self, path: Path, change: Callable[[Any], Any]) -> None:
        head, *lines = path.read_text().splitlines()
        records = change([dict(zip(head.split(","), line.split(","), strict=True)) for line in lines])
        path.write_text("\n".join([head, *(f"{r['id']},{r['score']}" for r in records)]) + "\n")


class TestOwn(FormContract):
    form = "dstill"
    metric = "exact"

    def make(self, folder: Path) -> Path:
        report = outcomes.report("ours", [1.0, 0.0, None, 1.0], failed=(1,))
        with RunDir(folder / "ours-test", kind="eval", config={}) as run:
            report.save(run)
            run.finish()
        return folder / "ours-test"

    def test_it_is_the_report_as_it_was_saved(self, tmp_path: Path) -> None:
        assert (
            self.read(self.make(tmp_path))[0].rows == outcomes.report("ours", [1.0, 0.0, None, 1.0], failed=(1,)).rows
        )
