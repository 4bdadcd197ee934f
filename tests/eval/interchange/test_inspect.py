"""The reader of inspect_ai's logs, on logs that it wrote: the contract, and what is particular to them."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dstill.eval import read_results
from dstill.runtime import BadInput
from reader_contracts import DATA, ReaderContract


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
        assert [row.samples for row in report.rows[:2]] == [(1.0, 1.0), (0.0, 1.0)]
        with pytest.raises(BadInput, match="are graded"):  # inspect's P is a half
            report.reliability(2)
        found = report.reliability(2, passing=1)
        assert (found.tasks, found.too_few, found.unscored) == (4, 1, 1)
        each = read_results(DATA / "inspect" / "epochs.eval", metric="graded", repeats="each")[0]
        assert [row.id for row in each.rows][:3] == ["capital-fr#1", "capital-fr#2", "capital-jp#1"]
        assert (each.unscored, each.failures["error"]) == (1, 1)
        assert any("each is a row, and those to one example are a cluster" in note for note in each.notes)
        assert [row.cluster for row in each.rows][:3] == ["capital-fr", "capital-fr", "capital-jp"]

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
