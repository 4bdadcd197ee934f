"""Readers on files that the tool itself wrote: one contract, and what is particular to each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import outcomes
import pytest
from dstill.eval import read_results
from dstill.runtime import BadInput, RunDir
from reader_contracts import DATA, LM_EVAL, FormContract, JsonLines, ReaderContract


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
