"""The command line: every command does its work, and nothing is paid for twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fakes
import pytest
import tests_support
from commands import Cli, recipe
from dstill.runtime.errors import BudgetExhausted
from dstill.runtime.fields import render_fields

COMMANDS = "run compile distill alternate eval leaderboard verify replay export export-cassette doctor"


@pytest.mark.parametrize("command", COMMANDS.split())
def test_help_gives_an_example(cli: Cli, command: str) -> None:
    code, out, _ = cli(command, "--help")
    assert code == 0
    assert f"dstill {command}" in " ".join(out.split("Example:")[1].split())


def test_the_version(cli: Cli) -> None:
    code, out, _ = cli("--version")
    assert code == 0
    assert out.startswith("dstill 0.")


def test_help_of_everything(cli: Cli) -> None:
    code, out, _ = cli("--help")
    assert code == 0
    assert "export-cassette" in out


def writing(handler: Any, body: dict[str, Any]) -> None:
    """``fakes.painting``, which writes an instruction where it is asked for one."""
    if "`instruction`" in str(body["messages"][0]):
        reply = render_fields({"instruction": "Look."}) + "\n\n[[ ## completed ## ]]"
        tests_support.answer(reply)(handler, body)
    else:
        fakes.painting(handler, body)


def test_a_front_is_shown_and_picked_from(cli: Cli, paint: list[str], server: tests_support.OpenAIServer) -> None:
    server.script = [writing]
    words = ["compile", *paint, "--task-arg", "dev=12", "--objective", "score,prompt_tokens"]
    code, out, _ = cli(*words, "--run", "front")
    assert code == 0
    assert "hypervolume" in out
    paid = len(server.requests)
    code, out, _ = cli(*words, "--pick", "score=0", "--run", "least")
    assert code == 0
    assert "was picked from the front by score=0" in out
    code, out, err = cli("replay", "runs/least")
    assert (code, err) == (0, "")
    assert "3 files have the same bytes" in out
    assert len(server.requests) == paid
    code, out, err = cli("export", "runs/front", "runs/least", "--to", "optuna", "--out", "study.db")
    assert (code, "trials in study.db" in out) == (0, True), err
    code, _, err = cli("compile", *paint, "--objective", "score,speed")
    assert code == 2
    assert "'speed' is not known" in err


def test_one_by_one(cli: Cli, paint: list[str], server: tests_support.OpenAIServer, tmp_path: Path) -> None:
    """compile, eval, leaderboard, verify, replay, export-cassette; no call is made twice."""
    code, out, _ = cli("compile", *paint, "--optimizer", "k-shot", "--run", "shots")
    assert code == 0
    assert "run directory: runs/shots" in out
    assert cli("compile", *paint, "--optimizer", "k-shot", "--set", "k=2", "--run", "two")[0] == 0
    assert [len(json.loads(Path(f"runs/{n}/program.json").read_text())["demos"]) for n in ("shots", "two")] == [4, 2]
    code, out, _ = cli("compile", *paint, "--optimizer", "zero-shot", "--run", "zero")
    assert code == 0
    for name in ("zero", "shots"):
        code, out, _ = cli("eval", f"runs/{name}")
        assert code == 0
        assert f"{name} on paint test: {75.0}" in out
    assert Path("runs/zero-test/rows.jsonl").read_text().count("\n") == 40
    paid = len(server.requests)
    code, out, _ = cli("leaderboard", "runs/zero-test", "runs/shots-test", "--out", "boards")
    assert code == 0
    assert Path("boards/leaderboard.html").is_file()
    assert json.loads(Path("boards/leaderboard.json").read_text())
    code, out, _ = cli("eval", "runs/zero", "--name", "again")
    assert code == 0
    code, out, _ = cli("leaderboard", "runs/zero-test", "runs/again-test", "--out", "boards")
    assert code == 0
    assert "Gain over zero" in out
    assert cli("compile", "--explain", "shots")[0] == 0
    code, _, err = cli("compile", "--explain", "shot")
    assert (code, "there is no compilation in runs/shot" in err) == (2, True)
    code, out, _ = cli("compile", "--explain", "runs/shots")
    assert code == 0
    assert "└─ 1 labeled-" in out
    assert "page: runs/shots.html" in out
    assert "<table>" in Path("runs/shots.html").read_text()
    code, out, _ = cli("verify", "runs/zero", "runs/shots", "runs/zero-test")
    assert code == 0
    assert out.count("as it was written") == 3
    code, out, err = cli("replay", "runs/shots")
    assert (code, err) == (0, "")
    assert "0 from engines; 3 files have the same bytes" in out
    code, out, _ = cli("export-cassette", "runs/shots", "shots.jsonl.zst")
    assert code == 0
    assert "calls in shots.jsonl.zst" in out
    assert cli("eval", "runs/zero", "--concurrency", 1)[0] == 0
    assert len(server.requests) == paid


def test_eval_as_a_gate(cli: Cli, paint: list[str]) -> None:
    for name, optimizer in (("zero", "zero-shot"), ("shots", "k-shot")):
        assert cli("compile", *paint, "--optimizer", optimizer, "--run", name)[0] == 0
    assert cli("eval", "runs/zero")[0] == 0
    code, out, _ = cli("eval", "runs/shots", "--against", "runs/zero-test")
    assert (code, "shots is undecided against zero: +0.0 points" in out) == (11, True)
    assert "; more examples would decide" in out
    code, out, _ = cli("eval", "runs/shots", "--against", "runs/zero-test", "--margin", "30pt")
    assert (code, "shots is not worse than zero" in out) == (0, True)
    assert cli("eval", "runs/shots", "--against", "runs/zero-test", "--margin", "0.3", "--better")[0] == 12
    code, _, err = cli("eval", "runs/shots", "--against", "runs/zero-test", "--margin", "much")
    assert (code, "--margin much: expected points such as 1pt" in err) == (2, True)
    assert cli("eval", "runs/shots", "--against", "runs/none")[0] == 2


def test_a_whole_recipe_run_twice_pays_once(cli: Cli, server: tests_support.OpenAIServer, tmp_path: Path) -> None:
    server.script = [fakes.painting]
    path = recipe(tmp_path, server.url)
    code, out, err = cli("run", path, "--estimate")
    assert code == 0
    assert "zero" in out
    assert len(server.requests) == 0
    assert not Path("runs").exists()
    code, out, err = cli("run", path)
    assert code == 0
    assert "leaderboard: runs/small/leaderboard.html" in out
    assert "compile zero" in err
    before = {p: p.read_bytes() for p in Path("runs/small").rglob("*.json*") if p.is_file()}
    paid = len(server.requests)
    assert cli("run", path)[0] == 0
    assert len(server.requests) == paid
    assert {p: p.read_bytes() for p in before} == before
    code, out, _ = cli("replay", "runs/small")
    assert code == 0
    assert len(server.requests) == paid


@pytest.mark.parametrize(("cap", "spent"), [("calls = 30", 30), ("tokens = 9000", None)])
def test_a_budget_ends_a_run_with_what_it_has(
    cli: Cli, server: tests_support.OpenAIServer, tmp_path: Path, cap: str, spent: int | None
) -> None:
    server.script = [fakes.painting]
    code, _, err = cli("run", recipe(tmp_path, server.url, budget=cap))
    assert code == BudgetExhausted.exit_code == 3
    assert "stopped early" in err
    assert "best result so far" in err
    assert spent is None or len(server.requests) <= spent
    assert cli("verify", "runs/small")[0] == 0


def test_doctor_says_what_is_there_and_what_to_do(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = cli("doctor")
    assert code in (0, 1)
    assert "dspy 3.4" in out
    assert "export OPENAI_API_KEY=..." in out
    monkeypatch.setenv("OPENAI_API_KEY", "sk-123")
    _, out, _ = cli("doctor")
    assert "export OPENAI_API_KEY=..." not in out
    assert "sk-123" not in out


def test_a_task_may_lie_in_the_current_folder(cli: Cli, paint: list[str], tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("from fakes import task\n")
    words = [word.replace("fakes:task", "beside:task") for word in paint]
    assert words != paint
    code, out, err = cli("compile", *words, "--optimizer", "zero-shot", "--run", "runs/beside")
    assert code == 0, err
    assert "runs/beside" in out


def test_eval_inside_a_run_writes_beside_it(cli: Cli, paint: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("compile", *paint, "--optimizer", "zero-shot", "--run", "runs/a")[0] == 0
    monkeypatch.chdir("runs/a")
    assert cli("eval", ".", "--split", "dev")[0] == 0
    monkeypatch.chdir("../..")
    assert Path("runs/a-dev/report.json").is_file()
    assert cli("verify", "runs/a", "runs/a-dev")[0] == 0
    assert not Path("runs/a/journal.sqlite").exists()


def test_eval_with_several_answers(cli: Cli, paint: list[str], server: tests_support.OpenAIServer) -> None:
    assert cli("compile", *paint, "--optimizer", "zero-shot", "--run", "zero")[0] == 0
    assert cli("eval", "runs/zero")[0] == 0
    before = Path("runs/zero-test/rows.jsonl").read_text()
    paid = len(server.requests)
    code, out, err = cli("eval", "runs/zero", "--samples", 3, "--name", "thrice")
    assert code == 0, err
    assert len(server.requests) == paid + 2 * 40  # the first answer of each is there already
    assert "thrice on paint test: 75.0" in out
    assert [line for line in out.splitlines() if line.startswith("k=")] == [
        f"k={k}: one of {k} is right (pass@{k}) 75.0 [59.8, 85.8], all of {k} are right (pass^{k}) 75.0 [59.8, 85.8] "
        "(n=40)"
        for k in (1, 2, 3)
    ]
    assert "3 answers to each example" in out
    assert json.loads(Path("runs/thrice-test/rows.jsonl").read_text().splitlines()[0])["samples"] == [1, 1, 1]
    assert [k["k"] for k in json.loads(Path("runs/thrice-test/report.json").read_text())["reliability"]] == [1, 2, 3]
    assert cli("leaderboard", "runs/zero-test", "runs/thrice-test")[0] == 0
    code, _, err = cli("eval", "runs/zero", "--samples", 3, "--temperature", 0)
    assert (code, "samples=3: zero answers at temperature 0" in err) == (2, True)
    assert cli("eval", "runs/zero")[0] == 0
    assert Path("runs/zero-test/rows.jsonl").read_text() == before
    code, _, err = cli("eval", "runs/zero-test", "--against", "runs/zero-test", "--samples", 3)
    assert (code, "--samples 3: runs/zero-test is a finished evaluation" in err) == (2, True)
