"""What tells programs and metrics apart: whatever decides their results, and nothing that differs between processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import dspy
import numpy as np
import pydantic
from dstill.programs import program_digest
from dstill.programs.metrics import metric_digest
from dstill.programs.source import source_of
from dstill.runtime.canonical import digest


class Inner(dspy.Module):
    def __init__(self, k: int = 1) -> None:
        super().__init__()
        self.k, self._calls = k, 0
        self.answer = dspy.Predict("text -> answer")

    def forward(self, text: str) -> Any:
        self._calls += 1
        return self.answer(text=text)


class Outer(dspy.Module):
    def __init__(self, inner: dspy.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, text: str) -> Any:
        return self.inner(text=text)


class Shouting(Inner):
    def forward(self, text: str) -> Any:
        return super().forward(text=text.upper())


class Mood(Enum):
    GOOD = "good"


class Mood2(Enum):
    GOOD = "good"
    BAD = "bad"


class Reply(pydantic.BaseModel):
    text: str


class Reply2(pydantic.BaseModel):
    text: str
    mood: Mood


def typed(annotation: Any) -> dspy.Module:
    return dspy.Predict(dspy.Signature("text -> answer").with_updated_fields("answer", type_=annotation))


def hot() -> dspy.Module:
    return dspy.Predict("text -> answer", temperature=0.9)


PROGRAMS: list[Callable[[], dspy.Module]] = [
    lambda: Outer(Inner()), lambda: Outer(Inner(2)), lambda: Outer(Shouting()), Inner, hot,
    lambda: typed(str), lambda: typed(bool), lambda: typed(Literal["a", "b"]), lambda: typed(Literal["a", "c"]),
    lambda: typed(Mood), lambda: typed(Mood2), lambda: typed(Reply), lambda: typed(Reply2),
    lambda: dspy.BestOfN(Inner(), 2, lambda inputs, made: 1.0, 0.5),
    lambda: dspy.BestOfN(Inner(), 3, lambda inputs, made: 1.0, 0.5),
    lambda: typed(list[Annotated[str, pydantic.AfterValidator(str.strip)]]),
    lambda: dspy.ReAct("text -> answer", tools=[len]), lambda: dspy.ReAct("text -> answer", tools=[max]),
]  # fmt: skip


def test_programs_are_told_apart_by_all_that_decides_their_answers() -> None:
    digests = [program_digest(make()) for make in PROGRAMS]
    assert len(set(digests)) == len(PROGRAMS)
    assert digests == [program_digest(make()) for make in PROGRAMS]


def test_what_a_program_counts_for_itself_does_not_make_it_another() -> None:
    program = Outer(Inner())
    before = program_digest(program)
    with dspy.context(lm=dspy.utils.DummyLM([{"answer": "a"}])):
        program(text="x")
    assert program.inner._calls == 1 and program_digest(program) == before


class AtLeast:
    def __init__(self, least: float) -> None:
        self.least = least
        self.me = self  # a ring

    def __call__(self, example: Any, prediction: Any) -> float:
        return float(prediction.score >= self.least)


def scaled(how: Any) -> Any:
    def metric(example: Any, prediction: Any) -> float:
        return float(how(prediction.score) if callable(how) else prediction.score in how)

    return metric


def by(least: float, example: Any, prediction: Any) -> float:
    return float(prediction.score >= least)


def other(least: float, example: Any, prediction: Any) -> float:
    return float(prediction.score > least)


@dataclass(slots=True)
class Slotted:
    least: float = 0.5


HELD: list[Any] = [
    Mood.GOOD, Mood2.BAD, Path("a"), Path("b"), date(2026, 1, 2), date(2026, 1, 3), Decimal("0.5"), Decimal("0.50"),
    range(3), range(4), bytearray(b"a"), deque([2]), MappingProxyType({"a": 1}), Slotted(), Slotted(0.7),
    re.compile("a" * 300), re.compile("a" * 299 + "b"), re.compile("a" * 300, re.I), dspy.Example(text="a"),
    np.zeros(3), np.ones(3), np.ones((1, 3)), np.float32(1), np.int64(1), [dspy.Example(text="b")],
]  # fmt: skip
"""What an object may hold; each is another one."""
LAMBDAS: list[Callable[[], Any]] = [lambda: (lambda e, p: e - p), lambda: (lambda e, p: p - e)]  # fmt: skip


METRICS: list[Callable[[], Any]] = [
    lambda: AtLeast(0.5), lambda: AtLeast(0.9), lambda: partial(by, 0.5), lambda: partial(by, 0.9),
    lambda: partial(other, 0.5), lambda: partial(by, least=0.5), lambda: scaled([1, 2]), lambda: scaled([1, 3]),
    lambda: scaled(lambda x: x), lambda: scaled(lambda x: 1 - x), lambda: AtLeast(0.5).__call__,
    lambda: AtLeast(0.7).__call__, lambda: cache(by), lambda: cache(other),
    *(lambda value=value: AtLeast(value) for value in HELD), *LAMBDAS,
]  # fmt: skip


def test_metrics_are_told_apart_by_their_arguments_attributes_and_closures() -> None:
    digests = [metric_digest(make()) if hasattr(make(), "__call__") else "" for make in METRICS]  # noqa: B004
    assert len(set(digests)) == len(METRICS)
    assert digests == [metric_digest(make()) for make in METRICS]


def in_a_set(example: Any, prediction: Any) -> float:
    return float(prediction.answer in {"alpha", "beta", "gamma"} or prediction.answer in ("x", frozenset("yz")))


def test_every_process_has_the_same_digests() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_source import *\n"
        "print(digest(source_of(in_a_set)), [program_digest(make()) for make in PROGRAMS])\n"
        "print([metric_digest(make()) for make in METRICS])"
    )
    told = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, os.path.dirname(__file__)],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }  # fmt: skip
    assert len(told) == 1 and digest(source_of(in_a_set)) in told.pop()
