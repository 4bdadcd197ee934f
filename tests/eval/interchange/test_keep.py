"""Bounded memory: which examples are kept, duplicates among those that are not, JSON as a stream."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dstill.eval import leaderboard
from dstill.eval.interchange import keep, streams
from dstill.eval.interchange.collect import Collector, Results
from dstill.eval.interchange.keep import Keep
from dstill.eval.interchange.sample import Mark, Reading, Sample
from dstill.eval.interchange.table import Table
from dstill.runtime import BadInput


def sample(number: int, **more: Any) -> Sample:
    return Sample(f"e{number}", number, {"m": Mark(1.0)}, **more)


def read(path: Path, most: int) -> Results:
    into = Collector(path, Reading(), most)
    Table().read(path, into)
    return into.results("table")


def write(path: Path, ids: list[int]) -> Path:
    path.write_text("id,score\n" + "".join(f"e{i},{int(i % 10 < 7)}\n" for i in ids))
    return path


def test_all_are_kept_up_to_the_limit() -> None:
    kept = Keep(most=100)
    for number in range(100):
        kept.add(sample(number))
    kept.prune()
    assert [samples[0].place for samples in kept] == list(range(100))
    assert not kept.dropped


def test_of_more_the_same_are_kept_in_any_order(tmp_path: Path) -> None:
    one = read(write(tmp_path / "one.csv", list(range(20_000))), 500)[0]
    other = read(write(tmp_path / "other.csv", list(range(19_999, -1, -1))), 500)[0]
    assert len(one.rows) == 500
    assert {row.id for row in one.rows} == {row.id for row in other.rows}
    assert [int(row.id[1:]) for row in one.rows] == sorted(int(row.id[1:]) for row in one.rows)
    assert one.score is not None and abs(one.score.value - 0.7) < 0.07
    assert "20,000 samples, of which those of 500 examples were kept" in one.notes[0]
    assert "the mean of all is 70.000" in one.notes[0]


def test_what_is_held_does_not_grow() -> None:
    kept = Keep(most=100)
    for number in range(10_000):
        kept.add(sample(number))
        assert len(kept) <= 125
    assert kept.seen == 10_000


def test_kept_ids_are_a_fair_draw() -> None:
    """Which are kept does not hang on the place: each tenth of the file has about a tenth."""
    kept = Keep(most=1000)
    for number in range(10_000):
        kept.add(sample(number))
    kept.prune()
    tenths = [0] * 10
    for samples in kept:
        tenths[samples[0].place // 1000] += 1
    assert all(70 < tenth < 135 for tenth in tenths)  # 100 on average, standard deviation 9.5


def test_a_duplicate_is_found_though_it_was_not_kept(tmp_path: Path) -> None:
    ids = list(range(3_000))
    kept = {int(row.id[1:]) for row in read(write(tmp_path / "a.csv", ids), 50)[0].rows}
    dropped = next(i for i in range(2_900, 3_000) if i not in kept)
    with pytest.raises(BadInput, match=rf"a\.csv, line {dropped + 2} and line 3002 have the same id"):
        read(write(tmp_path / "a.csv", [*ids, dropped]), 50)


def test_answers_to_an_example_stay_together() -> None:
    kept = Keep(most=10)
    for repeat in (1, 2, 3):
        for number in range(200):
            kept.add(sample(number, repeat=repeat))
    kept.prune()
    assert [len(samples) for samples in kept] == [3] * 10
    assert kept.duplicate() is None


def test_texts_are_left_out_when_they_are_too_many() -> None:
    kept = Keep(texts=100)
    for number in range(10):
        kept.add(sample(number, outputs={"answer": "x" * 30}))
    assert kept.untexted == 7
    assert [bool(samples[0].outputs) for samples in kept] == [True] * 3 + [False] * 7


def test_a_board_of_what_was_kept(tmp_path: Path) -> None:
    reports = [read(write(tmp_path / f"{name}.csv", list(range(2_000))), 300)[0] for name in ("a", "b")]
    assert leaderboard(reports).entries[0].report.notes == reports[0].notes


@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 1 << 20])
def test_json_is_read_at_any_step(tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "CHUNK", chunk)
    values = [1, -2.5e3, 'a "quoted" [text]', "\u00e9\U0001f600", None, True, {"x": [1, {"y": "]}"}]}, [], {}, 12345]
    (tmp_path / "array.json").write_text(json.dumps(values, indent=1, ensure_ascii=False), encoding="utf-8")
    assert list(streams.elements(tmp_path / "array.json")) == values
    body = {"a": 1, "many": values, "b": [1, 2], "none": [], "c": {"many": [3]}}
    (tmp_path / "object.json").write_text(json.dumps(body, ensure_ascii=False), encoding="utf-8")
    found = list(streams.members(tmp_path / "object.json", "many", "none"))
    assert found == [("a", 1), *(("many", value) for value in values), ("b", [1, 2]), ("c", {"many": [3]})]


@pytest.mark.parametrize("text", ["[1, 2", "[1 2]", "[1,, 2]", '["a', "{}", "", "[nul]", '["\\x"]'])
def test_json_that_is_broken(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BadInput, match=r"a\.json"):
        list(streams.elements(tmp_path / "a.json"))


def test_a_large_array_is_not_held_whole(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "large.json"
    with path.open("w") as file:
        file.write("[" + ",".join(json.dumps({"text": "x" * 500, "i": i}) for i in range(20_000)) + "]")
    tracemalloc.start()
    assert sum(1 for _ in streams.elements(path)) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 10_000_000
    assert peak < 8 * streams.CHUNK


def test_the_limit_is_what_the_documentation_says() -> None:
    assert keep.MOST == 200_000
