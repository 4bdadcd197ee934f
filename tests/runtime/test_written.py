"""What a run did not write stays when another run takes its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dstill.runtime import BadInput, RunDir
from dstill.runtime.rundir import read_manifest, verify


def run(path: Path, seed: int = 0, *, ends: bool = True, kind: str = "test", replace: bool = False) -> Path:
    with RunDir(path, kind=kind, config={"seed": seed}, replace=replace) as made:
        made.write("report.json", {"score": 0.5})
        for name in ("README.md", "model.safetensors", "vocab.txt", "adapter/README.md", "config.json"):
            made.write_text(f"students/self/{name}", "{}")
        if ends:
            made.write_text("students/self/student.json", "{}")
            made.write_text("of-another-stage.txt", "written by the run")
            made.finish()
    return path


def files(path: Path) -> dict[str, bytes]:
    found = (p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in found}


def add(path: Path, *names: str) -> None:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("mine")


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize(
    "mine",
    [
        "notes.md", "exports/a.onnx", "students/self/notes.md", "students/grades.csv", "other/report.json",
        "journal.sqlite",
    ],
)  # fmt: skip
def test_it_is_named_and_nothing_goes(tmp_path: Path, ends: bool, mine: str) -> None:
    path = run(tmp_path / "r", ends=ends)
    add(path, mine)
    before = files(path)
    with pytest.raises(BadInput, match=rf"its run did not write \({mine}\).*move them elsewhere, or choose another"):
        run(path, 1, replace=True)
    assert files(path) == before
    (path / mine).rename(tmp_path / "elsewhere")
    run(path, 1, replace=True)
    assert verify(path) == []


def test_a_model_in_a_run_is_no_run(tmp_path: Path) -> None:
    path = run(tmp_path / "r", ends=False)
    add(path, "base/config.json")
    (path / "base" / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(BadInput, match="did not write \\(base/config.json\\)"):
        run(path, 1, replace=True)


def test_a_run_that_has_not_ended_is_resumed_and_replaced(tmp_path: Path) -> None:
    path = run(tmp_path / "r", ends=False)
    (path / "checkpoints" / "self").mkdir(parents=True)
    (path / "rows.jsonl.part").write_text("half")
    run(path / "inner", ends=False)
    run(path, 1, ends=False, replace=True)
    assert not (path / "inner" / "report.json").exists()
    assert verify(run(path, 1)) == []
    assert verify(run(path, 2, replace=True)) == []


def test_the_manifest_does_not_vouch_for_it_later(tmp_path: Path) -> None:
    path = run(tmp_path / "r")
    add(path, "notes.md")
    run(path)
    assert "notes.md" not in read_manifest(path)["files"]
    assert {"of-another-stage.txt", "students/self/vocab.txt"} < set(read_manifest(path)["files"])
    with pytest.raises(BadInput, match="notes.md"):
        run(path, 1, replace=True)


@pytest.mark.parametrize("names", [["students/grades.csv"], ["students/self/README.md"], ["a/students/README.md"]])
def test_a_folder_of_that_name_is_no_run(tmp_path: Path, names: Any) -> None:
    add(tmp_path, *names)
    with pytest.raises(BadInput, match=rf"holds files of no run \({names[0]}\)"):
        run(tmp_path)
    assert list(files(tmp_path)) == names


def test_students_that_are_whole_may_be_brought_along(tmp_path: Path) -> None:
    add(tmp_path, "students/self/student.json", "students/self/model.safetensors", "students/self/notes.md")
    with RunDir(tmp_path, kind="test", config={}) as made:
        made.finish()
    assert set(read_manifest(tmp_path)["files"]) == {
        "config.json", "students/self/student.json", "students/self/model.safetensors",
    }  # fmt: skip
