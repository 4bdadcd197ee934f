"""Recipes: what is wrong is said with its place and what would be accepted; a whole run with students in it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import fakes
import orjson
import pytest
import tests_support
from dstill.optimizers import Dspy, FewShot, Optimizer, Race, ZeroShot
from dstill.optimizers.config import dump
from dstill.runtime.errors import BadInput, CassetteMiss, ModelUnavailable
from dstill.runtime.rundir import verify

import dstill
from dstill.options import pairs
from dstill.recipe import check_recipe, read_recipe
from dstill.replaying import optimizer_from, replay_run

GOOD = """
name = "demo"
[task]
name = "triage"
[lm]
model = "embedded"
[[compile]]
name = "zero"
optimizer = "zero-shot"
[[compile]]
name = "raced"
budget = { calls = 100 }
[[distill]]
name = "small"
student = "embedded:small"
recipe = "sft"
options = { epochs = 2 }
[[alternate]]
name = "both"
student = "embedded:small"
prompts = { candidates = 8 }
weights = { lr = 1e-4 }
"""


def test_a_good_recipe() -> None:
    made = check_recipe(tomllib.loads(GOOD))
    assert [step.optimizer for step in made.compile] == ["zero-shot", "race"]
    assert made.distill[0].margin == 0.01
    assert made.eval.split == "test"
    how: Any = made.alternate[0].how()
    assert (how.optimizer.candidates, how.recipe.name, how.recipe.stages[2].training.lr) == (8, "prompted", 1e-4)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "demo"', 'name = "demo"\nsed = 1', "unknown key sed; expected one of: name, seed"),
        ('model = "embedded"', 'model = "embedded"\nkey = "x"', "unknown key lm.key; expected one of: model, base_url"),
        (
            'model = "embedded"',
            'model = "embedded"\nmedia_tokens = -1',
            "lm.media_tokens = -1: input should be greater",
        ),
        ("calls = 100", "call = 100", r"unknown key compile.1.budget.call; expected one of: calls, tokens, usd"),
        ("calls = 100", 'calls = "100"', "compile.1.budget.calls = '100': input should be a valid integer"),
        ("calls = 100", "calls = -1", "raced.*-1"),
        ('[task]\nname = "triage"', "", "task is missing"),
        ("[[compile]]", "[[other]]", "compile is missing"),
        ('name = "raced"', 'name = "zero"', "two systems are called 'zero'"),
        ('"zero-shot"', '"zeroshot"', r"compile\[0\] \(zero\).*'zeroshot' is not known; expected one of: zero-shot"),
        ('optimizer = "zero-shot"', 'optimizer = "k-shot"\noptions = { n = 2 }', r"compile\[0\] \(zero\).*n"),
        ('"sft"', '"stf"', r"distill\[0\] \(small\).*'stf' is not known; expected one of: sft"),
        ("epochs = 2", 'epochs = "two"', "epochs = 'two'; expected a number"),
        ("epochs = 2", "epoch = 2", "epoch"),
        ('recipe = "sft"', 'teacher = "none"', "teacher = 'none'; expected one of: zero, raced"),
        ('recipe = "sft"', "teacher = []", r"teacher = \[\]; expected one name or several, each once"),
        ('recipe = "sft"', 'teacher = ["zero", "zero"]', r"teacher = \['zero', 'zero'\]; expected one name or several"),
        ('recipe = "sft"', 'stages = [{ stage = "x" }]', r"stage 1: stage = 'x'; expected one of: collect"),
        ('[[compile]]\nname = "raced"', '[eval]\nsplit = "tset"\n[[compile]]\nname = "raced"', "eval.split = 'tset'"),
        (
            '[[compile]]\nname = "raced"',
            '[eval]\nsamples = 0\n[[compile]]\nname = "raced"',
            "eval: samples=0: expected",
        ),
        ("candidates = 8", "candidate = 8", r"alternate\[0\] \(both\): optimizer race takes no option 'candidate'"),
        ("lr = 1e-4", 'recipe = "x"', r"alternate\[0\] \(both\): recipe 'x' is not known; expected one of: sft"),
        ("prompts =", 'strategy = "p+w"\nprompts =', r"alternate\[0\] \(both\): strategy 'p\+w': expected p"),
        ("prompts =", "prompt =", "unknown key alternate.0.prompt; expected one of: name, student, strategy"),
        ('name = "both"', 'name = "raced"', "two systems are called 'raced'"),
        ('name = "demo"', 'name = "../demo"', "name = '../demo'; expected 1 to 100 printable signs"),
        ('name = "demo"', 'name = ".."', r"name = '\.\.'; expected"),
        ('name = "demo"', 'name = "demo"\nseed = -1', "seed = -1: input should be greater than or equal to 0"),
        ('name = "demo"', 'name = "demo"\nconcurrency = 0', "concurrency = 0: input should be greater"),
        ('name = "raced"', 'name = "eval-zero"', "'zero' and 'eval-zero'; each needs a name, and a folder eval-zero"),
        ('name = "raced"', 'name = "ze/ro"', "name = 'ze/ro'; expected"),
        ('recipe = "sft"', "margin = 1.5", "margin = 1.5; expected a share of the score"),
        ('recipe = "sft"', 'recipe = "sft"\nstages = [{ stage = "gate" }]', "both recipe and stages are given"),
        ('recipe = "sft"', 'stages = [{ stage = ["gate"] }]', r"stage 1: stage = \['gate'\]; expected one of"),
        ("epochs = 2", "lr = nan", r"lr=nan\): expected a number, more than 0"),
        ("epochs = 2", "lora = -1", r"Lora\(rank=-1.*expected rank and alpha of 1 or more"),
        ('"embedded:small"', '"embedded:huge"', r"distill\[0\] \(small\).*embedded:huge"),
        ('[[compile]]\nname = "raced"', '[eval]\nbaseline = "x"\n[[compile]]\nname = "raced"', "eval.baseline = 'x'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    path = tmp_path / "bad.toml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises((BadInput, ModelUnavailable), match=said) as error:
        read_recipe(path)
    assert str(path) in str(error.value)


def test_a_recipe_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "bom.toml").write_text(GOOD, "utf-8-sig")
    assert read_recipe(tmp_path / "bom.toml").name == "demo"


def test_what_is_no_recipe_at_all() -> None:
    with pytest.raises(BadInput, match=r"run\(recipe=None\): expected a TOML file's path"):
        dstill.run(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"name = ", "is not TOML: Invalid value"), (b"\xff\xfe", "is not TOML"), (b"", "name is missing")],
)
def test_a_file_that_is_no_recipe(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=said):
        read_recipe(path)
    with pytest.raises(BadInput, match="cannot read"):
        read_recipe(tmp_path)


def recipe(url: str, bases: dict[str, str]) -> dict[str, Any]:
    return {
        "name": "whole",
        "task": {"name": "fakes:task", "args": {"train": 48, "dev": 80, "test": 32}},
        "lm": {"model": "openai/painter", "base_url": url},
        "compile": [
            {"name": "zero", "optimizer": "zero-shot"},
            {"name": "raced", "options": {"candidates": 4, "instructions": 0}, "budget": {"calls": 400}},
        ],
        "distill": [
            {"name": "writer", "student": bases["causal"], "options": {"epochs": 1, "checkpoint": 2, "batch": 8}},
            {"name": "reader", "student": bases["encoder"], "recipe": "labels", "options": {"epochs": 1}},
        ],
        "alternate": [{
            "name": "both", "student": bases["causal"], "prompts": {"candidates": 4, "instructions": 0},
            "weights": {"epochs": 1, "batch": 8}, "budget": {"calls": 900},
        }],
    }  # fmt: skip


def test_a_whole_run_with_students(
    server: tests_support.OpenAIServer, tmp_path: Path, bases: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server.script = [fakes.painting]
    tables = recipe(server.url, bases)
    told: list[str] = []
    done = dstill.run(tables, folder="whole", say=told.append)
    assert done.stopped is None
    assert done.board is not None
    assert {entry.report.system for entry in done.board.entries} == {"zero", "raced", "writer", "reader", "both"}
    assert "writer: self held back on dev" in str(done.board)
    assert any(line.startswith("distill reader") for line in told)
    assert any(line.startswith("  2-weights: self: held back") for line in told)
    assert not verify(done.folder)
    assert not [problem for part in done.folder.glob("*/manifest.json") for problem in verify(part.parent)]

    paid = len(server.requests)
    before = {p: p.read_bytes() for name in ("program.json", "report.json") for p in done.folder.rglob(name)}
    again = dstill.run(tables, folder="whole")
    assert len(server.requests) == paid
    assert {p: p.read_bytes() for p in before} == before
    assert again.board is not None
    assert str(again.board) == str(done.board)

    for retrain in (False, True):
        found = replay_run(done.folder, retrain=retrain)
        assert found.different == []
        assert len(found.same) >= 9
    assert len(server.requests) == paid

    program = dstill.load(done.folder / "reader")
    assert program(text="thing number 3").colour in fakes.COLOURS

    (done.folder / "raced" / "report.json").write_bytes(b"{}")
    assert replay_run(done.folder).different == ["raced/report.json"]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ({"distill": [{"name": "d", "recipe": "labels"}]}, "d: .* cannot be trained as a SequenceClassification"),
        ({"distill": [{"name": "d", "recipe": "step-by-step"}]}, "d: step-by-step needs rationales"),
        ({"alternate": [{"name": "a", "weights": {"recipe": "labels"}}]}, "a: .* cannot be trained as a Sequence"),
    ],
)
def test_students_that_cannot_be_trained_are_refused_before_anything_is_compiled(
    server: tests_support.OpenAIServer, tmp_path: Path, bases: dict[str, str], steps: dict[str, Any], said: str
) -> None:
    server.script = [fakes.painting]
    for step in (one for table in steps.values() for one in table):
        step["student"] = bases["causal"]
    tables = recipe(server.url, bases) | {"distill": [], "alternate": []} | steps
    with pytest.raises((BadInput, ModelUnavailable), match=said):
        dstill.run(tables, folder=tmp_path / "whole")
    assert not server.requests and not (tmp_path / "whole").exists()


def test_a_recipe_file_that_changed_is_another_run_and_the_finished_one_stays(
    server: tests_support.OpenAIServer, tmp_path: Path, bases: dict[str, str]
) -> None:
    server.script = [fakes.painting]
    file = tmp_path / "mine.toml"
    file.write_text('[[stages]]\nstage = "collect"\n[[stages]]\nstage = "train-encoder"\nepochs = 1\n')
    tables = recipe(server.url, bases) | {"alternate": []}
    tables["compile"] = tables["compile"][:1]
    tables["distill"] = [{"name": "d", "student": bases["encoder"], "recipe": str(file)}]
    done = dstill.run(tables, folder=tmp_path / "whole")
    file.write_text(file.read_text().replace("epochs = 1", "epochs = 2"))
    with pytest.raises(BadInput, match=r"students\.d\.stages.*epochs: 1.0 became 2.0"):
        dstill.run(tables, folder=tmp_path / "whole")
    assert verify(done.folder) == []


@pytest.mark.parametrize(
    "how",
    [
        ZeroShot(),
        FewShot(3),
        Race(candidates=9, confirm=0.5),
        Dspy("COPRO", {"breadth": 3}, confirm=0.5),
        Dspy("MIPROv2", {"auto": None, "teacher_settings": {"rollout_id": 3, "stop": ["x"]}}),
    ],
)
def test_a_replay_has_the_optimizer_of_the_run(how: Optimizer) -> None:
    assert optimizer_from(orjson.loads(orjson.dumps(dump(how)))) == how


def test_an_option_that_no_file_can_hold_is_not_made_up() -> None:
    written = orjson.loads(orjson.dumps(dump(Dspy("GEPA", {"instruction_proposer": print, "auto": "light"}))))
    with pytest.raises(BadInput, match="dspy:GEPA was given instruction_proposer, which no file can hold"):
        optimizer_from(written)


def test_values_of_the_command_line_are_those_of_toml_and_null() -> None:
    said = pairs(["auto=null", "num_trials=5", "names=['a']", "mode=light"], "--set")
    assert said == {"auto": None, "num_trials": 5, "names": ["a"], "mode": "light"}


def test_several_answers_to_examples_that_stand_together(server: tests_support.OpenAIServer, tmp_path: Path) -> None:
    server.script = [fakes.painting]
    tables = recipe(server.url, {"causal": "", "encoder": ""}) | {"distill": [], "alternate": []}
    tables["compile"] = tables["compile"][:1]
    tables["eval"] = {"samples": 2, "temperature": 0.7, "cluster": "colour"}
    done = dstill.run(tables, folder=tmp_path / "whole")
    assert done.board is not None
    assert len(server.requests) == 2 * 32
    assert [row.cluster for row in done.board.entries[0].report.rows[:2]] == ["red", "black"]
    assert "32 examples in 4 clusters" in str(done.board)
    assert "2 answers to each example at temperature 0.7" in str(done.board)
    assert replay_run(done.folder).different == []


@pytest.mark.parametrize("lost", [0, 2], ids=["", "lost"])
@pytest.mark.parametrize("cap", [{"calls": 40}, {"calls": 190}, {"tokens": 30_000}, {"usd": 0.02}])
def test_a_run_that_its_budget_ended_is_replayed_too(
    server: tests_support.OpenAIServer, tmp_path: Path, bases: dict[str, str], cap: dict[str, Any], lost: int
) -> None:
    """Also where attempts that brought no answer had a part in it."""
    server.script = [*[tests_support.cut] * lost, fakes.painting]
    tables = recipe(server.url, bases) | {"distill": [], "alternate": [], "budget": cap}
    tables["lm"]["prices"] = [1.0, 2.0]
    tables["compile"][1] |= {"options": {"candidates": 8, "instructions": 0}, "budget": None}
    done = dstill.run(tables, folder=tmp_path / "whole")
    assert done.stopped is not None
    paid = len(server.requests)
    found = replay_run(done.folder)
    assert found.different == []
    assert found.same
    assert len(server.requests) == paid


def test_a_replay_asks_nobody(
    server: tests_support.OpenAIServer, tmp_path: Path, bases: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cassette without a call that the run needs is an error, not a call."""
    from dstill.runtime.cassette import load
    from dstill.runtime.session import Session

    monkeypatch.chdir(tmp_path)
    server.script = [fakes.painting]
    tables = recipe(server.url, bases) | {"distill": [], "alternate": []}
    done = dstill.run(tables, folder="whole")
    paid = len(server.requests)
    journal, replay = load(done.folder / "cassette.jsonl.zst")
    smaller = dstill.Journal()
    for entry in list(journal.entries())[1:]:
        smaller.put(entry, {})
    with pytest.raises(CassetteMiss):
        dstill.run(tables, folder=tmp_path / "again", journal=smaller, replay=replay)
    assert len(server.requests) == paid
    assert Session(journal, replay=replay).replay is replay


def test_a_replay_knows_how_large_a_local_model_was(tmp_path: Path) -> None:
    from dstill.runtime import LM, Session
    from dstill.runtime.cassette import export, load
    from dstill.runtime.models import lm_for

    task, session = fakes.task(), Session()
    engine = fakes.painter(name="openai/painter")
    engine.parameters = 12345  # type: ignore[attr-defined]
    report = dstill.evaluate(task.program, task.dev, task.metric, LM(engine, session))
    export(session, tmp_path / "cassette.jsonl.zst")
    journal, replay = load(tmp_path / "cassette.jsonl.zst")
    closed = lm_for("openai/painter", Session(journal, replay=replay))
    again = dstill.evaluate(task.program, task.dev, task.metric, closed)
    assert again.parameters == report.parameters == 12345
    assert again.dump() == report.dump()


def test_a_run_of_the_face_in_json(server: tests_support.OpenAIServer, tmp_path: Path, bases: dict[str, str]) -> None:
    """What a run leaves is plain JSON that other tools can read."""
    server.script = [fakes.painting]
    done = dstill.run(recipe(server.url, bases) | {"distill": [], "alternate": []}, folder=tmp_path / "whole")
    report = orjson.loads((done.folder / "eval-zero" / "report.json").read_bytes())
    assert report["n"] == 32
    manifest = orjson.loads((done.folder / "manifest.json").read_bytes())
    assert manifest["kind"] == "run"
    assert {"leaderboard.html", "leaderboard.json", "leaderboard.md", "cassette.jsonl.zst"} <= set(manifest["files"])
    assert done.board is not None and done.board.examples is not None
    assert done.board.examples[0]["text"].startswith("thing number") and "thing number" in done.board.html()
    kept = (done.folder / "eval-zero" / "examples.jsonl").read_text().splitlines()
    assert [orjson.loads(line)["text"] for line in kept] == [example["text"] for example in done.board.examples]
    trials = [orjson.loads(line) for line in (done.folder / "raced" / "trials.jsonl").read_text().splitlines()]
    assert trials[0]["decision"]
