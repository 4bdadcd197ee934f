"""The room of statistics: what is public can be read off, is documented, and takes few arguments."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import dstill.eval.statistics as room
import pytest

FOLDER = Path(__file__).parents[3] / "eval" / "statistics"
ALIASES = [
    a for n in ast.parse((FOLDER / "__init__.py").read_text()).body if isinstance(n, ast.ImportFrom) for a in n.names
]
FILES = sorted(path for path in FOLDER.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("alias", ALIASES, ids=lambda alias: alias.name)
def test_a_public_name_is_there_documented_and_takes_nine_arguments_at_most(alias: ast.alias) -> None:
    assert alias.asname == alias.name
    found = getattr(room, alias.name)
    assert inspect.getdoc(found)
    if inspect.isfunction(found):
        assert len(inspect.signature(found).parameters) <= 9


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_functions_are_short_and_documented_and_each_file_gives_something_away(path: Path) -> None:
    tree = ast.parse(path.read_text())
    public = {alias.name for alias in ALIASES}
    names = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    assert public & {node.name for node in names}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None and node.end_lineno - node.lineno < 60, node.name
    assert all(ast.get_docstring(node) for node in names if not node.name.startswith("_"))
