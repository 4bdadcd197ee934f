"""What a user may get wrong: one message, an exit code, no traceback, and earlier work as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
import tests_support
from commands import Cli, recipe
from dstill.runtime.errors import Damaged, ModelUnavailable

import dstill


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "none.toml"], "there is no recipe none.toml"),
        (["compile", "--task", "triag", "--lm", "embedded"], "task 'triag' is not known; expected one of triage"),
        (["compile", "--task", "triage", "--lm", "nothing"], "model 'nothing' is not known; expected: embedded"),
        (["compile", "--task", "triage", "--lm", "a/b"], "for weights on this machine write local:a/b"),
        (["compile", "--task", "triage", "--lm", "embedded", "--optimizer", "racy"], "expected one of: zero-shot"),
        (["compile", "--task", "triage", "--lm", "embedded", "--optimizer", "dspy:MIPRO2"], "MIPROv2"),
        (
            ["compile", "--task", "triage", "--lm", "embedded", "--set", "candidats=3"],
            "no option 'candidats'; it takes: c",
        ),
        (
            ["compile", "--task", "triage", "--lm", "embedded", "--set", "candidates=all"],
            "Race(candidates='all'): expected",
        ),
        (["compile", "--task", "triage", "--lm", "embedded", "--calls", "-1"], "expected"),
        (["compile", "--task", "triage", "--lm", "embedded", "--task-arg", "train"], "expected key=value"),
        (["compile", "--task", "triage", "--lm", "embedded", "--task-arg", "trin=3"], "it takes: train, dev, test"),
        (["compile", "--task", "triage", "--lm", "embedded", "--task-arg", "train=abc"], "train='abc'"),
        (["compile", "--task", ":x", "--lm", "embedded"], "task ':x' is not known"),
        (["compile", "--task", "broken:task", "--lm", "embedded"], "importing broken raised SyntaxError"),
        (["compile", "--task", "raising:task", "--lm", "embedded"], "importing raising raised ZeroDivisionError"),
        (["compile", "--task", "fakes:truth", "--task-arg", "text=x", "--lm", "embedded"], "raised ValueError"),
        (["compile", "--task", "triage", "--lm", ""], "model '' is no name; expected: embedded"),
        (["compile", "--task", "triage", "--lm", "openai/"], "model 'openai/' is no name"),
        (["compile", "--task", "triage", "--lm", "a", "--base-url", "http://h/v1?key=abc"], "without credentials or"),
        (["compile", "--task", "triage", "--lm", "embedded", "--run", ".."], "expected a name"),
        (["eval", "runs/none"], "holds no run"),
        (["distill", "runs/none", "--student", "x"], "holds no run"),
        (
            ["alternate", "--task", "triage", "--lm", "embedded", "--student", "embedded:small", "--search", "sets=3"],
            "optimizer race takes no option 'sets'; it takes: candidates",
        ),
        (
            ["alternate", "--task", "triage", "--lm", "embedded", "--student", "embedded:small", "--strategy", "p, w"],
            "strategy 'p, w': expected p (prompts) and w (weights) in turn, such as 'p -> w -> p'",
        ),
        (["replay", "runs/none"], "does not exist"),
        (["verify", "runs/none"], "does not exist"),
        (["leaderboard", "runs/none"], "runs/none"),
        (["export-cassette", "runs/none", "x"], "runs/none"),
    ],
)
def test_a_mistake_gets_one_message(cli: Cli, words: list[str], said: str) -> None:
    Path("broken.py").write_text("def task(:")
    Path("raising.py").write_text("1 / 0")
    code, out, err = cli(*words)
    assert code == 2
    assert "key=abc" not in err
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


def test_runs_of_another_kind(cli: Cli, paint: list[str]) -> None:
    assert cli("compile", *paint, "--optimizer", "zero-shot", "--run", "runs/all/zero")[0] == 0
    assert cli("eval", "runs/all/zero")[0] == 0
    for words, said in [
        (["leaderboard", "runs/all/zero"], "rows.jsonl is missing (make one: dstill eval runs/all/zero)"),
        (
            ["distill", "runs/all/zero-test", "--student", "embedded:encoder"],
            "is a run of kind eval: expected one of compile, distill or alternate",
        ),
        (["eval", "runs/all/zero-test", "--split", "dev"], "--split dev: runs/all/zero-test is a finished evaluation"),
        (["replay", "runs/all/zero-test"], "runs of kind run, compile, distill, alternate can be replayed"),
        (["distill", "runs/all/zero", "--student", "embedded:encoder"], "labels, soft-labels and gold train encoders"),
        (["distill", "runs/all/zero", "--student", "embedded:small", "--devices", "999"], "devices = 999: this"),
    ]:
        code, _, err = cli(*words)
        assert code in (2, 7)
        assert said in err
    Path("runs/all/config.json").write_text('{"kind": "run"}')
    assert "such as runs/all/zero" in cli("eval", "runs/all")[2]


def test_a_changed_program_is_not_used(cli: Cli, paint: list[str]) -> None:
    assert cli("compile", *paint, "--optimizer", "zero-shot", "--run", "zero")[0] == 0
    file = Path("runs/zero/program.json")
    file.write_bytes(file.read_bytes().replace(b"Name the colour", b"Name no colour!", 1))
    code, _, err = cli("eval", "runs/zero")
    assert code == 5
    assert "program.json has changed" in err


def test_what_nobody_foresaw_is_one_line_too(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("sk-secret-0123456789 fell over")

    monkeypatch.setattr("dstill.running.run_recipe", broken)
    Path("r.toml").write_text(
        'name = "r"\ntask.name = "triage"\nlm.model = "embedded"\n[[compile]]\nname = "z"\noptimizer = "zero-shot"'
    )
    code, _, err = cli("run", "r.toml")
    assert code == 1
    assert err.startswith("dstill: RuntimeError: [key] fell over (")
    assert err.count("\n") == 1
    monkeypatch.setenv("DSTILL_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        cli("run", "r.toml")


def test_a_key_given_in_code_is_not_said_either(server: tests_support.OpenAIServer, tmp_path: Path) -> None:
    key = "hushhush"
    server.script = [tests_support.error(401, message=f"Incorrect API key provided: {key}")]
    task = fakes.task()
    model = dspy.LM("openai/painter", api_base=server.url, api_key=key)
    with pytest.raises(ModelUnavailable) as error:
        dstill.compile(task, model, "bootstrap", run=tmp_path / "r")
    assert server.headers[0]["Authorization"] == f"Bearer {key}"
    assert "Incorrect API key provided: [key]" in str(error.value)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and key.encode() in p.read_bytes()]


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
