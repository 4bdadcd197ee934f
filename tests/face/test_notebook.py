"""The notebook, executed from top to bottom in a kernel of its own: every cell runs, on the embedded model."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"
EXECUTE = "from nbclient.cli import main; main()"


@pytest.fixture
def executed(tmp_path: Path) -> Any:
    """The notebook with its outputs; an error in a cell is an error here."""
    shutil.copy(NOTEBOOK, tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, "--timeout=300", "--output=executed", NOTEBOOK.name],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return nbformat.read(tmp_path / "executed.ipynb", as_version=4)


def test_every_cell_runs_and_shows_what_it_should(executed: Any, tmp_path: Path) -> None:
    outputs = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    pages = [str(output.data["text/html"]) for output in outputs if "text/html" in output.get("data", {})]
    for word in ("Task boxes", "compiled", "students shipped", "srcdoc"):
        assert any(word in page for page in pages), word
    with sqlite3.connect(tmp_path / "runs" / "journal.sqlite") as journal:
        (calls,) = journal.execute("SELECT count(*) FROM calls WHERE bound_tokens > 0").fetchone()
    journal.close()
    assert 0 < calls <= 160


def test_nothing_in_it_is_canned() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert 'LM = "embedded"' in code[0].source
