"""The pages stay true: commands and options exist, code compiles, names are there, recipes are accepted, links lead."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from dstill.optimizers.config import NAMES
from dstill.runtime import errors

import dstill
from dstill.boards import DEFAULT, WithDefault, boards
from dstill.cli import app
from dstill.recipe import check_recipe

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
RECIPES = sorted((ROOT / "docs").glob("*.toml"))
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
TARGETS = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)


def blocks(kind: str) -> list[tuple[str, str]]:
    """(page and number, text) of every fenced block of a kind."""
    found = []
    for page in PAGES:
        texts = re.findall(rf"```{kind}\n(.*?)```", page.read_text(), re.S)
        found += [(f"{page.name}-{number}", text) for number, text in enumerate(texts)]
    return found


def words() -> Iterator[tuple[str, str]]:
    """(page, command) of every command line: lines of ``sh`` blocks, and code spans that begin like one."""
    for place, text in blocks("sh"):
        for line in text.splitlines():
            yield place, line.split("  #")[0].strip()
    for page in PAGES:
        for span in re.findall(r"`((?:dstill|make) [^`]+)`", re.sub(r"```.*?```", "", page.read_text(), flags=re.S)):
            yield page.name, span


def cases(found: list[tuple[str, str]]) -> list[object]:
    return [pytest.param(text, id=place) for place, text in found]


def test_there_is_something_to_check() -> None:
    assert {page.name for page in PAGES} >= {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "guide.md", "runs.md"}
    assert len(blocks("python")) >= 4
    assert sum(command.startswith("dstill ") for _, command in words()) >= 15


@pytest.mark.parametrize("line", cases([(p, c) for p, c in words() if c.startswith("dstill ")]))
def test_a_command_and_its_options_exist(line: str) -> None:
    _, name, *rest = shlex.split(line)
    assert name in COMMANDS
    whole = len(rest) > 0 and not any(word.rstrip(".") in ("RUN", "NAME", "FOLDER", "") for word in rest)
    command = COMMANDS[name]
    if isinstance(command, WithDefault):
        command = command.commands[rest.pop(0) if rest and rest[0] in command.commands else DEFAULT]
    if whole and rest:
        command.make_context(name, list(rest))  # raises for options and arguments that it does not take


@pytest.mark.parametrize("line", cases([(p, c) for p, c in words() if c.startswith("make ")]))
def test_a_target_exists(line: str) -> None:
    assert line.split()[1] in TARGETS


@pytest.mark.parametrize("text", cases(blocks("python")))
def test_code_compiles_and_its_names_exist(text: str) -> None:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module is not None
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.import_module(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Attribute):
            found = dotted(node)
            if found is not None and found[0] in ("dstill", "dspy"):
                value = importlib.import_module(found[0])
                for part in found[1:]:
                    value = getattr(value, part)
    compile(tree, "page", "exec")


def dotted(node: ast.expr) -> list[str] | None:
    """``a.b.c`` as its parts."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return None if base is None else [*base, node.attr]
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_in_the_text_exist(page: Path) -> None:
    for name in re.findall(r"`dstill\.(\w+)", page.read_text()):
        assert hasattr(dstill, name) or importlib.import_module(f"dstill.{name}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_in_the_text_exist(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    paths = re.findall(r"`((?:runtime|programs|eval|optimizers|distill|dstill|tests|benchmarks|docs)/[\w/.]*)`", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing + [path for path in paths if not (ROOT / path).exists()]


@pytest.mark.parametrize("text", cases([*blocks("toml"), *((path.name, path.read_text()) for path in RECIPES)]))
def test_a_recipe_is_accepted(text: str) -> None:
    assert check_recipe(tomllib.loads(text))


def test_every_command_optimizer_and_exit_code_is_explained() -> None:
    text = {page.name: page.read_text() for page in PAGES}
    assert all(f"dstill {name}" in "".join(text.values()) for name in COMMANDS)
    parts = typer.main.get_command(boards).commands  # type: ignore[attr-defined]
    assert all(f"dstill leaderboard {name}" in text["leaderboards.md"] for name in parts if name != DEFAULT)
    assert all(f"| `{name}` |" in text["guide.md"] for name in NAMES)
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")]
    assert all(f"| {kind.exit_code} |" in text["runs.md"] for kind in kinds)


def test_students_are_exported_as_what_their_kind_can_be_written_as() -> None:
    fits = {"embedded:encoder": {"hf", "onnx", "onnx-int8"}, "embedded:small": {"hf", "gguf", "gguf-q8"}}
    found = re.findall(
        r"""export_student\("runs/([^/"]+)/students/[^"]+", "([^"]+)\"""", "".join(map(Path.read_text, PAGES))
    )
    commands = [shlex.split(command) for _, command in words() if command.startswith("dstill distill ")]
    assert len(found) >= 2
    for run, form in found:
        named = {line[line.index("--student") + 1] for line in commands if "--run" in line and line[-1] == run}
        assert named and all(form in fits[student] for student in named), (run, form, named)
