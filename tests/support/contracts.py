"""The contracts: a new engine, task, proposer or stage inherits the class of its kind and is tested by it.

A subclass is called ``Test...``, says how its thing is made, and adds tests for what is particular to it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import dspy
import fakes
from dspy import lm15
from dstill.distill import DistillState, Stage
from dstill.eval import Runner
from dstill.optimizers import Candidate, History, Proposer
from dstill.optimizers.proposers import Ground
from dstill.programs import Task
from dstill.programs.metrics import call
from dstill.runtime import LM, Engine, Session
from dstill.runtime.canonical import canonical
from dstill.runtime.wire import Request, request_of_chat


class EngineContract:
    """``dstill.runtime.Engine``. Subclasses make their engine; each call makes one that stands for the same model."""

    def make(self, folder: Path) -> Engine:
        raise NotImplementedError

    def asked(self, **config: Any) -> Request:
        """A request that the engine can answer."""
        return request_of_chat("m", [{"role": "user", "content": "the quick brown fox"}], self.config(**config))

    def config(self, **config: Any) -> Any:
        return lm15.Config(**{"max_tokens": 8, **config})

    def test_it_is_an_engine_that_says_what_it_is(self, tmp_path: Path) -> None:
        engine, same = self.make(tmp_path), self.make(tmp_path)
        assert isinstance(engine, Engine)
        assert engine.name
        assert engine.concurrency >= 1
        assert engine.max_tokens is None or engine.max_tokens >= 1
        assert canonical(engine.identity) == canonical(same.identity)
        engine.close()
        same.close()

    def test_it_answers_many_at_once_at_no_more_than_its_bound(self, tmp_path: Path) -> None:
        engine, request = self.make(tmp_path), self.asked()
        bound = engine.bound(request)
        assert bound.calls in (0, 1)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(engine.complete, [request] * 8))
        for response in found:
            cost = engine.cost(request, response)
            assert cost.most(bound) == bound
            assert isinstance(response.text, str)
        if engine.repeatable:
            assert len({response.text for response in found}) == 1
        engine.close()

    def test_where_it_is_repeatable_a_seed_decides(self, tmp_path: Path) -> None:
        engine, again = self.make(tmp_path), self.make(tmp_path)
        if engine.repeatable:
            request = self.asked(temperature=1.0, seed=7)
            assert engine.complete(request).text == again.complete(request).text
        engine.close()
        again.close()

    def test_behind_the_door_a_call_is_made_once(self, tmp_path: Path) -> None:
        engine, session = self.make(tmp_path), Session()
        lm = LM(engine, session)
        first = lm.door.complete(self.asked())
        assert lm.door.complete(self.asked()).text == first.text
        assert len(session.journal) == 1
        engine.close()


class TaskContract:
    """What ``task_named`` may rely on. Subclasses make their task, from files in ``folder`` if it needs any."""

    def make(self, folder: Path) -> Task:
        raise NotImplementedError

    def test_it_is_made_the_same_each_time(self, tmp_path: Path) -> None:
        assert self.make(tmp_path).digests == self.make(tmp_path).digests

    def test_its_own_labels_get_full_marks(self, tmp_path: Path) -> None:
        task = self.make(tmp_path)
        for split in ("dev", "test"):
            for example in task.split(split)[:50]:
                assert call(task.metric, example, dspy.Prediction(**example.labels()), "an example").value == 1.0

    def test_its_examples_have_what_the_program_is_given(self, tmp_path: Path) -> None:
        task = self.make(tmp_path)
        for split in ("train", "dev", "test"):
            assert all(example.inputs().keys() for example in task.split(split))


class StageContract:
    """``dstill.distill.Stage``. Subclasses give a stage and the state before it."""

    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        raise NotImplementedError

    def test_the_contract(self, tmp_path: Path, bases: dict[str, str]) -> None:
        stage, given = self.before(tmp_path, bases)
        assert isinstance(stage, Stage)
        before = (given.pairs, given.students, given.gates, given.teacher.candidate.digest)
        after = stage.run(given)
        assert (given.pairs, given.students, given.gates, given.teacher.candidate.digest) == before
        assert len(after.effects) == len(given.effects) + 1
        assert after.effects[-1].stage == stage.name
        assert after.effects[-1].rows_out == after.rows
        files = {p: p.read_bytes() for p in sorted((tmp_path / "run").rglob("*")) if p.is_file()}
        again = stage.run(given)
        assert again == after
        assert {p: p.read_bytes() for p in sorted((tmp_path / "run").rglob("*")) if p.is_file()} == files


class ProposerContract:
    """``dstill.optimizers.Proposer``. Subclasses make theirs; ``fruitful`` if it must bring something here."""

    fruitful = True

    def make(self, ground: Ground) -> Proposer:
        raise NotImplementedError

    def ground(self) -> Ground:
        task = fakes.task()
        lm = LM(fakes.painter(), Session())
        return Ground(task.program, task.train, Runner(lm, task.metric, concurrency=4), lm, 0)

    def history(self, ground: Ground) -> History:
        better = ground.baseline.with_state("self", instructions="Look twice.", demos=({"text": "a", "colour": "red"},))
        third = ground.baseline.with_state("self", demos=({"text": "b", "colour": "blue"},))
        history = History().add([(ground.baseline, "declared", ()), (better, "x", (0,)), (third, "x", (0,))], 0)
        for number, mean in enumerate((0.4, 0.9, 0.6)):
            scores = {place: float(place < 10 * mean) for place in range(10)}
            history = history.change(number, scores=scores, met=10)
        return history

    def test_it_is_a_proposer_with_a_name(self) -> None:
        made = self.make(self.ground())
        assert isinstance(made, Proposer)
        assert made.name

    def test_it_brings_at_most_what_is_asked_all_new_and_all_different(self) -> None:
        ground = self.ground()
        history = self.history(ground)
        for n in (1, 3, 8):
            found = self.make(ground).propose(history, Random(0), n)
            assert len(found) <= n
            assert len({candidate.digest for candidate in found}) == len(found)
            assert not any(history.has(candidate) for candidate in found)
            if self.fruitful:
                assert found

    def test_it_is_a_function_of_its_arguments(self) -> None:
        ground, again = self.ground(), self.ground()
        history = self.history(ground)
        one = self.make(ground)
        first = one.propose(history, Random(5), 3)
        assert one.propose(history, Random(5), 3) == first
        assert self.make(again).propose(history, Random(5), 3) == first

    def test_its_candidates_fit_the_program_and_leave_it_alone(self) -> None:
        ground = self.ground()
        before = Candidate.of(ground.program)
        for candidate in self.make(ground).propose(self.history(ground), Random(1), 3):
            assert Candidate.of(candidate.apply(ground.program), ground.knobs) == candidate
        assert Candidate.of(ground.program) == before

    def test_it_works_before_anything_was_tried(self) -> None:
        ground = self.ground()
        history = History().add([(ground.baseline, "declared", ())], 0)
        for candidate in self.make(ground).propose(history, Random(2), 2):
            assert candidate != ground.baseline
