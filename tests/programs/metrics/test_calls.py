"""Function calls: what is read, and what matches, on small examples of the shapes that the leaderboard has."""

from __future__ import annotations

import itertools
import random
from typing import Any

import dspy
import pytest
from dstill.programs.metrics import FunctionCall, calls_in, function_calls
from dstill.programs.metrics.calls import _unmatched, matches

ONE = [FunctionCall("f", {"a": 1})]


@pytest.mark.parametrize(
    "text",
    [
        "f(a=1)",
        "[f(a=1)]",
        "(f(a=1),)",
        "```python\nf(a=1)\n```",
        '{"name": "f", "arguments": {"a": 1}}',
        '[{"name": "f", "args": {"a": 1}}]',
        '{"function": {"name": "f", "arguments": "{\\"a\\": 1}"}, "id": "x", "type": "function"}',
        '{"f": {"a": 1}}',
        "```json\n[{\"name\": \"f\", \"parameters\": {\"a\": 1}}]\n```",
    ],
)  # fmt: skip
def test_spellings_of_one_call(text: str) -> None:
    assert calls_in(text) == ONE


def test_calls_as_objects() -> None:
    assert calls_in([{"name": "f", "arguments": {"a": 1}}]) == ONE
    assert calls_in(dspy.ToolCalls.from_dict_list([{"name": "f", "args": {"a": 1}}])) == ONE
    assert calls_in([]) == calls_in("[]") == []


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("g.h(x=-1.5, y=['a', {'k': None}])", {"x": -1.5, "y": ["a", {"k": None}]}),
        ("g.h(x=true, y=[null, false])", {"x": True, "y": [None, False]}),
        (r"g.h(x='\d')", {"x": r"\d"}),
        (r"g.h(x=r'\d')", {"x": r"\d"}),
        (r"g.h(x='a\n\\d')", {"x": "a\n\\d"}),
        ("g.h()", {}),
    ],
)
def test_values_of_python_calls(text: str, arguments: dict[str, Any]) -> None:
    assert calls_in(text) == [FunctionCall("g.h", arguments)]


@pytest.mark.parametrize(
    "text",
    ["I cannot do that.", "", "f(1)", "f(a=open('x'))", "f(**{})", "f(a=1, a=2)", "x = f(a=1)", "f(a=b)", "f()()",
     "f(a=1", "((((" * 5000, "f(a=" + "-" * 50_000 + "1)", "f(a=" + "1+" * 50_000 + "1)", "f" + ".a" * 50_000 + "(b=1)",
     '{"a":' * 50_000, "[" * 100_000, "f(a=\x00)", "f(a='\ud800')", "x" * 300_000, '{"name": 3, "b": 1}', "3", None, 7,
     {"a": 1, "b": 2}, [1]],
)  # fmt: skip
def test_what_is_no_call_is_not_read_and_does_not_raise(text: Any) -> None:
    assert calls_in(text) is None


def test_nothing_runs() -> None:
    assert calls_in("f(a=__import__('os').abort())") is None
    assert calls_in("__import__('os').abort()") is None


GOLD = [{"weather.get": {"city": ["San Francisco", "SF"], "days": [3], "unit": ["", "celsius"]}}]


@pytest.mark.parametrize(
    ("answer", "value", "said"),
    [
        ("weather.get(city='SF', days=3)", 1, "Right"),
        ("weather.get(days=3.0, city='san francisco.')", 1, "Right"),
        ("weather.get(city='SF', days=3, unit='celsius')", 1, "Right"),
        ("weather.get(city='SF', days=3, unit='kelvin')", 0, "unit: expected one of"),
        ("weather.get(city='SF', days='3')", 0, "days"),
        ("weather.get(city='SF', days=True)", 0, "days"),
        ("weather.get(city='SF')", 0, "days is missing"),
        ("weather.get(city='SF', days=3, wind=1)", 0, "'wind' is not expected"),
        ("weather.set(city='SF', days=3)", 0, "Expected a call of weather.get"),
        ("[weather.get(city='SF', days=3), weather.get(city='SF', days=3)]", 0, "Expected 1 calls"),
        ("I do not know", 0, "no readable call"),
        (None, 0, "no readable call"),
    ],
)
def test_one_call(answer: Any, value: float, said: str) -> None:
    found = function_calls("calls", gold="gold")(dspy.Example(gold=GOLD), dspy.Prediction(calls=answer))
    assert found.value == value
    assert said in found.feedback


def test_parallel_calls_in_any_order() -> None:
    gold = [{"f": {"a": [1, 2]}}, {"f": {"a": [1]}}, {"g": {"b": [["x", "y"]]}}]
    metric = function_calls("calls")

    def value(answer: str) -> float | None:
        return metric(dspy.Example(calls=gold), dspy.Prediction(calls=answer)).value

    for order in itertools.permutations(["f(a=2)", "f(a=1)", "g(b=['X', 'y'])"]):
        assert value(f"[{', '.join(order)}]") == 1
    assert value("[f(a=1), f(a=1), g(b=['x', 'y'])]") == 1
    assert value("[f(a=2), f(a=2), g(b=['x', 'y'])]") == 0
    assert value("[f(a=1), f(a=2), g(b=['y', 'x'])]") == 0


def test_no_call_is_wanted() -> None:
    metric, example = function_calls("calls"), dspy.Example(calls=[])
    assert metric(example, dspy.Prediction(calls="None of these functions can say who is president.")).value == 1
    assert metric(example, dspy.Prediction(calls="[]")).value == 1
    assert metric(example, dspy.Prediction(calls="f(a=1)")).value == 0


@pytest.mark.parametrize("gold", ["f(a=1)", [{"f": {"a": 1}}], [{"f": {"a": []}}], [{"f": {}, "g": {}}], [3]])
def test_a_gold_answer_of_another_shape_cannot_be_scored(gold: Any) -> None:
    assert function_calls("calls")(dspy.Example(calls=gold), dspy.Prediction(calls="f(a=1)")).value is None


@pytest.mark.parametrize(
    ("value", "accepted", "same"),
    [
        ({"a": 1}, {"a": [1, 2], "b": ["", 3]}, True),
        ({"a": 3}, {"a": [1, 2]}, False),
        ({"a": 1, "b": 4}, {"a": [1], "b": ["", 3]}, False),
        ([{"a": "X-1"}, {"a": "y"}], [{"a": ["x 1"]}, {"a": ["y"]}], True),
        ([1, 2], [1, 2, 3], False),
        ([[1]], [[1]], True),
        ({"a": [1, 2]}, {"a": [1, 2]}, True),
        (None, None, True),
        (None, "", False),
        (0, False, False),
        ("don't", 'don"t', True),
    ],
)
def test_values(value: Any, accepted: Any, same: bool) -> None:
    assert matches(value, accepted) is same


def test_the_matching_is_complete_against_brute_force() -> None:
    chance, seen = random.Random(0), set()
    for _ in range(400):
        size = chance.randrange(1, 6)
        fits = [[chance.random() < 0.4 for _ in range(size)] for _ in range(size)]
        exists = any(all(fits[r][c] for r, c in enumerate(order)) for order in itertools.permutations(range(size)))
        seen.add(exists)
        assert (_unmatched(fits) < 0) is exists
    assert seen == {True, False}
