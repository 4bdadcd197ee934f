"""Loaders, splits and tasks: what is broken is named with its place and what would be accepted."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import dspy
import pytest
from dstill.eval import evaluate
from dstill.programs import Task, make_examples, overlaps, read_examples, read_hub, read_rows, split, task_named
from dstill.programs.metrics import exact, number_in, numeric
from dstill.runtime import LM, BadInput, ScriptedEngine
from dstill.runtime.fields import render_fields

ROWS = [{"id": "a", "text": "one", "label": "x"}, {"id": "b", "text": 'two, "quoted"', "label": "y"}]
JSONL = '{"id": "a", "text": "one", "label": "x"}\n\n{"id": "b", "text": "two, \\"quoted\\"", "label": "y"}\n'
CSV = 'id,text,label\na,one,x\nb,"two, ""quoted""",y\n'


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("name", "content"),
    [("d.jsonl", JSONL), ("d.csv", CSV), ("d.tsv", CSV.replace(",", "\t").replace("two\t", "two,"))],
)
def test_every_format_reads_the_same(tmp_path: Path, name: str, content: str, zipped: bool) -> None:
    path = tmp_path / (name + (".gz" if zipped else ""))
    path.write_bytes(gzip.compress(content.encode()) if zipped else content.encode())
    assert read_rows(path) == ROWS


@pytest.mark.parametrize(("name", "content"), [("d.jsonl", JSONL), ("d.csv", CSV)])
def test_a_mark_of_utf_8_at_the_beginning_is_none_of_the_data(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, "utf-8-sig")
    assert read_rows(tmp_path / name) == ROWS


def test_a_cell_may_hold_a_document(tmp_path: Path) -> None:
    """Python's limit is left as it was, also after a row that is broken."""
    before, long = csv.field_size_limit(), "words, " * 60_000
    (tmp_path / "d.csv").write_text(f'id,text\na,"{long}"\n')
    assert read_rows(tmp_path / "d.csv") == [{"id": "a", "text": long}]
    (tmp_path / "e.csv").write_text(f'id,text\na,"{long}')
    with pytest.raises(BadInput, match="e.csv, line 2"):
        read_rows(tmp_path / "e.csv")
    assert csv.field_size_limit() == before


def test_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    parquet.write_table(pa.Table.from_pylist(ROWS), tmp_path / "d.parquet")
    assert read_rows(tmp_path / "d.parquet") == ROWS


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("d.jsonl", JSONL + "{broken\n", "line 4: not JSON"),
        ("d.jsonl", JSONL + "[1, 2]\n", "line 4: expected a JSON object"),
        ("d.jsonl", "\n\n", "is empty"),
        ("d.csv", "id,id,b\n1,2,3\n", "line 1: the heading 'id' stands there twice"),
        ("d.csv", CSV + "c,three\n", "line 4: 2 cells under 3 headings"),
        ("d.csv", CSV + 'c,"never closed\n', "line 4"),
        ("d.csv", "id,text,label\n", "is empty"),
        ("d.json", "{}", "expected .jsonl, .csv, .tsv, .parquet"),
        ("d.parquet", "no", "cannot read"),
        ("d.jsonl.gz", "not gzip", "cannot read"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BadInput, match=words) as caught:
        read_rows(tmp_path / name)
    assert name in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="gone.jsonl"):
        read_rows(tmp_path / "gone.jsonl")


def test_a_row_without_a_field_is_named(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text(JSONL + '{"id": "c", "label": "x"}\n')
    with pytest.raises(BadInput, match="line 4: no field 'text'; it has: id, label"):
        read_examples(tmp_path / "d.jsonl", inputs=["text"])
    read = read_examples(tmp_path / "d.jsonl", inputs=["words"], rename={"text": "words"}, limit=2)
    assert read[1].inputs().toDict() == {"words": 'two, "quoted"'}


def test_a_data_set_by_name_comes_from_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    made = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda name, config, split: made)
    assert [e.label for e in read_hub("some:config", "train", inputs=["text"])] == ["yes", "no"]

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise FileNotFoundError("no such data set")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(BadInput, match="'some'.*no such data set"):
        read_hub("some", "train", inputs=["text"])


def examples(n: int, labels: int = 4) -> list[dspy.Example]:
    return make_examples([{"id": str(i), "text": f"t{i}", "label": str(i % labels)} for i in range(n)], inputs=["text"])


def test_a_split_is_seeded_disjoint_and_stratified() -> None:
    data = examples(103)
    parts = split(data, {"train": 50, "dev": 0.2, "test": 30}, seed=1, stratify="label")
    assert {name: len(part) for name, part in parts.items()} == {"train": 50, "dev": 21, "test": 30}
    assert len({e.id for part in parts.values() for e in part}) == 101
    for part in parts.values():
        counts = Counter(e.label for e in part)
        assert max(counts.values()) - min(counts.values()) <= 2
    again = split(data, {"train": 50, "dev": 0.2, "test": 30}, seed=1, stratify="label")
    assert [e.id for e in parts["dev"]] == [e.id for e in again["dev"]]
    other = split(data, {"train": 50, "dev": 0.2, "test": 30}, seed=2, stratify="label")
    assert [e.id for e in parts["dev"]] != [e.id for e in other["dev"]]


@pytest.mark.parametrize("sizes", [{"train": 5, "dev": 6}, {"train": 0, "dev": 5}, {"train": 0.9, "dev": 0.9}])
def test_sizes_that_do_not_fit_are_refused(sizes: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="10 examples"):
        split(examples(10), sizes)


def test_stratifying_by_a_field_that_is_not_there() -> None:
    with pytest.raises(BadInput, match="'colour'.*text, label"):
        split(examples(10), {"a": 5}, stratify="colour")


def test_overlaps_are_named_by_row() -> None:
    data = examples(10)
    twin = dspy.Example(id="twin", text="t3").with_inputs("text")
    found = overlaps({"train": data[:5], "test": [*data[5:], twin]})
    assert found == ["train[3] (id '3') and test[5] (id 'twin') have the same inputs"]
    assert "the id '2' stands twice: train[2] and dev[0]" in overlaps({"train": data[:5], "dev": [data[2]]})


def make_task(**changes: Any) -> Task:
    data = examples(12)
    values = {"name": "t", "program": dspy.Predict("text -> label"), "train": data[:4], "dev": data[4:8],
              "test": data[8:], "metric": exact("label")} | changes  # fmt: skip
    return Task(**values)


class Waits(dspy.Module):
    """A program that there is for async code alone."""

    def __init__(self) -> None:
        super().__init__()
        self.label = dspy.Predict("text -> label")

    async def aforward(self, text: str) -> Any:
        return await self.label.acall(text=text)


class Empty(dspy.Module):
    def forward(self, text: str) -> None:
        return None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"program": Empty()}, "Empty has no predictor"),
        ({"program": Waits()}, r"Waits has no forward.*dspy.syncify\(program\)"),
        ({"program": "text -> label"}, "expected a dspy.Module"),
        ({"dev": []}, "the dev split is empty"),
        ({"train": 5}, "expected a sequence of dspy.Example"),
        ({"train": [{"text": "x"}]}, r"train\[0\] is a dict"),
        ({"metric": "accuracy"}, "expected a function"),
        ({"metric": lambda example: 1.0}, r"fail, too many positional arguments; it takes \(example\)"),
        ({"metric": lambda gold, pred, trace: 1.0}, "missing a required argument: 'trace'"),
        ({"name": " "}, "expected a name"),
        ({"adapter": "yaml"}, "expected one of: chat, json, xml"),
        ({"test": examples(12)[3:5]}, "the id '3' stands twice"),
        ({"train": [dspy.Example(words="x", label="y")]}, r"train\[0\]: no field text; it has: words, label"),
    ],
)
def test_a_task_that_cannot_work_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        make_task(**changes)


def test_inputs_are_taken_from_the_program_where_they_are_not_declared() -> None:
    task = make_task(train=[dspy.Example(text="new", label="1")])
    assert task.train[0].inputs().toDict() == {"text": "new"}


@pytest.mark.parametrize("in_place", [False, True])
def test_a_program_for_async_code_runs_synchronised(in_place: bool) -> None:
    task = make_task(program=dspy.syncify(Waits(), in_place=in_place))
    engine = ScriptedEngine(lambda request: render_fields({"label": "3"}))
    assert evaluate(task.program, task.dev, task.metric, LM(engine)).scores == [0, 0, 0, 1]


def test_digests_follow_content() -> None:
    one, two = make_task(), make_task()
    assert one.digests == two.digests
    changed = make_task(program=dspy.Predict(dspy.Signature("text -> label", "Other words.")))
    assert changed.digests["program"] != one.digests["program"]
    assert make_task(metric=exact("label", strict=True)).digests["metric"] != one.digests["metric"]
    assert make_task(metric=lambda e, p: 1.0).digests["metric"] != make_task(metric=lambda e, p: 0.0).digests["metric"]


@pytest.mark.parametrize("total", range(6, 60))
def test_fractions_of_the_whole_always_fit(total: int) -> None:
    parts = split(examples(total), {"train": 0.4, "dev": 0.3, "test": 0.3})
    assert sum(map(len, parts.values())) == total
    for name, share in (("train", 0.4), ("dev", 0.3), ("test", 0.3)):
        assert abs(len(parts[name]) - share * total) < 1


def test_the_compile_view_has_no_test_split() -> None:
    assert not hasattr(make_task().compile_view, "test")


def test_a_task_shows_itself() -> None:
    page = make_task()._repr_html_()
    assert "train 4, dev 4, test 4" in page
    assert "text -&gt; label" in page
    assert "train 4, dev 4, test 4" in repr(make_task())
    assert len(repr(make_task())) < 100


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("$1,234.50 in all", 1234.5),
        ("so 3 + 4 = 7.", 7),
        ("-0.5", -0.5),
        ("none", None),
        ("1e3", 1000),
        (".5", 0.5),
    ],
)
def test_the_last_number_in_a_text(text: str, number: float | None) -> None:
    assert number_in(text) == number


def test_exact_and_numeric() -> None:
    example = dspy.Example(team="Sales", answer="1,000")
    assert exact("team")(example, dspy.Prediction(team=" sales. ")).value == 1
    assert exact("team", strict=True)(example, dspy.Prediction(team="sales")).value == 0
    assert exact("team")(example, dspy.Prediction()).value == 0
    assert numeric("answer")(example, dspy.Prediction(answer="it is 1000 apples")).value == 1
    assert numeric("answer")(example, dspy.Prediction(answer="unknown")).value == 0
    assert numeric("answer")(dspy.Example(answer="many"), dspy.Prediction(answer="3")).value is None


def test_the_shipped_task_is_whole_balanced_and_clean() -> None:
    task = task_named("triage")
    rows = [*task.train, *task.dev, *task.test]
    assert len(rows) == 720
    assert set(Counter(row.team for row in rows).values()) == {120}
    assert task.source == {"name": "triage", "args": {}}


def test_declared_tasks_read_a_data_folder(tmp_path: Path) -> None:
    for name, row in (
        ("esnli", '{"id": "%s", "premise": "p%s", "hypothesis": "h", "label": "neutral"}'),
        ("svamp", '{"id": "%s", "question": "q%s", "answer": 5.0}'),
    ):
        (tmp_path / name).mkdir()
        for n, part in enumerate(("train", "dev", "test")):
            (tmp_path / name / f"{part}.jsonl").write_text(row % (n, n) + "\n")
    nli = task_named("nli", data=str(tmp_path), gold=False)
    assert "label" not in nli.train[0]
    assert nli.dev[0].label == "neutral"
    assert task_named("math_word", data=str(tmp_path)).test[0].answer == 5.0
    with pytest.raises(BadInput, match="no train data"):
        task_named("nli", data=str(tmp_path), name="anli1")


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("tirage", {}, "expected one of triage, nli, math_word"),
        ("triage", {"trian": 5}, "trian.*it takes: train, dev, test, seed, data"),
        ("nli", {}, "missing a required argument: 'data'"),
        ("nowhere:task", {}, "cannot import nowhere"),
        ("dstill.programs.triage:nothing", {}, "has no nothing"),
        ("dstill.programs.triage:Triage", {"message": 1}, "Triage|returned"),
        ("dstill.programs.metrics:exact", {"field": "x"}, "returned a Exact: expected a dstill.Task"),
    ],
)
def test_a_task_name_that_leads_nowhere(name: str, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        task_named(name, **arguments)
