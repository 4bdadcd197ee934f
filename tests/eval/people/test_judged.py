"""What people's labels say of a judge's scores: the interval covers, and labels of other answers are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dstill.eval import Labels, Report, judged, read_labels, write_sheet
from dstill.eval.clusters import clustered
from dstill.eval.statistics.intervals import mean_interval, paired_interval
from dstill.eval.statistics.judge import judged_mean, labels_needed
from dstill.runtime import BadInput
from outcomes import report

TRUTH = [float(n % 5 < 3) for n in range(1200)]
"""Of each answer, what people would say: 60 in 100 are right."""


def kind(*, unscored: tuple[int, ...] = ()) -> Report:
    """The answers as a judge scores them that takes half of the wrong ones for right."""
    scores: list[float | None] = [1.0 if n % 10 == 3 else truth for n, truth in enumerate(TRUTH)]
    for place in unscored:
        scores[place] = None
    return report("bot", scores)


def labelled(path: Path, made: Report, n: int = 60, *, leave: int = 0, seed: int = 0) -> Path:
    """A sheet filled in with the truth, but for the last rows."""
    write_sheet(made, path, n, seed)
    head, *lines = path.read_text("utf-8-sig").splitlines()
    at = head.split(",").index("label")
    filled = [head]
    for place, line in enumerate(lines):
        cells = line.split(",")
        cells[at] = "" if place >= len(lines) - leave else str(int(TRUTH[int(cells[0][1:])]))
        filled.append(",".join(cells))
    path.write_text("\n".join(filled))
    return path


def test_the_judges_mean_is_corrected_and_told_beside_the_plain_ones(tmp_path: Path) -> None:
    made = kind()
    found = judged(made, labelled(tmp_path / "people.csv", made))
    human = [
        TRUTH[int(row.id[1:])] if row.id in read_labels(tmp_path / "people.csv").values else None for row in made.rows
    ]
    said = [h for h in human if h is not None]
    scored = [row.score for row, h in zip(made.rows, human, strict=True) if h is not None]
    assert found.judged == judged_mean(human, [row.score for row in made.rows])
    assert (found.judged.labelled, found.judged.unlabelled, found.judged.judge) == (60, 1140, 0.7)
    assert found.judged.human == mean_interval(said)
    assert found.judged.interval.low < 0.6 < found.judged.interval.high
    assert found.bias == paired_interval(scored, said)  # type: ignore[arg-type]
    assert found.bias.low > 0
    assert found.distance == pytest.approx(np.mean(np.abs(np.array(scored) - np.array(said))))
    assert found.agreement is not None
    assert found.agreement.observed.value == pytest.approx(1 - found.distance)
    text = str(found)
    assert text.startswith(
        f"bot as people would score it: {found.judged.interval} by 60 labels and 1,200 scores of exact"
    )
    assert f"the judge alone: 70.0; people alone: {found.judged.human}, on the 60" in text
    assert "points, too kind" in text
    assert f"agree on {found.agreement.observed} of 100 answers (kappa 0." in text
    assert f"half the interval would take some {found.half:,} labels in all" in text
    assert text == repr(found)


def test_the_interval_covers_what_people_would_say(tmp_path: Path) -> None:
    """300 sheets of 50 answers each from one world; the judge's plain interval never holds the truth."""
    chance, hits, plain = np.random.default_rng(0), 0, 0
    for seed in range(300):
        truth = (chance.random(1500) < 0.6) * 1.0
        scores = np.where(chance.random(1500) < 0.8, truth, 1.0)
        made = report("bot", scores.tolist())
        write_sheet(made, tmp_path / f"{seed}.csv", 50, seed)
        drawn = [line.split(",")[0] for line in (tmp_path / f"{seed}.csv").read_text("utf-8-sig").splitlines()[1:]]
        found = judged(made, {id: float(truth[int(id[1:])]) for id in drawn})
        hits += found.judged.interval.low <= 0.6 <= found.judged.interval.high
        plain += mean_interval(scores).low <= 0.6
    assert hits / 300 > 0.92
    assert plain / 300 < 0.2


def test_rows_without_a_label_and_without_a_score_are_counted(tmp_path: Path) -> None:
    made = kind(unscored=(4, 5))
    found = judged(made, labelled(tmp_path / "people.csv", made, leave=12))
    assert (found.judged.labelled, found.empty, found.judged.unscored) == (48, 12, 2)
    assert "12 rows have no label; that must be chance" in str(found)
    assert "2 examples are unscored by the judge and do not count" in str(found)
    by_hand = judged(made, {"e1": 1, "e2": 0.5, "e3": None, "e4": 1.0})
    assert (by_hand.judged.labelled, by_hand.empty, by_hand.agreement) == (2, 1, None)


def test_labels_of_other_answers_are_refused(tmp_path: Path) -> None:
    path = labelled(tmp_path / "people.csv", kind())
    other = report("other", [row.score for row in kind().rows])
    with pytest.raises(BadInput, match=r"people\.csv: the label of 'e\d+' is of another answer than that of other"):
        judged(other, path)
    unmarked = replace(read_labels(path), marks=None)
    assert judged(other, unmarked).judged.labelled == 60


@pytest.mark.parametrize(
    ("people", "said"),
    [
        (
            {"x9": 1.0, "x8": 0.0, "e1": 1.0},
            r"a label for 'x9' and 1 more, which bot was not run on; its 1,200 examples",
        ),
        ({"e1": 1.5}, r"the label of 'e1' is 1\.5: expected a number from 0 \(bad\) to 1 \(good\)"),
        ({"e1": float("nan")}, "the label of 'e1' is nan"),
        ({"e1": "yes"}, "the label of 'e1' is 'yes'"),
        ({"e1": 1.0, "e2": None}, r"1 label\(s\) of answers that exact has scored, and 1 rows without one"),
        ({}, r"0 label\(s\)"),
        ([1.0], r"people=\[1\.0\]: expected labels by id"),
        ("none.csv", r"no file of labels at none\.csv \(make one: dstill export RUN --to labels"),
    ],
)
def test_labels_that_say_nothing(people: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        judged(kind(), people)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("id,label\ne1,2\n", r"line 2: the label is '2'; expected a number from 0 \(bad\) to 1 \(good\), or nothing"),
        ("id,label\ne1,good\n", "line 2: the label is 'good'"),
        ("id,label\ne1,nan\n", "line 2: the label is 'nan'"),
        ("id,label\ne1,1\ne2,0\ne1,\n", "line 4: the id 'e1' stands in line 2 too"),
        ("id,label\n,1\n", "line 2: the id is empty"),
        ("id,score\ne1,1\n", "line 2: no column 'label'; it has: 'id', 'score'"),
        ("id;label\ne1;1\n", "line 2: no column 'id'; it has: 'id;label'"),
        ("id,label\ne1,1,1\n", "line 2: 3 cells under 2 headings"),
    ],
)
def test_a_table_that_cannot_be_read(tmp_path: Path, body: str, said: str) -> None:
    path = tmp_path / "people.csv"
    path.write_text(body)
    with pytest.raises(BadInput, match=said):
        read_labels(path)


def test_labels_from_any_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("\ufeffID,Label,note\ne1, 1 ,x\ne2,,y\ne3,0.25,z\n".encode())
    (tmp_path / "a.jsonl").write_text(
        '{"id": "e1", "label": 1}\n{"id": "e2", "label": null}\n{"id": "e3", "label": 0.25}\n'
    )
    for name in ("a.csv", "a.jsonl"):
        found = read_labels(tmp_path / name)
        assert found == Labels({"e1": 1.0, "e3": 0.25}, 1, {}, str(tmp_path / name))


def test_what_has_no_interval() -> None:
    several = replace(kind(), rows=tuple(replace(row, samples=(row.score, row.score)) for row in kind().rows))
    with pytest.raises(BadInput, match="bot has up to 2 answers to an example, and a label is of one answer"):
        judged(several, {"e1": 1.0, "e2": 0.0})
    with pytest.raises(BadInput, match="bot was stopped when decided, after 1200 of 1500 examples"):
        judged(replace(kind(), planned=1500), {"e1": 1.0, "e2": 0.0})
    together = clustered(kind(), "page", [{"page": n % 7} for n in range(1200)])
    with pytest.raises(BadInput, match="stand in 7 clusters"):
        judged(together, {"e1": 1.0, "e2": 0.0})


@pytest.mark.parametrize("share", [0.5, 0.7])
def test_as_many_labels_as_are_said_to_be_needed_are_enough(share: float) -> None:
    """The width that was aimed at is met within a tenth, on average over draws."""
    chance, widths, aimed = np.random.default_rng(1), [], []
    for _ in range(60):
        truth = (chance.random(4000) < 0.6) * 1.0
        judge = np.where(chance.random(4000) < 0.85, truth, 1.0)

        def labels(n: int, truth: Any = truth) -> Any:
            return np.where(np.arange(4000) < n, truth, np.nan)

        first = judged_mean(labels(60), judge).interval
        aim = share * (first.high - first.low) / 2
        needed = labels_needed(labels(60), judge, aim)
        assert needed is not None and needed > 60
        then = judged_mean(labels(needed), judge).interval
        widths.append((then.high - then.low) / 2)
        aimed.append(aim)
    assert np.mean(widths) == pytest.approx(np.mean(aimed), rel=0.1)


def test_where_no_number_of_labels_is_enough() -> None:
    truth = np.array(TRUTH[:40])
    assert labels_needed(np.where(np.arange(40) < 20, truth, np.nan), truth, 0.01) is None
    with pytest.raises(BadInput, match="half_width=0"):
        labels_needed([1.0, 0.0], [1.0, 0.0], 0)
    found = judged(report("small", list(TRUTH[:40])), {f"e{n}": TRUTH[n] for n in range(20)})
    assert found.half is None or "half the interval" in str(found)
