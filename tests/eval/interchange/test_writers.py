"""What we write for other tools, held against their own rules, and read back."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from dstill.eval import Report, read_results
from dstill.eval.interchange import model_index, write_inspect, write_junit, write_model_card
from dstill.eval.rows import Failure
from dstill.runtime import BadInput
from outcomes import report

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOSTILE = 'a<b> & "c" \']]>\x00\x1b[31m\ud800'


def mixed() -> Report:
    """Right, wrong, failed, an error, and one that the metric abstained from."""
    made = report("org/ours", [1.0, 0.0, 0.0, None, None], failed=(2,), notes=("a note",))
    rows = list(made.rows)
    rows[1] = replace(rows[1], feedback="expected x", outputs={"answer": HOSTILE})
    rows[3] = replace(rows[3], failure=Failure("lm", "Timeout", f"timed out {HOSTILE}"), outputs={})
    rows[4] = replace(rows[4], failure=Failure("abstained", "", "no verdict"))
    asked = tuple({"question": f"How much is {i}?", "answer": str(i)} for i in range(5))
    return replace(made, rows=tuple(rows), examples=asked)


def graded() -> Report:
    made = mixed()
    return replace(made, metric="f1", rows=tuple(replace(r, score=r.score and r.score * 0.625) for r in made.rows))


class TestJUnit:
    def tree(self, folder: Path, *reports: Report, **options: Any) -> ElementTree.Element:
        return ElementTree.parse(write_junit(reports, folder / "report.xml", when=WHEN, **options)).getroot()

    def test_every_outcome_has_its_element(self, tmp_path: Path) -> None:
        suite = self.tree(tmp_path, mixed())[0]
        cases = suite.findall("testcase")
        assert [[child.tag for child in case] for case in cases] == [
            [], ["failure"], ["failure"], ["error"], ["skipped"],
        ]  # fmt: skip
        counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
        assert counts == {"tests": "5", "failures": "2", "errors": "1", "skipped": "1"}
        failure = cases[1][0]
        assert (failure.get("message"), failure.get("type")) == ("score 0, passing is 1", "score")
        assert failure.text is not None and failure.text.startswith("expected x\n") and "a<b> & " in failure.text
        assert cases[2][0].get("type") == "AdapterParseError"
        assert cases[4][0].get("message") == "no verdict"
        assert suite.findtext("system-out") == "a note"

    def test_graded_scores_pass_from_a_threshold_on(self, tmp_path: Path) -> None:
        assert self.tree(tmp_path, graded())[0].get("failures") == "3"
        assert self.tree(tmp_path, graded(), passing=0.6)[0].get("failures") == "2"
        for passing in (0.0, 1.5):
            with pytest.raises(BadInput, match="expected a score above 0"):
                write_junit([graded()], tmp_path / "x.xml", passing=passing)
        with pytest.raises(BadInput, match="no reports"):
            write_junit([], tmp_path / "x.xml")

    def test_the_rules_of_ants_schema(self, tmp_path: Path) -> None:
        """Which elements, in which order, with which attributes; names, whole numbers, decimals, a time without a
        zone. The schema itself (JUnit.xsd of windyroad/JUnit-Schema) was held against such a file, too."""
        root = self.tree(tmp_path, mixed(), graded())
        assert root.tag == "testsuites" and not root.attrib
        number, decimal = re.compile(r"\d+"), re.compile(r"\d+\.\d+")
        for place, suite in enumerate(root):
            assert suite.tag == "testsuite"
            kinds = [child.tag for child in suite]
            assert kinds == ["properties", *["testcase"] * 5, "system-out", "system-err"]
            assert set(suite.attrib) == {
                "name", "package", "id", "hostname", "timestamp", "tests", "failures", "errors", "skipped", "time",
            }  # fmt: skip
            assert suite.get("id") == str(place)
            assert all(suite.get(name) for name in ("name", "hostname"))
            assert all(number.fullmatch(suite.get(n) or "") for n in ("tests", "failures", "errors", "skipped"))
            assert suite.get("timestamp") == "2026-01-02T03:04:05"
            assert decimal.fullmatch(suite.get("time") or "")
            assert all(
                set(one.attrib) == {"name", "value"} and one.get("name") for one in suite.findall("properties/*")
            )
            for case in suite.findall("testcase"):
                assert set(case.attrib) == {"name", "classname", "time"}
                assert decimal.fullmatch(case.get("time") or "")
                assert len(case) <= 1
                for found in case:
                    assert set(found.attrib) == ({"message"} if found.tag == "skipped" else {"message", "type"})
                    assert not list(found)

    def test_equal_reports_have_equal_bytes(self, tmp_path: Path) -> None:
        one, two = (write_junit([mixed()], tmp_path / name, when=WHEN).read_bytes() for name in ("a", "b"))
        assert one == two


class TestModelIndex:
    def test_the_hub_reads_it(self, tmp_path: Path) -> None:
        from huggingface_hub import ModelCard

        card = ModelCard.load(write_model_card([mixed(), graded()], tmp_path / "README.md", kind="question-answering"))
        assert card.data.model_name == "org/ours"
        results = card.data.eval_results or []
        assert [(r.task_type, r.dataset_name, r.dataset_split, r.metric_type) for r in results] == [
            ("question-answering", "sums", "test", "exact"), ("question-answering", "sums", "test", "f1"),
        ]  # fmt: skip
        score = mixed().score
        assert score is not None
        assert results[0].metric_value == pytest.approx(100 * score.value, abs=1e-4)
        args = results[0].metric_args or {}
        assert (args["n"], args["failed"], args["unscored"]) == (5, 1, 2)
        assert args["low"] == pytest.approx(100 * score.low, abs=1e-4)

    def test_a_card_keeps_its_text_and_what_others_wrote(self, tmp_path: Path) -> None:
        from huggingface_hub import EvalResult, ModelCard, ModelCardData

        path = tmp_path / "README.md"
        theirs = EvalResult(
            task_type="nli", dataset_type="esnli", dataset_name="e-SNLI", metric_type="acc", metric_value=1
        )
        data = ModelCardData(model_name="old", license="mit", eval_results=[theirs])
        ModelCard(f"---\n{data.to_yaml()}\n---\n# A model\n\n--- text\n").save(path)
        for _ in range(2):  # our own results replace ours
            write_model_card([mixed()], path)
        card = ModelCard.load(path)
        assert card.data.license == "mit"
        assert [r.dataset_name for r in card.data.eval_results or []] == ["sums", "e-SNLI"]
        assert card.text.strip() == "# A model\n\n--- text"

    def test_a_card_without_a_head_gets_one(self, tmp_path: Path) -> None:
        (tmp_path / "README.md").write_text("# A model\n")
        write_model_card([mixed()], tmp_path / "README.md")
        assert (tmp_path / "README.md").read_text().endswith("---\n# A model\n")

    @pytest.mark.parametrize("head", ["---\na: [\n---\n", "---\n- a\n---\n", "---\na: 1\n"])
    def test_a_card_that_cannot_be_read_is_left_alone(self, tmp_path: Path, head: str) -> None:
        (tmp_path / "README.md").write_text(head)
        with pytest.raises(BadInput, match="the head of the card"):
            write_model_card([mixed()], tmp_path / "README.md")
        assert (tmp_path / "README.md").read_text() == head

    def test_one_system_with_a_score(self) -> None:
        with pytest.raises(BadInput, match="reports of 2: org/ours, other"):
            model_index([mixed(), report("other", [1.0])])
        with pytest.raises(BadInput, match="reports of 0: none"):
            model_index([])
        with pytest.raises(BadInput, match="nothing was scored"):
            model_index([report("a", [None])])


class TestInspect:
    @pytest.mark.parametrize("kind", ["json", "eval"])
    def test_it_comes_back_as_it_was(self, tmp_path: Path, kind: str) -> None:
        ours = [mixed(), graded()]
        found = read_results(write_inspect(ours, tmp_path / f"log.{kind}"))
        assert found.form == "inspect"
        for one, back in zip(ours, found, strict=True):
            names = ("system", "task", "split", "metric")
            assert [getattr(one, name) for name in names] == [getattr(back, name) for name in names]
            assert [(r.id, r.status, r.score) for r in one.rows] == [(r.id, r.status, r.score) for r in back.rows]
            spent = [(r.calls, r.tokens_in, r.tokens_out, r.usd, r.seconds) for r in one.rows]
            assert spent == [(r.calls, r.tokens_in, r.tokens_out, r.usd, r.seconds) for r in back.rows]
            assert [r.feedback for r in back.rows][1] == "expected x"
        assert found[0].rows[0].outputs == {"completion": "org/ours says 1.0"}
        assert found[0].examples is not None
        assert (found[0].examples[2]["input"], found[0].examples[2]["target"]) == ("How much is 2?", "2")

    def test_it_has_the_form_that_inspect_writes(self, tmp_path: Path) -> None:
        """Every field that inspect's own log of the recorded version has and its readers require."""
        body = json.loads(write_inspect([mixed()], tmp_path / "log.json").read_text())
        theirs = json.loads((Path(__file__).parent / "data" / "inspect" / "one.json").read_text())
        assert list(body) == [name for name in theirs if name in body]  # the order counts
        assert set(body["eval"]) - {"metadata"} <= set(theirs["eval"])
        assert {"created", "task", "dataset", "model", "config"} <= set(body["eval"])
        assert set(body["samples"][0]) - {"error"} <= set(theirs["samples"][0])
        assert {"id", "epoch", "input", "target"} <= set(body["samples"][0])
        assert set(body["results"]) <= set(theirs["results"])
        assert set(body["results"]["scores"][0]) <= set(theirs["results"]["scores"][0])
        assert set(body["samples"][0]["output"]) <= set(theirs["samples"][0]["output"])

    def test_grades_numbers_and_what_has_none(self, tmp_path: Path) -> None:
        body = json.loads(write_inspect([mixed(), graded()], tmp_path / "log.json").read_text())
        values = [{name: score["value"] for name, score in s["scores"].items()} for s in body["samples"]]
        assert values[:4] == [{"exact": "C", "f1": 0.625}, {"exact": "I", "f1": 0.0}, {"exact": "N", "f1": "N"}, {}]
        assert values[4]["exact"] != values[4]["exact"]
        assert [sample["error"] is not None for sample in body["samples"]] == [False, False, False, True, False]
        assert body["results"]["scores"][0]["metrics"]["mean"]["value"] == pytest.approx(1 / 3)
        assert (body["results"]["completed_samples"], body["results"]["scores"][0]["unscored_samples"]) == (4, 2)

    def test_an_archive_has_its_parts(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(write_inspect([mixed()], tmp_path / "log.eval")) as packed:
            names = packed.namelist()
            assert names[0] == "_journal/start.json" and names[-2:] == ["summaries.json", "header.json"]
            assert "samples/e0_epoch_1.json" in names
            assert len(json.loads(packed.read("summaries.json"))) == 5

    def test_what_does_not_belong_into_one_log(self, tmp_path: Path) -> None:
        other = report("other", [1.0, 0.0, 0.0, 1.0, 1.0])
        with pytest.raises(BadInput, match=r"one task: .* on sums test \(5 examples\) and .*; write a log of each"):
            write_inspect([mixed(), other], tmp_path / "log.json")
        with pytest.raises(BadInput, match="two reports have the metric 'exact'"):
            write_inspect([mixed(), mixed()], tmp_path / "log.json")
        with pytest.raises(BadInput, match=r"ends in \.eval or \.json"):
            write_inspect([mixed()], tmp_path / "log.txt")
        with pytest.raises(BadInput, match="no reports"):
            write_inspect([], tmp_path / "log.json")
        assert not list(tmp_path.iterdir())
