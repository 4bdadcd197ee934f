"""The portfolio: credit against SciPy, who is asked next, and when the search stands still."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import dspy
import fakes
import numpy as np
import pytest
from contracts import ProposerContract
from dstill.optimizers import Candidate, Ground, History, PredictorState, Proposer, Race, compile
from dstill.optimizers.config import dump
from dstill.optimizers.estimate import estimate
from dstill.optimizers.history import Turn
from dstill.optimizers.plan import Plan, shares
from dstill.optimizers.portfolio import Source, accounts, credit, orders, plateau, saved
from dstill.optimizers.proposers.base import fresh
from dstill.optimizers.proposers.named import proposer_named
from dstill.programs.lab.programs import Hunt
from dstill.runtime import BadInput, ScriptedEngine, Session
from dstill.runtime.budget import Cost
from scipy import stats

from dstill.replaying import optimizer_from

SOURCES = (Source("a", 4), Source("b", 4), Source("late", 2, early=False))


def grown(*rounds: dict[str, list[list[float]]], calls: int = 0) -> History:
    """A history in which every round brings candidates by proposer, with their scores; ``declared`` scored 0.5."""
    history = History().add([(Candidate({"self": PredictorState("0")}), "declared", ())], 0)
    history = history.change(0, scores=dict.fromkeys(range(40), 0.5), met=40)
    for number, brought in enumerate(rounds):
        for origin, rows in brought.items():
            start = len(history.trials)
            made = [Candidate({"self": PredictorState(str(start + n))}) for n in range(len(rows))]
            history = history.add([(each, origin, (0,)) for each in made], number)
            for n, row in enumerate(rows):
                history = history.change(start + n, scores=dict(enumerate(row)), met=len(row), cost=Cost(len(row)))
            turn = Turn(origin, number, len(rows), len(rows), calls)
            history = replace(history, turns=(*history.turns, turn))
    return history


BAD, GOOD = [[0.0] * 8, [0.4] * 8], [[0.8] * 8, [0.9] * 8]


def test_credit_is_how_sure_an_improvement_is() -> None:
    history = grown({"a": [[1, 1, 0, 1, 1, 1], [0.5] * 6, [0.0] * 6]})
    declared, better, equal, worse = history.trials
    apart = np.array([1, 1, 0, 1, 1, 1]) - 0.5
    spread = np.sqrt((((apart - apart.mean()) ** 2).sum() + 2) / (6 * 8))
    assert credit(better, declared) == pytest.approx(2 * stats.norm.cdf(apart.mean() / spread) - 1)
    assert credit(equal, declared) == credit(worse, declared) == 0.0
    assert credit(replace(better, scores={99: 1.0}), declared) == 0.0  # nothing in common


def test_whoever_is_there_makes_room_while_a_whole_field_may_still_come() -> None:
    plan = Plan((), SOURCES, Race(width=4), places=10)
    assert plan.coming(grown({"a": [[0.5] * 8] * 6}))
    assert not plan.coming(grown({"a": [[0.5] * 8] * 7}))
    assert not replace(plan, closing=True).coming(grown({"a": [[0.5] * 8] * 6}))
    still = replace(plan, sources=SOURCES[:1], race=Race(width=4, patience=5))
    assert still.coming(replace(grown({"a": GOOD}), since=4))
    assert not still.coming(replace(grown({"a": GOOD}), since=5))


def test_when_no_proposer_has_another_candidate_none_is_coming() -> None:
    class Empty:
        name = "a"

        def propose(self, history: History, rng: Random, n: int) -> list[Candidate]:
            return []

    plan = Plan((Empty(),), SOURCES[:1], Race(width=4), places=10)
    after = plan.fill(replace(grown(), coming=True), Session(), seed=0, number=1)
    assert not after.coming
    assert len(after.trials) == 1


def test_before_there_are_scores_they_are_asked_in_turn_and_who_needs_scores_waits() -> None:
    history = History().add([(Candidate({"self": PredictorState("0")}), "declared", ())], 0)
    assert orders(history, SOURCES, 6, 0, Random(0)) == [(0, 3), (1, 3)]
    assert orders(history, SOURCES, 7, 0, Random(0)) == [(0, 3), (1, 4)]
    assert orders(history, SOURCES, 1, 1, Random(0)) == [(1, 1)]


def test_every_other_place_goes_in_turn_until_a_share_is_brought() -> None:
    """One has brought nothing good and one has; still each gets its share."""
    sources = [replace(source, share=9) for source in SOURCES]
    history = grown({"a": BAD, "b": GOOD, "late": BAD})
    for seed in range(20):
        given = dict(orders(history, sources, 6, 1, Random(seed)))
        assert all(given.get(index, 0) >= 1 for index in range(3))
    full = [replace(source, share=2) for source in SOURCES]
    least = min(dict(orders(history, full, 6, 1, Random(seed))).get(0, 0) for seed in range(20))
    assert least == 0


def test_places_go_to_the_proposer_whose_candidates_improve_on_the_best() -> None:
    history = grown({"a": BAD, "b": GOOD, "late": [[0.2] * 8]}, {"a": BAD, "b": [[0.95] * 8, [1.0] * 8]})
    given = Counter(index for seed in range(100) for index, n in orders(history, SOURCES, 4, 2, Random(seed)) for _ in
                    range(n))  # fmt: skip
    assert given.total() == 400
    assert given[1] > 2 * given[0] > 0
    assert orders(history, SOURCES, 4, 2, Random(7)) == orders(history, SOURCES, 4, 2, Random(7))


def test_of_two_that_improve_alike_the_cheaper_one_is_asked_more() -> None:
    cheap = grown({"a": GOOD, "b": GOOD, "late": [[0.2] * 8]})
    dear = replace(cheap, turns=tuple(replace(t, calls=60 if t.origin == "b" else 0) for t in cheap.turns))
    sources = (replace(SOURCES[0], share=2), replace(SOURCES[1], share=2), replace(SOURCES[2], share=1))
    counts = [Counter(i for s in range(200) for i, n in orders(h, sources, 1, 1, Random(s))) for h in (cheap, dear)]
    assert abs(counts[0][0] - counts[0][1]) < 50
    assert counts[1][0] > 2 * counts[1][1]


def test_who_falls_short_rests_for_the_round_and_is_asked_again_in_the_next() -> None:
    history = grown({"a": BAD, "b": BAD})
    history = replace(history, turns=(*history.turns, Turn("a", 1, 2, 0, 0)))
    asked = {index for seed in range(50) for index, _ in orders(history, SOURCES[:2], 4, 1, Random(seed))}
    assert asked == {1}
    asked = {index for seed in range(50) for index, _ in orders(history, SOURCES[:2], 4, 2, Random(seed))}
    assert asked == {0, 1}


def test_calls_are_made_for_twice_a_share_at_the_most() -> None:
    history = grown({"a": BAD, "b": BAD})
    history = replace(history, turns=(*history.turns, Turn("a", 1, 7, 2, 30)))
    for seed in range(50):
        assert dict(orders(history, SOURCES[:2], 8, 2, Random(seed))).get(0, 0) <= 1
    history = replace(history, turns=(*history.turns, Turn("a", 2, 1, 1, 3)))
    assert {i for seed in range(50) for i, _ in orders(history, SOURCES[:2], 8, 3, Random(seed))} == {1}
    assert orders(history, [SOURCES[0]], 8, 3, Random(0)) == []


def test_evidence_fades() -> None:
    """One that was good when all was new, and not since: 2 of its 16 improved, which is less than an eighth."""
    later = [{"a": [[0.0] * 40] * 2, "b": [[0.66 + 0.05 * n] * 40]} for n in range(7)]
    rates = {account.name: account.rate for account in accounts(grown({"a": [[0.9] * 40] * 2, "b": BAD}, *later))}
    assert 0.01 < rates["a"] < 0.08
    best = [[0.55 + 0.06 * n] * 40 for n in range(8)]
    rates = {a.name: a.rate for a in accounts(grown(*({"a": BAD, "b": [row]} for row in best)))}
    assert rates["a"] == 0.0
    assert rates["b"] > 0.8


class Shouted:
    """Says the leader's instructions louder and louder."""

    name = "shouted"

    def __init__(self, ground: Ground) -> None:
        assert ground.train

    def propose(self, history: History, rng: Random, n: int) -> list[Candidate]:
        said = history.leader().candidate
        drawn = (
            said.with_state("self", instructions=said.predictors["self"].instructions + mark * count)
            for count in range(1, 9)
            for mark in "!?"
        )
        return fresh(history, drawn, n)


class Taken(Shouted):
    name = "instructions"


class TestShouted(ProposerContract):
    def make(self, ground: Ground) -> Proposer:
        return proposer_named(f"{__name__}:Shouted", ground)


def test_a_proposer_from_elsewhere_goes_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ideas", sys.modules[__name__])
    race = replace(fakes.SMALL, candidates=16, proposers={"ideas:Shouted": 3})
    made = compile(fakes.task(), fakes.painter(), race, run=tmp_path / "run")
    trials = [json.loads(line) for line in (tmp_path / "run" / "trials.jsonl").read_text().splitlines()]
    assert sum(trial["origin"] == "shouted" for trial in trials) >= 3
    assert "shouted" in str(made.explain())
    written = json.loads((tmp_path / "run" / "config.json").read_text())["optimizer"]
    assert optimizer_from(written) == race
    assert "proposers" not in dump(fakes.SMALL)
    assert estimate(fakes.task(), fakes.painter(), fakes.SMALL).known
    assert not estimate(fakes.task(), fakes.painter(), race).known


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"ideas": 3}, r"Race\(proposers=\{'ideas': 3\}\): expected module:name and how many"),
        ({"ideas:Shouted": 0}, "expected module:name and how many"),
        ({"ideas:Shouted": True}, "expected module:name and how many"),
        (["ideas:Shouted"], r"Race\(proposers=\['ideas:Shouted'\]\): expected a value like \{\}"),
        ({"nowhere:Shouted": 3}, "proposer 'nowhere:Shouted': there is none of that name: No module named 'nowhere'"),
        ({"ideas:Whispered": 3}, "there is none of that name: .*Whispered"),
        ({"ideas:Taken": 3}, "two proposers are called 'instructions'"),
        ({"json:loads": 3}, "proposer 'json:loads' cannot be made of a Ground: TypeError"),
        ({"builtins:repr": 3}, "proposer 'builtins:repr' is a str: expected a dstill.optimizers.Proposer"),
    ],
)
def test_what_is_no_proposer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Any, words: str) -> None:
    monkeypatch.setitem(sys.modules, "ideas", sys.modules[__name__])
    engine = fakes.painter()
    with pytest.raises(BadInput, match=words):
        compile(fakes.task(), engine, replace(fakes.SMALL, proposers=asked), run=tmp_path / "run")
    assert engine.calls == 0


def test_accounts_add_up() -> None:
    history = replace(grown({"a": BAD, "b": GOOD}, {"b": BAD}, calls=5), leads=(0, 3, 4))
    one, other = accounts(history)
    assert (one.name, one.turns, one.brought, one.making, one.evaluating, one.led) == ("a", 1, 2, 5, 16, 0)
    assert (other.name, other.turns, other.brought, other.making, other.evaluating, other.led) == ("b", 2, 4, 10, 32, 2)
    assert saved(history, 3) == round(3 * (48 + 15) / 6)


def test_a_plateau_waits_for_everybody_to_be_asked() -> None:
    history = replace(grown({"a": BAD, "b": BAD}), since=4)
    assert plateau(history, SOURCES[:2], 4)
    assert not plateau(history, SOURCES[:2], 5)
    assert not plateau(history, SOURCES, 4)
    assert plateau(history, (*SOURCES[:2], replace(SOURCES[2], share=0)), 4)


@pytest.mark.parametrize("race", [Race(), Race(candidates=2), Race(demos=0), Race(diverse=3, rewrites=9, merges=3)])
def test_all_candidates_are_given_to_somebody(race: Race) -> None:
    for program in (dspy.Predict("text -> label"), Hunt()):
        for told in (True, False):
            found = shares(race, program, [dspy.Example(text="a", **({"label": "b"} if told else {}))])
            assert sum(found.values()) == race.candidates - 1
            assert min(found.values()) >= 0


def test_where_examples_tell_all_nothing_is_bootstrapped() -> None:
    told, plain = [dspy.Example(text="a", label="b")], dspy.Predict("text -> label")
    assert shares(Race(), plain, told)["bootstrapped"] == 0 < shares(Race(), plain, told)["labeled"]
    assert shares(Race(), plain, [dspy.Example(text="a")])["bootstrapped"] > 0
    assert shares(Race(), dspy.ChainOfThought("text -> label"), told)["bootstrapped"] > 0


def told(folder: Path) -> tuple[dict[str, Any], Counter[str]]:
    report = json.loads((folder / "report.json").read_text())
    trials = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    return report, Counter(trial["origin"] for trial in trials)


def test_a_search_that_stands_still_ends_and_says_what_was_saved(tmp_path: Path) -> None:
    engine = fakes.painter(lambda demos, instructions: 0.6)
    race = replace(fakes.SMALL, candidates=40, patience=6)
    made = compile(fakes.task(), engine, race, run=tmp_path / "r")
    report, origins = told(tmp_path / "r")
    assert "the search ended at a plateau: none of the last" in made.verdict
    tried = origins.total()
    assert f"so {40 - tried} of 40 were not tried, which saved some" in made.verdict
    assert 7 <= tried < 30
    assert report["stopped"] is None
    assert "ended: a plateau" in str(made.explain())
    whole = compile(fakes.task(), engine, replace(race, candidates=7), run=tmp_path / "whole")
    assert "plateau" not in whole.verdict
    assert "ended: all 7 candidates were tried" in str(whole.explain())


def test_a_race_says_what_each_proposer_cost_and_brought(tmp_path: Path) -> None:
    """Examples tell no reasoning, so it is bootstrapped."""
    plain = fakes.painter()._script

    def thinking(request: Any) -> Any:
        return f"{'[[ ## reasoning ## ]] I look. ' if '`colour`' in str(request.system) else ''}\n{plain(request)}"

    task, engine = fakes.task(program=dspy.ChainOfThought(fakes.Paint)), ScriptedEngine(thinking, name="thinking")
    made = compile(task, engine, fakes.SMALL, run=tmp_path / "r")
    report, origins = told(tmp_path / "r")
    assert {a["name"]: a["brought"] for a in report["proposers"]} == {
        name: count for name, count in origins.items() if name != "declared"
    } | {a["name"]: 0 for a in report["proposers"] if not a["brought"]}
    by_name = {a["name"]: a for a in report["proposers"]}
    assert by_name["labeled-8"]["making"] == by_name["tpe"]["making"] == 0
    assert by_name["instructions"]["making"] >= 1
    assert by_name["bootstrapped-8"]["making"] >= 12
    found = made.explain()
    assert [a.dump() for a in found.proposers] == report["proposers"]
    assert sum(a.evaluating for a in found.proposers) == sum(t.cost.calls for t in found.trials[1:])
    assert "bootstrapped-8" in str(found).partition("proposer ")[2]
    assert "<th>proposer</th>" in found._repr_html_()
