"""The house: imports run one way, heavy ones are late, public names are the documented ones."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import dstill

ROOT = Path(__file__).parents[2]
ROOMS = ["runtime", "programs", "eval", "optimizers", "distill", "dstill"]
"""From the ground up; each is built on those before it."""

HEAVY = {"torch", "transformers", "peft", "optuna", "litellm", "scipy", "numpy", "dspy", "jinja2", "pandas", "pyarrow"}


def modules() -> Iterator[tuple[str, Path]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield room, path


def imported_rooms(room: str, path: Path) -> Iterator[tuple[int, str]]:
    """The rooms that a module imports from, with the line, wherever in the module the import stands."""
    inside = ["dstill"] if room == "dstill" else ["dstill", room]
    package = [*inside, *path.relative_to(ROOT / room).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = base + (node.module.split(".") if node.module else [])
            names = [[*target, alias.name] for alias in node.names] if len(target) == 1 else [target]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        else:
            continue
        for name in names:
            if name[0] == "dstill":
                yield node.lineno, name[1] if len(name) > 1 and name[1] in ROOMS else "dstill"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_those_below_it(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {other}"
        for home, path in modules()
        if home == room
        for line, other in imported_rooms(home, path)
        if ROOMS.index(other) > ROOMS.index(room)
    ]
    assert not wrong


def parts_imported(room: str) -> dict[str, set[str]]:
    """Which parts of a room (its folders, and its files outside of them) each of them imports from.

    What only types need is left out, and ``x_view``, by which ``x`` shows itself when asked.
    """
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / room).rglob("*.py")):
        relative = path.relative_to(ROOT / room)
        part = relative.parts[0].removesuffix(".py")
        package, tree = [room, *relative.parent.parts], ast.parse(path.read_text())
        for_types = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
        left_out = {id(inner) for outer in for_types for inner in ast.walk(outer)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level and id(node) not in left_out:
                base = package[: len(package) - node.level + 1]
                more = node.module.split(".") if node.module else []
                for alias in node.names:
                    name = [*base, *more, alias.name]
                    if name[:1] == [room] and name[1] not in (part, f"{part}_view"):
                        found.setdefault(part, set()).add(name[1])
    return found


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """Nodes that are on or between circles; none where there is an order that all edges follow."""
    left = {node: set(others) for node, others in graph.items()}
    while ends := [node for node, others in left.items() if not others & left.keys()]:
        for node in ends:
            del left[node]
    return sorted(left)


@pytest.mark.parametrize("room", ROOMS)
def test_the_parts_of_a_room_import_each_other_in_no_circle(room: str) -> None:
    assert not circle_in(parts_imported(room))


def test_the_circle_test_sees_a_circle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    folder = tmp_path / "distill" / "stages"
    folder.mkdir(parents=True)
    (folder / "gate.py").write_text("def f():\n    from ..state import State\n    from .. import recipes\n")
    (folder.parent / "state.py").write_text("from .similar import near\n")
    (folder.parent / "similar.py").write_text("if TYPE_CHECKING:\n    from .stages.gate import Gate\n")
    (folder.parent / "recipes.py").write_text("from .stages import Gate\n")
    assert parts_imported("distill")["stages"] == {"state", "recipes"}
    assert circle_in(parts_imported("distill")) == ["recipes", "stages"]


def test_the_layers_test_sees_a_wrong_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / "runtime" / "engines" / "bad.py"
    path.parent.mkdir(parents=True)
    path.write_text("def f():\n    from ...eval.report import Report\n    from ... import optimizers\n")
    assert list(imported_rooms("runtime", path)) == [(2, "eval"), (3, "optimizers")]


def test_only_one_file_touches_the_insides_of_dspy() -> None:
    wrong = []
    others = [path for _, path in modules() if path.stem != "internals"]
    for path in others:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dspy."):
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                wrong += [f"{path}:{node.lineno} {name}" for name in names if name.startswith("_")]
    assert not wrong


@pytest.mark.parametrize("what", ["import dstill", "import dstill.cli", "import dstill; dir(dstill)"])
def test_importing_costs_nothing(what: str) -> None:
    code = f"{what}\nimport sys\nprint(*[m for m in sys.modules if '.' not in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_importing_what_needs_no_model_leaves_torch_alone() -> None:
    code = "import dstill, sys\nfor n in dstill.__all__:\n    getattr(dstill, n)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "peft", "litellm", "optuna"} & set(done.stdout.split())


@pytest.mark.parametrize("name", dstill.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    found = getattr(dstill, name)
    assert inspect.getdoc(found)
    if inspect.isclass(found) or inspect.isfunction(found):
        assert found.__module__.startswith("dstill.")


def test_the_public_names_are_exactly_those_of_the_facade() -> None:
    """What type checkers see, what ``__getattr__`` knows, ``__all__`` and ``dir`` are one list."""
    tree = ast.parse((ROOT / "dstill" / "__init__.py").read_text())
    block = next(n for n in tree.body if isinstance(n, ast.If))
    seen = {a.asname: (n.module, a.name) for n in block.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert sorted(seen) == sorted(dstill.__all__)
    assert sorted(dir(dstill)) == sorted([*dstill.__all__, "__version__"])
    packages = {"distill": import_module("dstill.distill"), "metrics": import_module("dstill.programs.metrics")}
    for public, (module, name) in seen.items():
        home = getattr(import_module(f"dstill.{module}"), name)
        assert getattr(dstill, public) is packages.get(public, home)
    with pytest.raises(AttributeError, match="no attribute 'compyle'"):
        dstill.compyle  # noqa: B018


@pytest.mark.parametrize("room", ROOMS[:-1])
def test_a_rooms_facade_is_explicit(room: str) -> None:
    """``from .x import X as X`` and nothing else, so that what is public can be read off."""
    tree = ast.parse((ROOT / room / "__init__.py").read_text())
    aliases = [a for n in tree.body if isinstance(n, ast.ImportFrom) and n.level for a in n.names]
    assert aliases
    assert all(alias.asname == alias.name for alias in aliases)
    found = import_module(f"dstill.{room}")
    for alias in aliases:
        public = getattr(found, alias.name)
        if inspect.isclass(public) or inspect.isfunction(public):
            assert inspect.getdoc(public), alias.name


def test_public_calls_take_nine_arguments_at_most() -> None:
    for name in dstill.__all__:
        found = getattr(dstill, name)
        if inspect.isfunction(found):
            assert len(inspect.signature(found).parameters) <= 9, name


@pytest.mark.parametrize("path", [p for _, p in modules()], ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_holds_one_idea(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300
    assert ast.get_docstring(ast.parse(path.read_text())) or not path.read_text().strip()
