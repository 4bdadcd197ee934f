"""The page on metrics is true: it lists all of them, its examples run and say what the page says they say."""

from __future__ import annotations

import contextlib
import inspect
import io
import re
from pathlib import Path

import pytest
from dstill.programs import metrics

PAGE = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)
LISTED = re.findall(r"^\| `(\w+)` \|", PAGE, re.M)


def makes_a_metric(found: object) -> bool:
    """Whether it is a function that returns a value which can be called."""
    if not inspect.isfunction(found):
        return False
    made = inspect.signature(found, eval_str=True).return_annotation
    return inspect.isclass(made) and "__call__" in vars(made)


def test_the_table_lists_every_metric() -> None:
    assert len(LISTED) == len(set(LISTED)) == 20
    assert set(LISTED) == {name for name, found in vars(metrics).items() if makes_a_metric(found)}


def test_every_metric_has_an_example() -> None:
    used = re.findall(r"metrics\.(\w+)\(", BLOCKS[1])
    assert set(used) == set(LISTED)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_examples_run(block: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(block, "docs/metrics.md", "exec"), {})
    for said in re.findall(r"# 0\.666\.\.\., (.*)", block):
        assert printed.getvalue() == f"0.6666666666666666 {said}\n"
    if "protections" in block:
        assert printed.getvalue().endswith("finished (True,)\n")
    if "calls_in" in block:
        assert printed.getvalue().count("FunctionCall(name='weather.get'") == 2
