"""No prediction makes a metric raise, and an example that lacks its gold value cannot be scored."""

from __future__ import annotations

from typing import Any

import dspy
import pytest
from dstill.programs import metrics
from dstill.programs.metrics import Score, metric_digest
from dstill.runtime.errors import BadMetric

GOLD: dict[str, Any] = {
    "text": "a gold answer", "number": 7, "labels": ["a", "b"], "json": {"a": [1, {"b": None}]},
    "calls": [{"f": {"a": [1], "b": ["", "x"]}}, {"g": {}}], "tests": ["assert x == 1"],
    "ids": ["punctuation:no_comma", "detectable_format:title", "language:response_language"],
    "kwargs": [{}, {}, {"language": "en"}],
}  # fmt: skip
LIMITS = metrics.Limits(seconds=30, memory=400)
METRICS: list[tuple[str, metrics.Metric]] = [
    ("text", metrics.exact("text")),
    ("text", metrics.exact("text", strict=True)),
    ("text", metrics.contains("out", gold="text")),
    ("text", metrics.normalised("out", gold="text")),
    ("text", metrics.token_f1("out", gold="text")),
    ("text", metrics.any_of(metrics.token_f1("out", gold="text"))),
    ("number", metrics.numeric("number")),
    ("labels", metrics.label_f1("out", gold="labels")),
    ("labels", metrics.jaccard("out", gold="labels")),
    ("json", metrics.json_equal("out", gold="json")),
    ("json", metrics.json_fields("out", gold="json")),
    ("calls", metrics.function_calls("out", gold="calls")),
    ("text", metrics.rouge("out", gold="text")),
    ("text", metrics.bleu("out", gold="text")),
    ("text", metrics.chrf("out", gold="text")),
    ("text", metrics.similarity("out", gold="text")),
    ("ids", metrics.ifeval("out", ids="ids")),
    ("ids", metrics.ifeval("out", ids="ids", loose=True, level="instruction")),
    ("tests", metrics.passes_tests("out", tests="tests", limits=LIMITS)),
    ("text", metrics.minimum(metrics.exact("text"), metrics.contains("out", gold="text"))),
    ("text", metrics.weighted_mean(metrics.exact("text"), metrics.contains("out", gold="text"))),
]


class Broken:
    """Whatever is asked of it raises."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


def deep(levels: int) -> Any:
    made: Any = 1
    for _ in range(levels):
        made = {"a": [made]}
    return made


ANSWERS: dict[str, Any] = {
    "none": None, "empty": "", "blank": " \n\t", "number": 7, "huge number": 10**5000, "nan": float("nan"),
    "bool": True, "bytes": b"\xff", "list": [None, [1]], "dict": {"a": 1}, "keys": {1: {2: 3}}, "set": {1},
    "broken": Broken(), "class": Broken, "surrogate": "\ud800", "null": "a\x00b", "brackets": "[" * 50_000,
    "braces": '{"a":' * 50_000, "deep": deep(3000), "fences": "```\n" * 20_001, "stars": "*" * 20_001,
    "lines": "\n" * 20_000 + "x", "digits": "1" * 20_000, "titles": "<<" * 20_000, "escapes": "f(a='\\" * 5000,
}  # fmt: skip


@pytest.fixture(params=METRICS, ids=lambda case: f"{metrics.name_of(case[1])}")
def case(request: pytest.FixtureRequest) -> tuple[str, metrics.Metric]:
    return request.param  # type: ignore[no-any-return]


def test_no_answer_raises(case: tuple[str, metrics.Metric]) -> None:
    gold, metric = case
    chosen = ["none", "broken", "surrogate", "null", "brackets"] if gold == "tests" else list(ANSWERS)
    for name in chosen:
        prediction = dspy.Prediction(out=ANSWERS[name], **{gold: ANSWERS[name]})
        found = metrics.call(metric, dspy.Example(**GOLD), prediction, name)
        assert found.value is not None, name
        assert len(found.feedback) < 2000
    assert metrics.call(metric, dspy.Example(**GOLD), dspy.Prediction(), "no field").value == 0
    for wrong in (None, "text", 3, {}):
        assert metric(dspy.Example(**GOLD), wrong).value == 0  # type: ignore[arg-type, union-attr]


@pytest.mark.parametrize("unit", ["word, ", "[{(<*"])
def test_ten_megabytes_are_scored(case: tuple[str, metrics.Metric], unit: str) -> None:
    gold, metric = case
    text = unit * (10_000_000 // len(unit))
    found = metrics.call(metric, dspy.Example(**GOLD), dspy.Prediction(out=text, **{gold: text}), "long")
    assert found.value is not None
    assert found.value < 1
    assert len(found.feedback) < 2000


def test_an_example_without_its_gold_value_cannot_be_scored(case: tuple[str, metrics.Metric]) -> None:
    gold, metric = case
    lacking = {name: value for name, value in GOLD.items() if name != gold}
    found = metrics.call(metric, dspy.Example(**lacking), dspy.Prediction(out="x", **{gold: "x"}), "lacking")
    assert found.value is None
    assert f"no field '{gold}'" in found.feedback
    if not metrics.name_of(metric).startswith(("exact", "minimum", "weighted")):
        for wrong in (None, Broken(), b"x"):
            example = dspy.Example(**{**GOLD, gold: wrong})
            assert metrics.call(metric, example, dspy.Prediction(out="x"), "wrong").value is None, repr(wrong)


def test_a_metric_is_a_value_with_a_stable_digest(case: tuple[str, metrics.Metric]) -> None:
    _, metric = case
    assert "0x" not in repr(metric)
    assert metric_digest(metric) == metric_digest(metric)
    assert metrics.name_of(metric).count("(") >= 1
    assert type(metric).__dataclass_params__.frozen  # type: ignore[attr-defined]
    others = {metric_digest(other) for _, other in METRICS}
    assert len(others) == len(METRICS)


def test_a_right_answer_says_so() -> None:
    assert metrics.exact("text")(dspy.Example(text="a"), dspy.Prediction(text="A.")) == Score(1.0, "Right.")
    said = metrics.exact("text")(dspy.Example(text="a"), dspy.Prediction(text="b")).feedback
    assert said == "Expected text 'a', got 'b'."
    said = metrics.token_f1("text")(dspy.Example(text="a b"), dspy.Prediction(text="b" * 1000)).feedback
    assert said == f"Expected 'a b', got '{'b' * 200}'... (1000 characters)."


MAKERS: list[Any] = [
    metrics.exact, metrics.numeric, metrics.contains, metrics.normalised, metrics.token_f1, metrics.label_f1,
    metrics.jaccard, metrics.json_equal, metrics.json_fields, metrics.function_calls, metrics.rouge, metrics.bleu,
    metrics.chrf, metrics.similarity,
]  # fmt: skip


@pytest.mark.parametrize("make", MAKERS)
def test_a_field_that_neither_side_has_is_a_slip_in_the_metric_and_stops(make: Any) -> None:
    example, prediction = dspy.Example(text="a", team="b"), dspy.Prediction(team="b")
    with pytest.raises(
        BadMetric, match=r"'taem', which neither the example \(text, team\) nor the prediction \(team\)"
    ):
        metrics.call(make("taem"), example, prediction, "dev example 'd1'")
    assert metrics.call(make("taem"), example, dspy.Prediction(taem="b"), "unlabelled").value is None
    assert metrics.call(make("taem"), example, dspy.Prediction(), "empty").value is None
