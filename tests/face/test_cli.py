"""The command line, in this process but for what needs one of its own: messages, exit codes, files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakes
import pytest
import tests_support
from dstill.runtime.errors import BudgetExhausted, Damaged, ModelUnavailable

SUPPORT = str(Path(fakes.__file__).parent)
Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """``cli("verify", "runs/x")`` gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def leave(code: int) -> None:
        raise SystemExit(code)

    def call(*words: Any) -> tuple[int, str, str]:
        from dstill.cli import main

        monkeypatch.setattr(sys, "argv", ["dstill", *map(str, words)])
        monkeypatch.setattr(os, "_exit", leave)
        monkeypatch.setattr(sys, "path", list(sys.path))
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return call


@pytest.fixture
def paint(server: tests_support.OpenAIServer) -> list[str]:
    """Options that name the small task and a real server that knows it three times out of four."""
    server.script = [fakes.painting]
    return ["--task", "fakes:task", "--lm", "openai/painter", "--base-url", server.url]


def recipe(tmp_path: Path, url: str, **more: Any) -> Path:
    lines = [
        'name = "small"', "[task]", 'name = "fakes:task"', f"args = {more.get('args', '{}')}",
        "[lm]", 'model = "openai/painter"', f'base_url = "{url}"', more.get("lm", ""),
        "[budget]", more.get("budget", ""),
        "[[compile]]", 'name = "zero"', 'optimizer = "zero-shot"',
        "[[compile]]", 'name = "shots"', 'optimizer = "k-shot"', "options = { k = 2 }",
    ]  # fmt: skip
    path = tmp_path / "small.toml"
    path.write_text("\n".join([*lines, *more.get("tail", [])]))
    return path


@pytest.mark.parametrize(
    "command",
    ["run", "compile", "distill", "eval", "leaderboard", "verify", "replay", "export-cassette", "doctor"],
)
def test_help_gives_an_example(cli: Cli, command: str) -> None:
    code, out, _ = cli(command, "--help")
    assert code == 0
    assert f"dstill {command}" in " ".join(out.split("Example:")[1].split())


def test_help_of_everything(cli: Cli) -> None:
    code, out, _ = cli("--help")
    assert code == 0
    assert "export-cassette" in out


def test_one_by_one(cli: Cli, paint: list[str], server: tests_support.OpenAIServer, tmp_path: Path) -> None:
    """compile, eval, leaderboard, verify, replay, export-cassette; no call is made twice."""
    code, out, _ = cli("compile", *paint, "--optimizer", "k-shot", "--run", "shots")
    assert code == 0
    assert "run directory: runs/shots" in out
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "none.toml"], "there is no recipe none.toml"),
        (["compile", "--task", "triag", "--lm", "embedded"], "task 'triag' is not known; expected one of triage"),
        (["compile", "--task", "triage", "--lm", "nothing"], "model 'nothing' is not known; expected: embedded"),
        (["compile", "--task", "triage", "--lm", "a/b"], "for weights on this machine write local:a/b"),
        (["compile", "--task", "triage", "--lm", "embedded", "--optimizer", "racy"], "expected one of: zero-shot"),
        (["compile", "--task", "triage", "--lm", "embedded", "--optimizer", "dspy:MIPRO2"], "MIPROv2"),
        (["compile", "--task", "triage", "--lm", "embedded", "--calls", "-1"], "expected"),
        (["compile", "--task", "triage", "--lm", "embedded", "--task-arg", "train"], "expected key=value"),
        (["compile", "--task", "triage", "--lm", "embedded", "--task-arg", "trin=3"], "it takes: train, dev, test"),
        (["eval", "runs/none"], "holds no run"),
        (["distill", "runs/none", "--student", "x"], "holds no run"),
        (["replay", "runs/none"], "does not exist"),
        (["verify", "runs/none"], "does not exist"),
        (["leaderboard", "runs/none"], "runs/none"),
        (["export-cassette", "runs/none", "x"], "runs/none"),
    ],
)
def test_a_mistake_gets_one_message(cli: Cli, words: list[str], said: str) -> None:
    code, out, err = cli(*words)
    assert code == 2
    assert said in err
    assert "Traceback" not in out + err
    assert not Path("runs").exists()


def test_a_key_that_is_missing(cli: Cli) -> None:
    code, _, err = cli("compile", "--task", "triage", "--lm", "openai/gpt-4.1-mini")
    assert code == ModelUnavailable.exit_code == 7
    assert "OPENAI_API_KEY" in err


def test_a_model_that_the_server_does_not_have(cli: Cli, paint: list[str], server: tests_support.OpenAIServer) -> None:
    server.script = [tests_support.error(404, message="The model 'painter' does not exist", code="model_not_found")]
    code, _, err = cli("compile", *paint)
    assert code == 7
    assert "painter" in err


def test_a_model_that_nobody_can_read(cli: Cli, paint: list[str], server: tests_support.OpenAIServer) -> None:
    server.script = [tests_support.answer("I would rather not say.")]
    code, _, err = cli("compile", *paint)
    assert code == 2
    assert "answers in no form that the adapter can read" in err


def test_a_changed_byte_is_named(cli: Cli, paint: list[str]) -> None:
    assert cli("compile", *paint, "--optimizer", "zero-shot", "--run", "zero")[0] == 0
    file = Path("runs/zero/program.json")
    file.write_bytes(file.read_bytes().replace(b"colour", b"color ", 1))
    code, _, err = cli("verify", "runs/zero")
    assert code == Damaged.exit_code == 5
    assert "runs/zero/program.json has changed since the run ended" in err


def test_a_run_of_a_newer_format(cli: Cli, paint: list[str]) -> None:
    assert cli("compile", *paint, "--optimizer", "zero-shot", "--run", "zero")[0] == 0
    manifest = Path("runs/zero/manifest.json")
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))
    for words in (["verify", "runs/zero"], ["compile", *paint, "--optimizer", "zero-shot", "--run", "zero"]):
        code, _, err = cli(*words)
        assert code == 5
        assert "has run format 99, and this dstill reads up to 1: update dstill" in err


def test_another_configuration_in_the_same_place(cli: Cli, paint: list[str]) -> None:
    assert cli("compile", *paint, "--optimizer", "zero-shot", "--run", "one")[0] == 0
    before = Path("runs/one/program.json").read_bytes()
    code, _, err = cli("compile", *paint, "--optimizer", "k-shot", "--run", "one")
    assert code == 2
    assert "another configuration" in err
    assert "--replace" in err
    assert Path("runs/one/program.json").read_bytes() == before
    assert cli("verify", "runs/one")[0] == 0
    assert cli("compile", *paint, "--optimizer", "k-shot", "--run", "one", "--replace")[0] == 0


def test_a_key_is_nowhere_to_be_found(
    cli: Cli, server: tests_support.OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-very-secret-0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    server.script = [fakes.painting]
    code, out, err = cli("run", recipe(tmp_path, server.url))
    assert code == 0
    assert server.headers[0]["Authorization"] == f"Bearer {key}"
    server.script = [tests_support.error(401, message=f"Incorrect API key provided: {key}")]
    code, more, errors = cli("run", recipe(tmp_path, server.url, args="{train = 41}"), "--replace")
    assert code == 7
    assert "Incorrect API key" in errors
    for text in [
        out,
        err,
        more,
        errors,
        *(p.read_bytes().decode("latin-1") for p in tmp_path.rglob("*") if p.is_file()),
    ]:
        assert key not in text
        assert key[6:] not in text


def test_doctor_says_what_is_there_and_what_to_do(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = cli("doctor")
    assert code in (0, 1)
    assert "dspy 3.4" in out
    assert "export OPENAI_API_KEY=..." in out
    monkeypatch.setenv("OPENAI_API_KEY", "sk-123")
    _, out, _ = cli("doctor")
    assert "export OPENAI_API_KEY=..." not in out
    assert "sk-123" not in out


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dstill.cli", *words], cwd=folder, text=True,
        env={**os.environ, "PYTHONPATH": SUPPORT}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def slowly(handler: Any, body: dict[str, Any]) -> None:
    time.sleep(0.1)
    fakes.painting(handler, body)


def test_ctrl_c_keeps_what_is_paid_for(server: tests_support.OpenAIServer, tmp_path: Path) -> None:
    server.script = [slowly]
    words = ("run", str(recipe(tmp_path, server.url, tail=["[eval]", 'split = "dev"'])))
    with start(tmp_path, *words) as first:
        wait_for(lambda: len(server.requests) > 40)
        first.send_signal(signal.SIGINT)
        _, err = first.communicate(timeout=60)
    assert first.returncode == 130
    assert "interrupted; run the same command again" in err
    assert "Traceback" not in err
    server.script = [fakes.painting]
    with start(tmp_path, *words) as second:
        _, err = second.communicate(timeout=120)
    assert second.returncode == 0, err
    prompts = [json.dumps(body["messages"]) for body in server.requests]
    in_flight = 32  # may have been sent and not answered when it was interrupted
    assert len(prompts) - len(set(prompts)) <= in_flight


def test_two_processes_on_one_run_directory(server: tests_support.OpenAIServer, tmp_path: Path) -> None:
    go = threading.Event()

    def held(handler: Any, body: dict[str, Any]) -> None:
        go.wait(60)
        fakes.painting(handler, body)

    server.script = [held]
    words = ("run", str(recipe(tmp_path, server.url)))
    with start(tmp_path, *words) as first:
        wait_for(lambda: len(server.requests) > 0)
        with start(tmp_path, *words) as second:
            _, err = second.communicate(timeout=60)
            go.set()
        assert second.returncode == 4
        assert "another process is working on runs/small" in err
        _, err = first.communicate(timeout=120)
    assert first.returncode == 0, err


def test_a_full_disk(server: tests_support.OpenAIServer, tmp_path: Path) -> None:
    """The limit of a file's size stands in for the disk's: writes fail in the same place."""
    server.script = [fakes.painting]
    words = ["run", str(recipe(tmp_path, server.url))]
    limited = (
        "import resource, signal, sys\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, 90_000))\n"
        f"sys.argv = ['dstill', *{words!r}]\nfrom dstill.cli import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited], cwd=tmp_path, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": SUPPORT}, check=False,
    )  # fmt: skip
    assert done.returncode == 8, done.stderr
    assert "journal" in done.stderr
    assert "Traceback" not in done.stderr
    paid = len(server.requests)
    with start(tmp_path, *words) as again:
        _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    prompts = [json.dumps(body["messages"]) for body in server.requests]
    assert paid < len(prompts)
    assert len(prompts) - len(set(prompts)) <= 32


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
