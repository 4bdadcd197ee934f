"""Confidences of a report: how they are read, what becomes of those that cannot be, and the diagram."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from dstill.eval import Report, Row
from dstill.eval.statistics import calibration
from dstill.runtime import BadInput
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss


def row(index: int, score: float | None, samples: tuple[float | None, ...] = (), **outputs: Any) -> Row:
    status = "unscored" if score is None else "scored" if outputs else "failed"
    return Row(index, str(index), status, score, "", outputs, None, 1, 1, 1, 0.0, 0.0, samples)  # type: ignore[arg-type]


def report(*rows: Row, examples: tuple[dict[str, Any], ...] | None = None) -> Report:
    return Report("me", "task", "test", "exact", rows, examples=examples)


def of(*stated: Any, score: float = 1.0) -> Report:
    """A right answer for each confidence."""
    return report(*(row(index, score, sure=value) for index, value in enumerate(stated)))


def drawn(n: int = 200) -> tuple[Any, Any]:
    chance = np.random.default_rng(0)
    confidence = chance.beta(4, 2, n)
    return confidence, (chance.random(n) < confidence**1.5).astype(float)


def test_figures_are_those_of_scikit_learn() -> None:
    confidence, right = drawn()
    found = report(*(row(i, o, sure=f) for i, (f, o) in enumerate(zip(confidence, right, strict=True))))
    figures = found.calibration("sure").figures
    accuracy, mean = calibration_curve(right, confidence, n_bins=10)
    assert figures.accuracy == pytest.approx(accuracy)
    assert figures.confidence == pytest.approx(mean)
    assert figures.brier.value == pytest.approx(brier_score_loss(right, confidence))
    assert found.calibration(list(confidence), bins=4, kind="mass").figures.dump() == (
        calibration(confidence, right, bins=4, kind="mass").dump()
    )


@pytest.mark.parametrize(
    ("value", "certain", "read"),
    [
        (0.8, 1, 0.8), (1, 1, 1.0), ("0.8", 1, 0.8), (".8", 1, 0.8), ("80%", 1, 0.8), (" 80 % ", 100, 0.8),
        (80, 100, 0.8), ("80", 100, 0.8), (4, 5, 0.8), ("8e-1", 1, 0.8), (np.float64(0.8), 1, 0.8), (1 + 1e-9, 1, 1.0),
    ],
)  # fmt: skip
def test_what_is_read(value: Any, certain: float, read: float) -> None:
    assert of(value).calibration("sure", certain=certain).figures.confidence.tolist() == [pytest.approx(read)]


@pytest.mark.parametrize(("value", "certain"), [(80, 1), ("80", 1), (-0.1, 1), (120, 100), ("120 %", 1)])
def test_one_outside_the_range_is_an_error_and_no_guess(value: Any, certain: float) -> None:
    message = f"sure of the example '1' is {value!r}: expected a number from 0 to {certain}, or a text such as '85 %'"
    with pytest.raises(BadInput, match=re.escape(message)):
        of(0.5, value).calibration("sure", certain=certain)


def test_what_is_missing_unreadable_or_unscored_is_counted_and_said() -> None:
    found = report(
        row(0, 1.0, sure=0.9), row(1, 0.0, sure="very"), row(2, 0.0), row(3, None, sure=0.5), row(4, 1.0, sure=True),
        row(5, 1.0, sure=None), row(6, 0.0, sure=float("nan")), row(7, 0.0, sure=" "), row(8, 0.0, sure=["0.4"]),
    ).calibration("sure")  # fmt: skip
    assert (found.figures.n, found.missing, found.unscored) == (1, 4, 1)
    assert found.unreadable == ("very", "True", "['0.4']")
    assert found.figures.unscored == 8
    said = "left out: 4 without a confidence, 3 whose confidence is no number, such as 'very', 1 unscored"
    assert said in str(found).splitlines()
    assert of(0.9).calibration("sure").left_out == ()


@pytest.mark.parametrize(
    ("found", "options", "message"),
    [
        (of(0.9), {"confidence": "trust"}, "no answer of me has a field 'trust': its outputs have 'sure'"),
        (report(row(0, 0.0)), {}, "its outputs have no field at all"),
        (of("high", "low"), {}, "none of 2 scored answers has a confidence that is a number; such as 'high'"),
        (of(0.9, score=0.5), {}, "graded: say from which on an answer is right, e.g. calibration('sure', passing=1)"),
        (of(0.9), {"confidence": [0.9, 0.8]}, "2 confidences for 1 rows"),
        (of(0.9), {"certain": 0}, "certain=0: expected the number that means certain"),
    ],
)
def test_mistakes(found: Report, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        found.calibration(**{"confidence": "sure", **options})


def test_graded_scores_pass_from_a_score_on() -> None:
    found = report(row(0, 0.4, sure=0.9), row(1, 0.6, sure=0.9))
    assert found.calibration("sure", passing=0.5).figures.accuracy.tolist() == [0.5]


def test_a_field_of_the_examples_serves_where_no_output_has_it() -> None:
    found = report(row(0, 1.0, answer="a"), row(1, 0.0, answer="b"), examples=({"sure": 0.7}, {"sure": 0.3}))
    assert found.calibration("sure").figures.confidence.tolist() == [0.3, 0.7]


def test_every_one_of_several_answers_counts_and_examples_stay_together() -> None:
    confidence, right = drawn(120)
    rows = [
        row(i, float(np.mean(o)), tuple(o), sure=list(f))
        for i, (f, o) in enumerate(zip(confidence.reshape(40, 3), right.reshape(40, 3).tolist(), strict=True))
    ]
    ids = np.arange(40).repeat(3)
    found = report(*rows).calibration("sure").figures
    assert found.dump() == calibration(confidence, right, groups=ids).dump()
    assert found.overconfidence != calibration(confidence, right).overconfidence
    holed = report(row(0, 1.0, (1.0, None), sure=[0.9, 0.2]), row(1, 0.0, (0.0, 0.0), sure=[None, 0.5]))
    assert (holed.calibration("sure").missing, holed.calibration("sure").unscored) == (1, 1)


def test_clusters_are_known_of() -> None:
    confidence, right = drawn(120)
    rows = [row(i, o, sure=f) for i, (f, o) in enumerate(zip(confidence, right, strict=True))]
    found = report(*(replace(one, cluster=str(i // 3)) for i, one in enumerate(rows))).calibration("sure").figures
    assert found.dump() == calibration(confidence, right, groups=np.arange(120) // 3).dump()
    assert found.ece.high != report(*rows).calibration("sure").figures.ece.high


def test_it_says_its_figures() -> None:
    confidence, right = drawn()
    modest = report(*(row(i, o, sure=f / 2) for i, (f, o) in enumerate(zip(confidence, right, strict=True))))
    found = modest.calibration("sure")
    lines = str(found).splitlines()
    assert re.fullmatch(
        r"calibration of me by sure: error \(ECE\) [\d.]+ \[.*\], underconfident by [\d.]+ \[.*\] \(n=200\)", lines[0]
    )
    low, high = map(float, re.findall(r"underconfident by [\d.]+ \[([\d.]+), ([\d.]+)\]", lines[0])[0])
    assert 0 < low < -100 * found.figures.overconfidence.value < high
    assert lines[2].split() == ["stated", "right", "answers"]
    assert len(lines) == 3 + found.figures.count.size
    assert [int(line.split()[-1]) for line in lines[3:]] == found.figures.count.tolist()


def test_the_diagram(tmp_path: Path) -> None:
    confidence, right = drawn()
    found = Report(
        "<a&b>", "task", "test", "exact",
        tuple(row(i, o, sure=f) for i, (f, o) in enumerate(zip(confidence, right, strict=True))),
    ).calibration("sure")  # fmt: skip
    text = found.save(tmp_path / "a" / "diagram.svg").read_text()
    picture = ElementTree.fromstring(text)
    names = {"svg": "http://www.w3.org/2000/svg"}
    points = picture.findall(".//svg:circle", names)
    assert len(points) == found.figures.count.size
    heights = [float(point.get("cy", "")) for point in points]
    assert np.argsort(heights).tolist() == np.argsort(-found.figures.accuracy).tolist()
    titles = [title.text or "" for title in picture.findall(".//svg:title", names)]
    assert titles[0].startswith("<a&b>: stated and true; calibration error")
    assert sum(
        f"{count} answers" in title for title, count in zip(titles[1:], found.figures.count, strict=True)
    ) == len(points)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert found._repr_html_().startswith(found.svg())
    assert "&lt;a&amp;b&gt;" in found._repr_html_().split("<pre>")[1]
