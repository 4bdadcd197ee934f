"""Code judged by its tests, run in a sandbox with limits (see ``sandbox``): HumanEval's and MBPP's way.

Sources: Chen et al., "Evaluating Large Language Models Trained on Code", 2021 (arXiv:2107.03374); Austin et al.,
"Program Synthesis with Large Language Models", 2021 (arXiv:2108.07732).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import dspy

from .base import Score
from .fields import RIGHT, answer_of, gold_of, shown
from .sandbox import DEFAULT, Limits, Ran, protections, run_tests

_FENCE = re.compile(r"```(?:python|py|Python)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)


def code_in(value: Any) -> str:
    """The code of an answer: the text of its first Markdown fence, or else all of it; an object's ``code`` if it has
    one (``dspy.Code``)."""
    value = getattr(value, "code", value)
    if not isinstance(value, str):
        return ""
    fence = _FENCE.search(value)
    return fence.group(1) if fence else value


@dataclass(frozen=True, slots=True)
class PassesTests:
    """See ``passes_tests``."""

    field: str
    tests: str = "tests"
    share: bool = False
    limits: Limits = DEFAULT

    @property
    def name(self) -> str:
        """``passes_tests(field)``."""
        return f"passes_tests({self.field})"

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, *_: Any) -> Score:
        tests = gold_of(example, self.tests, str, list, tuple)
        if isinstance(tests, Score):
            return tests
        pieces = [tests] if isinstance(tests, str) else list(tests)
        if not pieces or not all(isinstance(piece, str) and piece.strip() for piece in pieces):
            return Score(None, f"the example's {self.tests} is {shown(tests)}: expected Python code, or a list of it")
        answer = answer_of(prediction, self.field)
        source = code_in(answer)
        if not source.strip():
            return Score(0.0, f"Expected Python code, got {shown(answer)}.")
        ran = run_tests(source, pieces, self.limits)
        right = sum(ran.passed)
        value = right / len(pieces) if self.share else float(right == len(pieces))
        return Score(value, _feedback(ran, pieces))


def passes_tests(field: str, *, tests: str = "tests", share: bool = False, limits: Limits = DEFAULT) -> PassesTests:
    """1 if the Python code in an output field passes all tests of the example, else 0; run in a sandbox on Linux.

    Args:
        tests: the example's field with a piece of Python code, or a list of them (``assert f(1) == 2``); a piece passes
            if it raises nothing.
        share: give the share of pieces that pass instead.
        limits: what the code may use, all tests together.

    Raises:
        BadInput: where the sandbox cannot be made.
    """
    protections()
    return PassesTests(field, tests, share, limits)


def _feedback(ran: Ran, tests: list[str]) -> str:
    if ran.status != "finished" and not all(ran.passed):
        said = f" with {ran.error}" if ran.error and "its end" not in ran.error else ""
        return f"Passed {sum(ran.passed)} of {len(tests)} tests, then ended by: {ran.status}{said}."
    if ran.error:
        return f"The code does not run: {ran.error}."
    for number, (good, error, test) in enumerate(zip(ran.passed, ran.errors, tests, strict=True)):
        if not good:
            return f"Test {number + 1} of {len(tests)} fails with {error or 'no word'}: {shown(test)}."
    return RIGHT
