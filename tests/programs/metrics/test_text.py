"""Text, labels, JSON and combinations, each against a definition written another way."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import dspy
import pytest
from dstill.programs import metrics
from dstill.programs.metrics import Score, metric_digest
from dstill.programs.metrics.labels import labels_in
from dstill.programs.metrics.qa import squad_normal
from dstill.runtime import BadInput

WORDS = ["The", "cat", "sat,", "sat", "a", "mat.", "on", "U.S.", "an", "42", "cat!"]


def score(metric: metrics.Metric, gold: Any, answer: Any, field: str = "answer") -> float | None:
    return metrics.call(metric, dspy.Example(**{field: gold}), dspy.Prediction(**{field: answer}), "here").value


def squad_f1(gold: str, answer: str) -> float:
    """The paper's definition by brute force: pair each token of the answer with an unused equal one of the gold."""

    def tokens(text: str) -> list[str]:
        plain = "".join(c for c in text.lower() if c not in r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~""")
        return [word for word in plain.split() if word not in ("a", "an", "the")]

    wanted, got = tokens(gold), tokens(answer)
    if not wanted or not got:
        return float(wanted == got)
    left, same = list(wanted), 0
    for token in got:
        if token in left:
            left.remove(token)
            same += 1
    if same == 0:
        return 0.0
    precision, recall = same / len(got), same / len(wanted)
    return 2 * precision * recall / (precision + recall)


def test_token_f1_is_the_papers() -> None:
    chance = random.Random(0)
    for _ in range(300):
        gold, answer = (" ".join(chance.choices(WORDS, k=chance.randrange(0, 7))) for _ in range(2))
        assert score(metrics.token_f1("answer"), gold, answer) == pytest.approx(squad_f1(gold, answer), abs=1e-12)
    assert score(metrics.token_f1("answer"), "the cat sat on the mat", "a cat on a hat") == pytest.approx(4 / 7)


def test_normalised_is_squads_exact_match() -> None:
    assert squad_normal("The  Cat, an A-team & a 'mat'.") == "cat ateam mat"
    assert score(metrics.normalised("answer"), "The Beatles", "beatles!") == 1
    assert score(metrics.normalised("answer"), "The Beatles", "Beatles band") == 0
    assert score(metrics.exact("answer"), "The Beatles", "beatles!") == 0


@pytest.mark.parametrize(
    ("gold", "answer", "words", "value"),
    [
        ("Paris", "It is  PARIS, of course", True, 1),
        ("no", "I know", True, 0),
        ("no", "I know", False, 1),
        ("New York", "new\n york", True, 1),
        ("C++", "in c++, of course", True, 1),
        (7, "it is 7", True, 1),
        (7, "it is 17", True, 0),
        ("x", None, True, 0),
        ("  ", "anything", True, None),
        (["x"], "x", True, None),
    ],
)
def test_contains(gold: Any, answer: Any, words: bool, value: float | None) -> None:
    assert score(metrics.contains("answer", words=words), gold, answer) == value


def test_any_of_takes_the_best_gold_answer() -> None:
    best = metrics.any_of(metrics.token_f1("answer", gold="golds"))
    golds = ["New York City", "NYC"]
    answer = dspy.Prediction(answer="nyc city")
    values = [metrics.token_f1("answer")(dspy.Example(answer=g), answer).value for g in golds]
    assert best(dspy.Example(golds=golds), answer).value == max(v for v in values if v is not None)
    assert best(dspy.Example(golds="NYC"), answer).value == pytest.approx(2 / 3)
    assert best(dspy.Example(golds=[None, "NYC"]), answer).value == pytest.approx(2 / 3)
    assert best(dspy.Example(golds=[]), answer).value is None
    assert best(dspy.Example(golds=[None]), answer).value is None
    own = metrics.any_of(lambda e, p: e.answer == p.answer, gold="answer")
    assert own(dspy.Example(answer=["a", "b"]), dspy.Prediction(answer="b")).value == 1
    with pytest.raises(BadInput, match="expected gold=FIELD"):
        metrics.any_of(lambda e, p: 1.0)


def test_sets_of_labels_are_scikit_learns() -> None:
    from sklearn.metrics import f1_score, jaccard_score
    from sklearn.preprocessing import MultiLabelBinarizer

    chance, names = random.Random(1), ["a", "b", "c", "d"]
    rows = [tuple(chance.sample(names, chance.randrange(0, 5)) for _ in range(2)) for _ in range(200)]
    binary = MultiLabelBinarizer(classes=names)
    gold, got = (binary.fit_transform([row[i] for row in rows]) for i in range(2))
    ours = [score(metrics.label_f1("answer"), g, ", ".join(a)) or 0.0 for g, a in rows]
    assert sum(ours) / len(rows) == pytest.approx(f1_score(gold, got, average="samples", zero_division=1))
    ours = [score(metrics.jaccard("answer"), "; ".join(g), json.dumps(a)) or 0.0 for g, a in rows]
    assert sum(ours) / len(rows) == pytest.approx(jaccard_score(gold, got, average="samples", zero_division=1))


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        ("Red, blue", {"red", "blue"}),
        ('["Red", "blue"]', {"red", "blue"}),
        ("['Red', 'blue']", {"red", "blue"}),
        ("red\nblue; red", {"red", "blue"}),
        (("a", 1), {"a", "1"}),
        ("", set()),
        (None, set()),
        (3, {"3"}),
        ("[" * 100_000, set()),
    ],
)
def test_labels_are_read_from_collections_and_text(value: Any, labels: set[str]) -> None:
    assert labels_in(value) == labels


def test_feedback_names_the_labels() -> None:
    said = metrics.label_f1("x")(dspy.Example(x=["a", "b"]), dspy.Prediction(x="b, c")).feedback
    assert said == "Missing: ['a']. Not expected: ['c']."


@pytest.mark.parametrize(
    ("gold", "answer", "share", "equal"),
    [
        ({"a": 1, "b": "x"}, '{"b": "x", "a": 1.0}', 1, 1),
        ({"a": 1, "b": "x"}, '```json\n{"a": 1, "b": "y"}\n```', 1 / 2, 0),
        ({"a": 1, "b": "x"}, {"a": "1", "b": "x"}, 1 / 2, 0),
        ({"a": True}, {"a": 1}, 0, 0),
        ({"a": {"b": [1, 2, {"c": None}]}}, '{"a": {"b": [1, 3, {"c": null}]}}', 2 / 3, 0),
        ({"a": 1}, {"a": 1, "b": 2}, 1 / 2, 0),
        ({"a": 1, "b": {}}, {"a": 1, "b": []}, 1 / 2, 0),
        ({"a": [1]}, {"a": []}, 0, 0),
        ('{"a": 1}', "no JSON", 0, 0),
        ({"a": 1}, '{"a": NaN}', 0, 0),
        ([1, 2], [2, 1], 0, 0),
        ({"a": 1}, {1: 1}, 0, 0),
        ("no JSON", "{}", None, None),
        ({"a": {1, 2}}, "{}", None, None),
        (None, "{}", None, None),
    ],
)
def test_json(gold: Any, answer: Any, share: float | None, equal: float | None) -> None:
    assert score(metrics.json_fields("answer"), gold, answer) == share
    assert score(metrics.json_equal("answer"), gold, answer) == equal


def test_json_equality_is_pythons_on_random_values() -> None:
    chance = random.Random(2)

    def value(depth: int) -> Any:
        if depth and chance.random() < 0.6:
            keys = chance.sample("abc", chance.randrange(0, 3))
            return {k: value(depth - 1) for k in keys} if chance.random() < 0.5 else [value(depth - 1) for _ in keys]
        return chance.choice([1, 2, "1", True, None])

    seen = set()
    for _ in range(2000):
        one, other = value(2), value(2)
        same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
        seen.add(same)
        assert score(metrics.json_equal("answer"), json.dumps(one), json.dumps(other)) == float(same)
        assert (score(metrics.json_fields("answer"), json.dumps(one), json.dumps(other)) == 1.0) == same
    assert seen == {True, False}


def test_pydantic_models_are_json() -> None:
    import pydantic

    class Person(pydantic.BaseModel):
        name: str
        age: int

    assert score(metrics.json_equal("answer"), {"age": 3, "name": "Ada"}, Person(name="Ada", age=3)) == 1
    said = metrics.json_fields("answer")(
        dspy.Example(answer={"age": 3, "name": "Ada"}), dspy.Prediction(answer=Person(name="Ada", age=4))
    )
    assert said == Score(0.5, "age: expected 3, got 4.")


def test_combinations() -> None:
    team, answer = metrics.exact("team"), metrics.token_f1("answer")
    example = dspy.Example(team="sales", answer="the red car")
    prediction = dspy.Prediction(team="sales", answer="red")
    assert metrics.weighted_mean(team, answer)(example, prediction).value == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.weighted_mean(team, answer, weights=[3, 1])(example, prediction).value == pytest.approx(11 / 12)
    worst = metrics.minimum(team, answer)(example, prediction)
    assert worst.value == pytest.approx(2 / 3)
    assert worst.feedback.startswith("token_f1(answer) 0.666667: Expected 'the red car', got 'red'")
    for made in (metrics.weighted_mean(team, answer), metrics.minimum(team, answer)):
        assert made(dspy.Example(team="sales"), prediction).value is None
    assert metrics.weighted_mean(lambda e, p: 1, lambda e, p: True, weights=[0.1, 0.2])(example, prediction).value == 1


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [1, float("nan")], [1, float("inf")]])
def test_weights_that_do_not_fit_are_refused(weights: list[float]) -> None:
    with pytest.raises(BadInput, match="expected 2 numbers"):
        metrics.weighted_mean(metrics.exact("a"), metrics.exact("b"), weights=weights)
    with pytest.raises(BadInput, match="expected metrics"):
        metrics.minimum()


@pytest.mark.parametrize("make", [metrics.weighted_mean, metrics.minimum, lambda m: metrics.any_of(m, gold="x")])
def test_digests_of_combinations_follow_the_source(make: Callable[[Any], Any]) -> None:
    assert "0x" not in repr(make(same_length))
    assert metric_digest(make(same_length)) != metric_digest(make(lambda e, p: 0.0))


def test_a_digest_is_the_same_in_another_process() -> None:
    code = "from dstill.programs import metrics; print(metrics.metric_digest(metrics.minimum(len)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == metric_digest(metrics.minimum(len))  # type: ignore[arg-type]


def same_length(example: dspy.Example, prediction: dspy.Prediction) -> float:
    return float(len(example.answer) == len(prediction.answer))
