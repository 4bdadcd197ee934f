"""Run directories and cassettes: whole or absent, one configuration, one process, verified, replayed."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import zstandard
from dstill.runtime import (
    LM,
    BadInput,
    CassetteMiss,
    Damaged,
    Journal,
    RunBusy,
    RunDir,
    ScriptedEngine,
    Session,
    lm_for,
)
from dstill.runtime import cassette as cassettes
from dstill.runtime.atomic import write_json, writing
from dstill.runtime.home import run_folder
from dstill.runtime.rundir import check_files, read_manifest, verify


def finished(path: Path, **config: Any) -> Path:
    with RunDir(path, kind="test", config={"seed": 0, **config}) as run:
        run.write("report.json", {"score": 0.5})
        run.write_lines("rows.jsonl", [{"i": 0}, {"i": 1}])
        run.finish()
    return path


def test_a_finished_run_verifies(tmp_path: Path) -> None:
    path = finished(tmp_path / "r")
    assert verify(path) == []
    manifest = read_manifest(path)
    assert manifest["kind"] == "test"
    assert set(manifest["files"]) == {"config.json", "report.json", "rows.jsonl"}
    assert manifest["versions"]["python"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda p: (p / "rows.jsonl").write_bytes(b'{"i": 0}\n{"i": 2}\n'), "rows.jsonl has changed"),
        (lambda p: (p / "report.json").unlink(), "report.json is missing"),
        (lambda p: (p / "extra.json").write_text("{}"), "extra.json is not in the manifest"),
    ],
)
def test_a_changed_byte_is_named(tmp_path: Path, damage: Any, words: str) -> None:
    path = finished(tmp_path / "r")
    damage(path)
    (problem,) = verify(path)
    assert words in problem


def test_a_run_without_manifest_has_not_ended(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        verify(tmp_path / "none")
    with RunDir(tmp_path / "r", kind="test", config={}) as run:
        run.write("report.json", {})
    with pytest.raises(BadInput, match="has not ended"):
        verify(tmp_path / "r")


def test_a_newer_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = finished(tmp_path / "r")
    manifest = json.loads((path / "manifest.json").read_text())
    write_json(path / "manifest.json", {**manifest, "format": 9})
    for attempt in (lambda: verify(path), lambda: finished(path)):
        with pytest.raises(Damaged, match="format 9"):
            attempt()
    assert json.loads((path / "manifest.json").read_text())["format"] == 9


def test_a_directory_belongs_to_one_configuration(tmp_path: Path) -> None:
    path = finished(tmp_path / "r")
    before = (path / "report.json").read_bytes()
    with pytest.raises(BadInput, match="seed: 0 became 1.*--replace"):
        RunDir(path, kind="test", config={"seed": 1})
    assert (path / "report.json").read_bytes() == before
    assert verify(path) == []
    with pytest.raises(BadInput, match="a run of another kind"):
        RunDir(path, kind="other", config={"seed": 0}, replace=True)
    assert verify(path) == []
    RunDir(path, kind="test", config={"seed": 1}, replace=True).close()
    assert [p.name for p in path.iterdir() if not p.name.startswith(".")] == ["config.json"]
    finished(tmp_path / "again")
    finished(tmp_path / "again")


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"format": "1", "kind": "test", "files": {}}', b"{"])
def test_a_manifest_that_is_none(tmp_path: Path, content: bytes) -> None:
    path = finished(tmp_path / "r")
    (path / "manifest.json").write_bytes(content)
    with pytest.raises(Damaged, match="manifest"):
        verify(path)


def test_a_directory_with_other_files_is_no_place_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.md").write_text("mine")
    with pytest.raises(BadInput, match=r"holds files of no run \(mine/notes.md\); choose another name"):
        RunDir(tmp_path, kind="test", config={"seed": 0}, replace=True)
    assert (tmp_path / "mine" / "notes.md").read_text() == "mine"
    (tmp_path / "mine" / "notes.md").rename(tmp_path / ".notes.md")
    finished(tmp_path)  # hidden files and empty folders are let be


def test_files_are_checked_before_they_are_used(tmp_path: Path) -> None:
    path = finished(tmp_path / "r")
    check_files(path, "report.json", "rows.jsonl", "of-another-kind-of-run.json")
    (path / "report.json").write_bytes(b"{}")
    check_files(path, "rows.jsonl")
    with pytest.raises(Damaged, match="report.json has changed"):
        check_files(path, "report.json")
    (path / "rows.jsonl").unlink()
    with pytest.raises(Damaged, match="rows.jsonl"):
        check_files(path, "rows.jsonl")
    (path / "manifest.json").unlink()
    with pytest.raises(BadInput, match="has not ended"):
        check_files(path)
    check_files(tmp_path, "anything")


def test_a_run_vouches_for_the_runs_in_it_but_not_for_later_ones(tmp_path: Path) -> None:
    with RunDir(tmp_path / "r", kind="test", config={}) as run:
        inner = finished(tmp_path / "r" / "inner")
        run.finish()
    finished(tmp_path / "r" / "later")
    assert verify(tmp_path / "r") == []
    (inner / "manifest.json").unlink()
    assert "inner/manifest.json is missing" in verify(tmp_path / "r")[0]


@pytest.mark.parametrize("name", ["", ".", "..", "a/..", "a\tb", "x" * 101])
def test_names_that_are_no_folder_of_their_own(name: str) -> None:
    with pytest.raises(BadInput, match="expected a name"):
        run_folder(name, "work", {})


def test_where_runs_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DSTILL_RUNS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert run_folder("mine", "work", {}) == tmp_path / "mine"
    assert run_folder("some/where", "work", {}) == Path("some/where")
    assert run_folder("./mine", "work", {}) == Path("mine")
    assert run_folder("~/mine", "work", {}) == tmp_path / "home" / "mine"
    assert run_folder(None, "a task/of mine", {}).name.startswith("a-task-of-mine-")


def test_two_processes_on_one_directory(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import sys
        from dstill.runtime import RunDir, RunBusy
        try:
            RunDir({str(tmp_path / "r")!r}, kind="test", config={{}})
        except RunBusy as error:
            print(error); sys.exit(error.exit_code)
        """
    )
    with RunDir(tmp_path / "r", kind="test", config={}):
        second = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert second.returncode == RunBusy.exit_code
        assert "another process" in second.stdout
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_id_is_a_function_of_the_work_alone(tmp_path: Path) -> None:
    def run_id(name: str, seed: int) -> str:
        with RunDir(tmp_path / name, kind="test", config={"seed": seed}) as run:
            return run.id

    assert run_id("a", 0) == run_id("b", 0) != run_id("c", 1)


def test_writing_is_all_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("before")
    with pytest.raises(RuntimeError), writing(tmp_path / "f") as file:
        file.write(b"half")
        raise RuntimeError("power cut")
    assert (tmp_path / "f").read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def recorded(tmp_path: Path) -> tuple[Path, list[str]]:
    engine = ScriptedEngine(lambda r: f"answer to {r.messages[-1].text}", name="local-model", repeatable=True)
    session = Session(Journal(tmp_path / "j"), run="r")
    other = LM(engine, Session(session.journal, run="other"))
    other("used by another run only")
    lm = LM(engine, session, temperature=0.5)
    texts = [lm(f"question {n}", rollout_id=n % 3 or None)[0] for n in range(20)]
    path = tmp_path / "cassette.jsonl.zst"
    assert cassettes.export(session, path) == 20
    return path, texts


def test_a_cassette_replays_without_the_model(tmp_path: Path) -> None:
    path, texts = recorded(tmp_path)
    journal, replay = cassettes.load(path)
    session = Session(journal, run="r", replay=replay)
    lm = lm_for("local-model", session, temperature=0.5)
    assert [lm(f"question {n}", rollout_id=n % 3 or None)[0] for n in range(20)] == texts
    with pytest.raises(CassetteMiss, match="question 99"):
        lm("question 99")
    cassettes.export(session, tmp_path / "again.jsonl.zst")
    assert (tmp_path / "again.jsonl.zst").read_bytes() == path.read_bytes()


def test_a_replay_calls_no_engine_even_where_it_has_one(tmp_path: Path) -> None:
    path, _ = recorded(tmp_path)
    journal, replay = cassettes.load(path)
    engine = ScriptedEngine(["never"])
    with pytest.raises(CassetteMiss):
        LM(engine, Session(journal, replay=replay))("anything")
    assert engine.calls == 0


def test_a_cassette_is_plain_lines(tmp_path: Path) -> None:
    path, _ = recorded(tmp_path)
    lines = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().splitlines()
    head = json.loads(lines[0])
    assert (head["kind"], head["calls"]) == ("dstill cassette", 20)
    assert head["models"]["local-model"]["identity"]["kind"] == "scripted"
    assert sum("prefix" in line and "body" in line for line in map(json.loads, lines[1:])) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:-3], "cut short"),
        (lambda lines: [lines[0].replace(b'"format":1', b'"format":7'), *lines[1:]], "format 7"),
        (lambda lines: [b'{"kind":"something"}', *lines[1:]], "not a dstill cassette"),
        (lambda lines: [*lines[:5], b'{"key":"zz"}', *lines[6:]], "not a recorded call"),
        (lambda lines: [*lines[:5], b"{broken", *lines[6:]], "cannot be read"),
    ],
)
def test_a_damaged_cassette_is_named(tmp_path: Path, change: Any, words: str) -> None:
    path, _ = recorded(tmp_path)
    lines = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().splitlines()
    path.write_bytes(zstandard.ZstdCompressor().compress(b"\n".join(change(lines))))
    with pytest.raises(Damaged, match=words):
        cassettes.load(path)


def test_a_cassette_cut_in_the_middle_is_damaged(tmp_path: Path) -> None:
    path, _ = recorded(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(Damaged):
        cassettes.load(path)


def test_what_differs_in_a_list_is_named(tmp_path: Path) -> None:
    finished(tmp_path / "r", stages=[{"stage": "train", "training": {"epochs": 8, "lr": 0.1}}])
    with pytest.raises(BadInput, match=r"\(stages\[0\].training.epochs: 8 became 3\)"):
        finished(tmp_path / "r", stages=[{"stage": "train", "training": {"lr": 0.1, "epochs": 3}}])
