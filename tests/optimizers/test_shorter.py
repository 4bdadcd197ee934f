"""Shorter prompts: what is cut, and when a shorter version takes the place of the best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import fakes
import pytest
from contracts import ProposerContract
from dstill.eval.compare import non_inferior
from dstill.optimizers import Candidate, History, PredictorState, Proposer, Race, compile
from dstill.optimizers.proposers import Ground, ShortenedPrompts
from dstill.optimizers.race import decide
from dstill.optimizers.shorter import settle

RACE = Race(shorter=2, margin=0.03)
ROWS = [1.0] * 200 + [0.0] * 100


class TestShortened(ProposerContract):
    def make(self, ground: Ground) -> Proposer:
        return ShortenedPrompts(ground)

    def test_what_it_brings_is_the_leader_with_less(self) -> None:
        ground = self.ground()
        long = ground.baseline.with_state(
            "self", instructions="Name the colour. " * 9, demos=tuple(d for _, d in ground.labelled("self")[:4])
        )
        history = self.history(ground).add([(long, "x", (0,))], 1)
        history = replace(history.change(3, scores=dict.fromkeys(range(10), 1.0), met=10), leads=(3,))
        found = self.make(ground).propose(history, Random(0), 8)
        state = long.predictors["self"]
        kinds = set()
        for candidate in found:
            assert history.parents(candidate, 0) == (3,)
            assert candidate.length < long.length
            now = candidate.predictors["self"]
            assert [demo for demo in state.demos if demo in now.demos] == list(now.demos)  # in their order
            assert (now.instructions == state.instructions) != (now.demos == state.demos)
            kinds.add("words" if now.demos == state.demos else len(now.demos))
        assert kinds == {"words", 0, 2, 3}


def tried(*shorter: list[float], long: list[float] = ROWS, origin: str = "shortened") -> History:
    """A leader of three demonstrations, and versions with fewer."""
    best = Candidate({"self": PredictorState("do", tuple({"n": n} for n in range(9)))})
    made = [(best.with_state("self", demos=({"n": 0},) * (3 - n)), origin, (0,)) for n in range(len(shorter))]
    history = History(leads=(0,)).add([(best, "declared", ()), *made], 0)
    for number, row in enumerate((long, *shorter)):
        history = history.change(number, scores=dict(enumerate(row)), met=len(row))
    return history


def lost(count: int, rows: int = 300) -> list[float]:
    return [0.0] * count + ROWS[count:rows]


def test_a_shorter_version_wins_if_it_is_shown_to_lose_less_than_the_margin() -> None:
    best, said = settle(tried(lost(1)), RACE)
    assert best.number == 1
    bound = -non_inferior(lost(1), ROWS, margin=0.03, level=0.975).difference.low
    assert f"shown to lose at most {100 * bound:.1f} points against it on 300 examples, margin 3" in said
    assert "% shorter than trial 0" in said


def test_of_several_the_shortest_wins_whatever_its_score_within_the_margin() -> None:
    assert settle(tried(ROWS, lost(1)), RACE)[0].number == 2
    assert settle(tried(ROWS, lost(30)), RACE)[0].number == 1


@pytest.mark.parametrize("row", [lost(5), lost(0, 60), []])
def test_what_is_not_shown_does_not_win(row: list[float]) -> None:
    """A loss that may be more than the margin, too few examples, none at all."""
    best, said = settle(tried(row), RACE)
    assert best.number == 0
    assert said == "" if not row else "no shorter version was shown to lose less than 3 points" in said


def test_the_more_are_tried_the_more_each_must_show() -> None:
    edge = next(n for n in range(10) if settle(tried(lost(n)), replace(RACE, shorter=1))[0].number == 0) - 1
    assert settle(tried(lost(edge)), replace(RACE, shorter=1))[0].number == 1
    assert settle(tried(lost(edge)), replace(RACE, shorter=50))[0].number == 0


def test_only_shortened_versions_are_preferred_for_being_short() -> None:
    assert settle(tried(lost(1), origin="labeled-4"), RACE) == (tried(lost(1), origin="labeled-4").trials[0], "")


def test_it_stays_in_the_race_for_as_long_as_it_may_be_good_enough() -> None:
    few = tried(lost(6, 60), long=ROWS[:60])
    decided = decide(few, RACE, 100)
    assert decided.trials[1].decision == "live"
    assert decide(tried(lost(6, 60), long=ROWS[:60], origin="x"), RACE, 100).trials[1].decision == "dropped"
    assert decide(tried(lost(20, 60), long=ROWS[:60]), RACE, 100).trials[1].decision == "dropped"


def test_a_race_ends_with_the_shorter_prompt_and_says_so(tmp_path: Path) -> None:
    """Fewer demonstrations than four lose about a point; each version is asked on 280 rows."""
    engine = fakes.painter(lambda demos, instructions: 0.9 if demos == 4 else 0.89 if demos else 0.5)
    race = replace(fakes.SMALL, demos=4, instructions=0, shorter=4, margin=0.05)
    made = compile(fakes.task(dev=400), engine, race, run=tmp_path / "r")
    found = made.explain()
    assert len(made.candidate.predictors["self"].demos) in (1, 2)
    assert made.evidence is not None
    assert found.trials[made.evidence.best].origin == "shortened"
    assert "% shorter than trial" in made.verdict
    assert "WON: trial" in str(found)
    assert "a gain of +" in made.verdict
    assert all(t.origin != "shortened" for t in found.trials if t.born == 0)
