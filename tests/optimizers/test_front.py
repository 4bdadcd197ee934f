"""Several objectives: fronts, hypervolume, the race that keeps them, and picking afterwards."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import pytest
from dstill.optimizers import Candidate, CompiledProgram, Objective, Race, compile, load_program
from dstill.optimizers.estimate import estimate
from dstill.optimizers.front_view import svg
from dstill.optimizers.objective import objective_of
from dstill.optimizers.pareto import hypervolume, nondominated, outdone
from dstill.optimizers.selection import Selection
from dstill.optimizers.standing import standing
from dstill.runtime import BadInput, Budget, Damaged, ScriptedEngine
from dstill.runtime.fields import input_fields, render_fields
from dstill.runtime.rundir import verify
from optuna._hypervolume import compute_hypervolume

RACE = Race(candidates=12, width=6, block=8, pool=16, instructions=2)


def painter(**options: Any) -> ScriptedEngine:
    """Right more often with demonstrations, which cost tokens, and with one of the instructions, which cost few."""
    return fakes.painter(lambda demos, told: 0.3 + 0.1 * min(demos, 4) + 0.15 * ("twice" in told), **options)


def made(folder: Path, engine: ScriptedEngine | None = None, **options: Any) -> CompiledProgram:
    options.setdefault("objective", "score,prompt_tokens")
    return compile(fakes.task(dev=160), engine or painter(), RACE, run=folder, **options)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_the_hypervolume_is_that_of_optuna_and_of_counting(size: int) -> None:
    chance = np.random.default_rng(size)
    for _ in range(20):
        points = chance.random((chance.integers(1, 8), size))
        assert hypervolume(points.tolist()) == pytest.approx(compute_hypervolume(-points, np.zeros(size)))
        grid = chance.integers(1, 5, points.shape)
        cells = itertools.product(range(4), repeat=size)
        counted = sum(any(all(c < x for c, x in zip(cell, p, strict=True)) for p in grid) for cell in cells)
        assert hypervolume(grid.tolist()) == pytest.approx(counted)
    assert hypervolume([]) == hypervolume([[0.0, 1.0]]) == 0.0


def test_nobody_on_a_front_is_dominated_and_all_others_are() -> None:
    chance = np.random.default_rng(1)
    for _ in range(100):
        tables = [chance.integers(0, 3, (6, 5)).astype(float) for _ in range(3)]
        means = np.array([table.mean(axis=1) for table in tables]).T
        kept = nondominated(tables)
        for i, own in enumerate(means):
            better = [(o >= own).all() and (o > own).any() for o in means]
            assert kept[i] == (not any(better) and not any((means[j] == own).all() for j in range(i)))


def test_candidates_are_compared_where_both_were_met() -> None:
    """The means are 1 and 0.75, and on what both met 1 and 0.5."""
    first, second = (
        [1.0, 1.0, np.nan, np.nan],
        [1.0, 0.0, 1.0, 1.0],
    )
    assert list(nondominated([np.array([first, second])])) == [True, False]
    apart = np.array([[1.0, np.nan], [np.nan, 0.0]])
    assert list(nondominated([apart])) == [True, True]


def test_of_equal_prices_the_race_is_that_of_the_score_alone() -> None:
    scores = (np.random.default_rng(2).random((5, 40)) < [[0.9], [0.85], [0.5], [0.4], [0.3]]).astype(float)
    gone = outdone(scores, [-np.ones_like(scores)], range(5), 100, worth=0.0002, seed=0)
    alone = standing(scores, 100, worth=0.0002, seed=0)
    assert set(gone) == {index for index in range(5) if not alone.keep[index]}
    assert gone
    assert all(gone[index].behind == pytest.approx(alone.behind[index]) for index in (3, 4))


def test_a_worse_score_at_a_lower_price_goes_on_and_at_a_higher_one_does_not() -> None:
    scores = (np.random.default_rng(3).random((3, 40)) < [[0.9], [0.4], [0.4]]).astype(float)
    prices = np.array([[2.0], [1.0], [3.0]]) * np.ones_like(scores)
    gone = outdone(scores, [-prices], range(3), 100, worth=0.0002, seed=0)
    assert set(gone) == {2}
    assert gone[2].by == 0
    assert not outdone(scores, [-prices], [0, 1], 100, worth=0.0002, seed=0)


def test_one_of_several_equals_stays() -> None:
    scores = np.tile((np.arange(40) % 2).astype(float), (4, 1))
    assert len(outdone(scores, [-np.ones_like(scores)], range(4), 40, worth=0.0002, seed=0)) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("score,speed", "'speed' is not known; expected some of: score, cost, latency, prompt_tokens"),
        ("score,maximize:score", "contradictory: score stands twice"),
        ("score,maximize:cost,minimize:cost", "contradictory: cost is to be maximized and minimized"),
        ("minimize:score,cost", "score can only be maximized"),
        ("score,maximize:cost", "cost can only be minimized"),
        ("cost,latency", "lacks score"),
        ("score,less:cost", "with maximize: or minimize: before it"),
        ("", "'' is not known"),
    ],
)
def test_objectives_that_make_no_sense_are_refused(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        objective_of(text)


def test_objectives_are_read() -> None:
    assert objective_of("prompt_tokens, maximize:score").names == ("score", "prompt_tokens")
    assert not objective_of("score").several
    both = Objective(("score", "cost"), {"cost": 0.1})
    assert Objective.load(json.loads(json.dumps(both.dump()))) == both
    for pick, said in (({"latency": 1}, "expected trial, or limits of score, cost"), ({"cost": "low"}, "a number"),
                       ({"trial": 1, "cost": 2}, "contradictory")):  # fmt: skip
        with pytest.raises(BadInput, match=said):
            Objective(("score", "cost"), pick)
    with pytest.raises(BadInput, match="needs a front"):
        Objective(pick={"score": 1})


@pytest.mark.parametrize("pick", [{}, {"prompt_tokens": 1}, {"score": 0.99}])
def test_a_pick_that_nothing_meets_leaves_the_declared_program_where_nothing_is_better(
    tmp_path: Path, pick: dict[str, float]
) -> None:
    """Demonstrations help on the rows that choose and do harm on those kept apart."""
    task, race = fakes.task(dev=100), Race(candidates=6, instructions=0)
    liked = {task.dev[row].text for row in Selection.of(task.dev, race.confirm, 0).choose}

    def script(request: Any) -> str:
        text = input_fields(request)["text"]
        right = text in liked if len(request.messages) > 2 else int(text.split()[-1]) % 2
        return render_fields({"colour": fakes.truth(text) if right else "grey"})

    goals = Objective(("score", "prompt_tokens"), pick)
    found = compile(task, ScriptedEngine(script), race, objective=goals, run=tmp_path / "r")
    assert "no gain but a loss" in found.verdict and "so the declared program stays" in found.verdict
    assert ("so none of them was picked" in found.verdict) == bool(pick)
    assert found.candidate == Candidate.of(task.program)


def test_a_front_needs_a_race_and_prices(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="needs the optimizer race; k-shot knows of the score alone"):
        compile(fakes.task(), painter(), "k-shot", objective="score,prompt_tokens", run=tmp_path / "r")
    engine = painter()
    engine.priced = False  # type: ignore[attr-defined]
    with pytest.raises(BadInput, match="the price of painter is not known"):
        made(tmp_path / "r", engine, objective="score,cost")
    assert engine.calls == 0


def test_a_front_is_found_the_same_at_any_concurrency_and_picked_from_for_nothing(tmp_path: Path) -> None:
    engine = painter()
    found = made(tmp_path / "a", engine)
    other = made(tmp_path / "elsewhere" / "b", concurrency=1)
    names = ("program.json", "report.json", "trials.jsonl")
    assert [(tmp_path / "a" / n).read_bytes() for n in names] == [
        (tmp_path / "elsewhere" / "b" / n).read_bytes() for n in names
    ]
    assert other.front == found.front
    front = found.front
    assert front is not None
    assert len(front) >= 2
    assert front.n == 48
    scores, tokens = ([p.values[name] for p in front] for name in ("score", "prompt_tokens"))
    assert scores == sorted(scores, reverse=True)
    assert tokens == sorted(tokens, reverse=True)
    assert all(p.score.low <= p.score.value == p.values["score"] <= p.score.high for p in front)
    level = 1 - 0.05 / len(found_points(tmp_path / "a"))
    assert [p.gain.level for p in front if p.gain is not None] == pytest.approx(
        [level] * sum(p.trial > 0 for p in front)
    )
    assert all((p.gain is None) == (p.trial == 0) for p in front)
    box = [(p.values["score"], 1 - p.values["prompt_tokens"] / front.worst["prompt_tokens"]) for p in front]
    assert front.hypervolume == pytest.approx(compute_hypervolume(-np.array(box), np.zeros(2)))
    calls = engine.calls
    short = found.pick(prompt_tokens=tokens[-1])
    assert short.candidate == front.points[-1].candidate
    assert found.pick(front.points[0].trial).candidate == front.points[0].candidate
    assert found.pick(score=scores[-1]).candidate == short.candidate
    assert f"trial {front.points[-1].trial} of a front of {len(front)}" in short.verdict
    again = load_program(tmp_path / "a", fakes.task().program, lm=engine)
    assert again.front == front
    assert again.pick(prompt_tokens=tokens[-1]).candidate == short.candidate
    picked = made(tmp_path / "c", engine, objective=Objective(front.names, {"prompt_tokens": tokens[-1]}))
    assert picked.candidate == short.candidate
    assert "was picked from the front by prompt_tokens=" in picked.verdict
    assert engine.calls == calls
    with pytest.raises(BadInput, match=r"no point within prompt_tokens=1; it has: trial \d+ \(score="):
        found.pick(prompt_tokens=1)
    none = made(tmp_path / "d", engine, objective=Objective(front.names, {"prompt_tokens": 1}))
    assert none.candidate == found.candidate
    assert "so none of them was picked" in none.verdict
    assert verify(tmp_path / "a") == []
    (tmp_path / "a" / "trials.jsonl").write_text("")
    with pytest.raises(Damaged, match="trials.jsonl"):
        load_program(tmp_path / "a", fakes.task().program, lm=engine)


def found_points(folder: Path) -> list[int]:
    """Trials other than the declared program that were neither dropped nor dominated."""
    trials = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    stayed = [t for t in trials if t["decision"] != "dropped"]
    means = [(t["mean"], -np.mean([v for _, v in t["measures"]["prompt_tokens"]])) for t in stayed]
    return [
        t["number"]
        for i, t in enumerate(stayed)
        if t["number"]
        and not any((o[0] >= means[i][0] and o[1] >= means[i][1]) and o != means[i] for o in means)
        and not any(means[j] == means[i] for j in range(i))
    ]


def test_a_front_is_shown(tmp_path: Path) -> None:
    found = made(tmp_path / "r")
    assert found.front is not None
    shown = found.explain()
    assert shown.course
    assert shown.front == found.front
    assert str(found.front) in str(shown)
    assert "tokens in" in str(found)
    page = shown._repr_html_()
    picture = svg(found.front, "prompt_tokens")
    assert picture in page
    assert picture.count("<circle") == len(found.front)
    assert "hypervolume" in found._repr_html_()
    with pytest.raises(BadInput, match="has no front to pick from"):
        compile(fakes.task(), painter(), fakes.SMALL, run=tmp_path / "plain").pick(score=0.5)


def test_latency_is_what_the_journal_recorded(tmp_path: Path) -> None:
    """Carried out again from the journal, a run decides by the times of the first one."""
    found = made(tmp_path / "r", painter(seconds=0.001), objective="score,latency", concurrency=4)
    assert found.front is not None
    assert all(p.values["latency"] >= 0.001 for p in found.front)
    files = {name: (tmp_path / "r" / name).read_bytes() for name in ("report.json", "trials.jsonl", "program.json")}
    engine = painter(seconds=1.0)
    made(tmp_path / "r", engine, objective="score,latency", concurrency=16)
    assert engine.calls == 0
    assert files == {name: (tmp_path / "r" / name).read_bytes() for name in files}


def test_a_budget_leaves_the_front_so_far(tmp_path: Path) -> None:
    for calls in (0, 150, 400):
        engine = painter()
        found = made(tmp_path / str(calls) / "r", engine, budget=Budget(calls=calls))
        assert engine.calls <= calls
        assert "stopped early" in found.verdict
        assert (found.front is not None) == ("hypervolume" in str(found)) == (calls > 0)


def test_an_estimate_bounds_what_a_front_costs(tmp_path: Path) -> None:
    engine = painter(input_pico=1000)
    task = fakes.task(dev=160)
    bound = estimate(task, engine, RACE, objective="score,prompt_tokens")
    spent = made(tmp_path / "r", engine).lm.door.session.ledger.spent
    assert bound.low.calls <= spent.calls <= bound.high.calls
