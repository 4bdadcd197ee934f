"""Tables: what columns mean, both forms, and what may be wrong with them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from dstill.eval import read_results
from dstill.eval.interchange.table import rows_in
from dstill.runtime import BadInput


def table(folder: Path, text: str, name: str = "mine.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def shape(path: Path, **options: Any) -> list[tuple[str, str, list[float | None]]]:
    return [(r.system, r.metric, [row.score for row in r.rows]) for r in read_results(path, **options)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("id,score\na,1\nb,0.5\n", [("mine", "score", [1.0, 0.5])]),
        ("ID,Score\na,true\nb,False\n", [("mine", "score", [1.0, 0.0])]),
        ("example_id,score\na,1\nb,\n", [("mine", "score", [1.0, None])]),
        ("id,acc,f1\na,1,0.5\nb,0,0.25\n", [("mine", "acc", [1.0, 0.0]), ("mine", "f1", [0.5, 0.25])]),
        ("id,model,shiny\na,x,1\na,y,0\n", [("x", "shiny", [1.0]), ("y", "shiny", [0.0])]),
        ("id,shiny,output\na,1,yes\n", [("mine", "shiny", [1.0])]),
        ("id,gpt,claude\na,1,0\nb,0,\n", [("gpt", "score", [1.0, 0.0]), ("claude", "score", [0.0, None])]),
        ("id,metric,score\na,acc,1\na,f1,0.5\nb,acc,0\n", [("mine", "acc", [1.0, 0.0]), ("mine", "f1", [0.5, None])]),
        ("id,epoch,score\na,1,1\na,2,0\nb,1,1\n", [("mine", "score", [0.5, 1.0])]),
    ],
)
def test_columns_are_told_apart(tmp_path: Path, text: str, found: list[Any]) -> None:
    assert shape(table(tmp_path, text)) == found
    assert shape(table(tmp_path, text.replace(",", "\t"), "mine.tsv")) == found


def test_what_columns_of_numbers_are_can_be_said(tmp_path: Path) -> None:
    path = table(tmp_path, "id,one,two\na,1,0\n")
    assert [s for s, _, _ in shape(path)] == ["one", "two"]
    assert shape(path, form="table") == [("mine", "one", [1.0]), ("mine", "two", [0.0])]
    assert shape(path, system="x") == [("x", "one", [1.0]), ("x", "two", [0.0])]
    assert shape(path, metric="two") == [("mine", "two", [0.0])]
    assert shape(table(tmp_path, "id,acc,f1\na,1,0\n"), form="wide") == [
        ("acc", "score", [1.0]),
        ("f1", "score", [0.0]),
    ]


def test_costs_outputs_and_what_describes_an_example(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "id,score,output,question,topic,cost,latency_ms,prompt_tokens,output_tokens,feedback\n"
        'a,1,"yes, sir",Is it?,law,0.5,1500,100,7,good\nb,0,no,Was it?,art,,,,,\n',
    )
    report = read_results(path)[0]
    row = report.rows[0]
    assert (row.usd, row.seconds, row.tokens_in, row.tokens_out, row.feedback) == (0.5, 1.5, 100, 7, "good")
    assert row.outputs == {"output": "yes, sir"}
    assert report.examples == ({"question": "Is it?", "topic": "law"}, {"question": "Was it?", "topic": "art"})
    assert report.rows[1].usd == 0.0


def test_errors_are_kept_apart(tmp_path: Path) -> None:
    report = read_results(table(tmp_path, "id,score,error\na,,timed out\nb,0,no answer\nc,0,\nd,1,a warning\n"))[0]
    assert [(row.status, row.score) for row in report.rows] == [
        ("unscored", None), ("failed", 0.0), ("scored", 0.0), ("scored", 1.0),
    ]  # fmt: skip
    assert report.failures == {"error": 2}


def test_tasks_and_splits(tmp_path: Path) -> None:
    path = table(tmp_path, "id,task,split,score\na,sums,dev,1\na,sums,test,0\na,words,test,1\n")
    assert [(r.task, r.split) for r in read_results(path)] == [("sums", "dev"), ("sums", "test"), ("words", "test")]
    assert len(read_results(path, task="words")) == 1
    with pytest.raises(BadInput, match="has no task none; expected some of: sums, words"):
        read_results(path, task="none")


def test_answers_may_be_long_and_files_marked_as_utf_8(tmp_path: Path) -> None:
    long = "words, " * 60_000
    (tmp_path / "t.csv").write_text(f'id,score,answer\na,1,"{long}"\nb,0,short\n', "utf-8-sig")
    (tmp_path / "t.jsonl").write_text('{"id": "a", "score": 1}\n{"id": "b", "score": 0}\n', "utf-8-sig")
    assert [row["answer"] for _, row in rows_in(tmp_path / "t.csv")] == [long, "short"]
    assert [(number, row["id"]) for number, row in rows_in(tmp_path / "t.jsonl")] == [(1, "a"), (2, "b")]


def test_json_in_lines_in_an_array_and_packed(tmp_path: Path) -> None:
    rows = [{"id": i, "scores": {"acc": i % 2, "f1": 0.5}, "topic": {"a": [1]}} for i in range(3)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    expected = [("mine", "acc", [0.0, 1.0, 0.0]), ("mine", "f1", [0.5, 0.5, 0.5])]
    assert shape(table(tmp_path, lines, "mine.jsonl")) == expected
    assert shape(table(tmp_path, json.dumps(rows, indent=1), "mine.json")) == expected
    (tmp_path / "mine.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    assert shape(tmp_path / "mine.jsonl.gz") == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("id,score\n", "is empty: it has no rows"),
        ("name,score\na,1\n", "no column 'id' to be the id; it has: 'name', 'score'"),
        ("id,text\na,b\n", "no column of scores; expected 'score', a column of numbers"),
        ("id,score\na,1\nb,0,1\n", "line 3: 3 cells under 2 headings"),
        ("id,score,score\na,1,1\n", "line 1: two columns are called 'score'"),
        ("id,score\na,1\n,0\n", "line 3: the id is empty"),
        ("id,score\na,1\nb,0\na,0\n", "line 4: the id 'a' stands in line 2 too"),
        (
            "id,score\na,1\nb,7\n",
            r"line 3, id 'b': score: 7 is outside [0, 1]; if the metric runs from 0 to 100, read it",
        ),
        ("id,score\na,1\nb,-3\n", "score: -3 is outside [0, 1]; if the metric runs from WORST to BEST"),
        ("id,score\na,1\nb,inf\n", "inf is outside"),
        ("id,score\na,1\nb,good\n", "line 3, id 'b': score: 'good' is no number"),
        ("id,score,cost\na,1,cheap\n", "line 2: cost is 'cheap'; expected a number, 0 or more"),
        ("id,score,cost\na,1,-1\n", "line 2: cost is '-1'"),
        ('id,score\n"a,1\n', "line 2: unexpected end of data"),
        ("id,gpt,year\na,1,2020\n", "year: score: 2020 is outside"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = table(tmp_path, text)
    with pytest.raises(BadInput) as caught:
        read_results(path)
    assert said.removeprefix("year: ") in str(caught.value)
    assert str(path) in str(caught.value)


def test_files_of_other_kinds(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"mine\.csv, line 2: not UTF-8"):
        (tmp_path / "mine.csv").write_bytes(b"id,score\n\xff,1\n")
        read_results(tmp_path / "mine.csv")
    with pytest.raises(BadInput, match=r"cannot read .*mine\.csv\.gz"):
        (tmp_path / "mine.csv.gz").write_bytes(gzip.compress(b"id,score\na,1\n")[:-9])
        read_results(tmp_path / "mine.csv.gz")
    for name, text in (("a.xlsx", "x"), ("a.json", "{}"), ("a.json", '"text"'), ("a.json", "")):
        with pytest.raises(BadInput, match="expected an evaluation's directory"):
            read_results(table(tmp_path, text, name))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no results; expected an evaluation's directory"):
        read_results(tmp_path / "empty")
    with pytest.raises(BadInput, match=r"form='excel': expected one of dstill, lm-eval"):
        read_results(tmp_path / "mine.csv", form="excel")
    with pytest.raises(BadInput, match=r"a\.jsonl, line 2: expected a JSON object, got '\[1\]'"):
        read_results(table(tmp_path, '{"id": 1, "score": 1}\n[1]\n', "a.jsonl"))
    with pytest.raises(BadInput, match="entry 2: expected a JSON object"):
        read_results(table(tmp_path, '[{"id": 1, "score": 1}, 3]', "a.json"))
