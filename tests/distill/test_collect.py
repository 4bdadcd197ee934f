"""Rows for students: what a teacher answered, gold labels, and which of them are kept."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
from contracts import StageContract
from dstill.distill import (
    Collect,
    DistillState,
    Filter,
    Gold,
    Pair,
    Stage,
    TrainEncoder,
    distill,
    student_engine,
)
from dstill.distill.similar import first_of_kind, jaccard, shingles
from dstill.distill.students.formats import kind_of
from dstill.optimizers import compile
from dstill.programs import Fence
from dstill.runtime import (
    LM,
    BadInput,
    Budget,
    ScriptedEngine,
    Session,
    derive,
)
from dstill.runtime.fields import input_fields, render_fields
from students import FAST, state, teacher


class TestCollect(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        return Collect(), state(tmp_path)

    def test_only_what_passes_the_metric(self, tmp_path: Path) -> None:
        after = Collect().run(state(tmp_path))
        rows = after.pairs["self"]
        assert 10 < len(rows) < 40
        assert all(row.outputs["colour"] == fakes.truth(row.inputs["text"]) for row in rows)

    def test_everything_of_a_teacher_on_inputs_without_labels(self, tmp_path: Path) -> None:
        task = fakes.task()
        unlabelled = replace(task, train=[row.without("colour") for row in task.train])
        made = compile(task, fakes.painter(), "zero-shot", run=tmp_path / "teacher")
        given = DistillState(unlabelled.compile_view, made, "", Session(), tmp_path)
        assert len(Collect(keep="all").run(given).pairs["self"]) == 40

    @pytest.mark.parametrize("gold", ["colour", "truth"])
    def test_inputs_without_labels_may_have_other_fields(self, tmp_path: Path, gold: str) -> None:
        def given(n: int, row: dspy.Example) -> dspy.Example:
            more = {gold: row.colour} if n < 10 else {}
            return dspy.Example(id=row.id, text=row.text, document=f"d{n % 3}", **more).with_inputs("text")

        task = fakes.task(metric=lambda example, made: float(example[gold] == made.colour))
        task = replace(task, train=[given(n, row) for n, row in enumerate(task.train)])
        made = compile(fakes.task(), fakes.painter(), "zero-shot", run=tmp_path / "teacher")
        after = Collect().run(DistillState(task.compile_view, made, "", Session(), tmp_path))
        kept = {row.example for row in after.pairs["self"]}
        assert {row.id for row in task.train[10:]} <= kept
        assert not {row.id for row in task.train[:10]} <= kept  # those it is wrong about
        assert after.effects[-1].notes[-1] == "30 without a label, kept as answered"

    def test_several_samples_make_soft_labels(self, tmp_path: Path) -> None:
        def script(request: Any) -> str:
            odd = (request.config.seed or 0) % 2
            return render_fields({"colour": "red" if odd else "blue"})

        engine = ScriptedEngine(script, repeatable=True)
        after = Collect(keep="all", samples=4).run(state(tmp_path, engine=engine))
        soft = [row.soft for row in after.pairs["self"]]
        assert len(soft) == 40
        assert any(row is not None and len(row) == 2 for row in soft)
        assert all(row is not None and abs(sum(row.values()) - 1) < 1e-9 for row in soft)

    def test_rows_are_weighted_by_the_score(self, tmp_path: Path) -> None:
        task = fakes.task(metric=lambda e, p: 0.25 if p.colour == e.colour else 0.0)
        rows = Collect(keep="weighted").run(state(tmp_path, task=task)).pairs["self"]
        assert {row.weight for row in rows} == {0.25}

    def test_rows_go_by_predictor_and_not_by_place(self, tmp_path: Path) -> None:
        class Turns(dspy.Module):
            def __init__(self) -> None:
                super().__init__()
                self.a = dspy.Predict("text -> hint")
                self.b = dspy.Predict("text, hint -> colour")

            def forward(self, text: str) -> Any:
                if int(text.split()[-1]) % 2:
                    self.a(text="extra")
                return self.b(text=text, hint=self.a(text=text).hint)

        def script(request: Any) -> str:
            fields = input_fields(request)
            if "hint" in fields:
                return render_fields({"colour": fakes.truth(fields["text"])})
            return render_fields({"hint": "h"})

        task = fakes.task(program=Turns())
        made = compile(task, ScriptedEngine(script, repeatable=True), "zero-shot", run=tmp_path / "teacher")
        after = Collect().run(DistillState(task.compile_view, made, "", Session(), tmp_path))
        assert len(after.pairs["a"]) == 60
        assert len(after.pairs["b"]) == 40
        assert all(set(row.outputs) == {"colour"} for row in after.pairs["b"])

    def test_copies_of_a_predictor_are_known(self, tmp_path: Path) -> None:
        class Copies(dspy.Module):
            def __init__(self) -> None:
                super().__init__()
                self.a = dspy.Predict(fakes.Paint)

            def forward(self, text: str) -> Any:
                return self.a.deepcopy()(text=text)

        best = dspy.BestOfN(dspy.Predict(fakes.Paint), N=2, reward_fn=lambda args, pred: 1.0, threshold=1.0)
        for place, program in enumerate((Copies(), best)):
            given = state(tmp_path / str(place), task=fakes.task(program=program))
            (rows,) = Collect(keep="all").run(given).pairs.values()
            assert len(rows) == 40

    def test_an_enumeration_is_learned_as_it_is_read(self, tmp_path: Path, bases: dict[str, str]) -> None:
        """Of members whose values are no texts the names are, which DSPy takes; it does not take "1"."""

        class Level(Enum):
            LOW = 1
            HIGH = 2

        signature = dspy.Signature("text -> colour").with_updated_fields("colour", type_=Level)
        task = fakes.task(program=dspy.Predict(signature), metric=lambda e, p: 1.0)
        engine = ScriptedEngine(
            lambda r: render_fields({"colour": ("LOW", "HIGH")[int(input_fields(r)["text"].split()[-1]) % 2]})
        )
        given = Collect().run(state(tmp_path, bases["encoder"], task, engine))
        assert {row.outputs["colour"] for row in given.pairs["self"]} == {"LOW", "HIGH"}
        assert kind_of(Level) == {"literal": ["LOW", "HIGH"]}
        after = TrainEncoder(training=FAST).run(given)
        with dspy.context(lm=LM(student_engine(after.students["self"]))):
            assert dspy.Predict(signature)(text="thing number 3").colour in Level

    def test_a_teacher_that_passes_nothing_is_one_clear_message(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="the teacher passes nothing: of 40"):
            Collect().run(state(tmp_path, engine=fakes.painter(lambda d, i: 0.0)))

    @pytest.mark.parametrize(("calls", "examples"), [(10, 8), (40, 32), (100, 64), (140, 128), (150, 150)])
    def test_a_budget_ends_it_with_whole_rounds(self, tmp_path: Path, calls: int, examples: int) -> None:
        task = fakes.task(train=150)
        made = compile(task, fakes.painter(), "zero-shot", run=tmp_path / "teacher")
        session = Session(budget=Budget(calls=calls))
        after = Collect(keep="all").run(DistillState(task.compile_view, made, "", session, tmp_path))
        assert len(after.pairs["self"]) == examples
        assert bool(after.stopped) == (examples < 150)
        if after.stopped:
            assert f"the budget of {calls} calls ended it after {examples} examples" in after.effects[0].notes


class TestGold(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        return Gold(), state(tmp_path)

    def test_labels_are_the_datas_own(self, tmp_path: Path) -> None:
        rows = Gold().run(state(tmp_path)).pairs["self"]
        assert len(rows) == 40
        assert all(row.outputs["colour"] == fakes.truth(row.inputs["text"]) for row in rows)


class TestFilter(StageContract):
    def before(self, tmp_path: Path, bases: dict[str, str]) -> tuple[Stage, DistillState]:
        given = state(tmp_path)
        dev = given.task.dev[3]
        rows = (
            Pair("a", {"text": "one"}, {"colour": "red"}),
            Pair("b", {"text": " ONE "}, {"colour": "Red"}),
            Pair("c", {"text": "one"}, {"colour": "blue"}),
            Pair("d", {"text": dev.text.upper()}, {"colour": "red"}),
        )
        return Filter(), replace(given, pairs={"self": rows})

    def test_duplicates_and_contamination_are_named(self, tmp_path: Path, bases: dict[str, str]) -> None:
        stage, given = self.before(tmp_path, bases)
        after = stage.run(given)
        assert [row.example for row in after.pairs["self"]] == ["a", "c"]
        named = f"self: 1 rows stand in dev (d is {given.task.dev[3].id})"
        assert after.effects[-1].notes == (named, "self: 1 duplicates")

    def rows(self, *texts: str, **more: Any) -> tuple[Pair, ...]:
        return tuple(Pair(f"t{n}", {"text": text}, {"colour": "red"}, **more) for n, text in enumerate(texts))

    def test_near_duplicates_go_only_with_equal_answers(self, tmp_path: Path) -> None:
        rows = self.rows("the quick brown fox jumps over it", "the quick brown fox jumps over it!", "something else")
        other = replace(rows[1], example="other", outputs={"colour": "blue"})
        given = replace(state(tmp_path), pairs={"self": (*rows, other)})
        after = Filter(near=0.8).run(given)
        assert [row.example for row in after.pairs["self"]] == ["t0", "t2", "other"]
        assert after.effects[-1].notes == ("self: 1 near-duplicates (overlap of 0.8)",)
        assert len(Filter().run(given).pairs["self"]) == 4

    def test_thirteen_words_of_dev_or_test_are_contamination(self, tmp_path: Path) -> None:
        words = "one two three four five six seven eight nine ten eleven twelve thirteen"
        given = state(tmp_path)
        dev = [dspy.Example(text=f"{words} and more", colour="red").with_inputs("text"), *given.task.dev]
        test = [dspy.Example(text=f"so {words.upper()}.", colour="red").with_inputs("text"), *fakes.task().test]
        shorter = " ".join(words.split()[:-1])
        rows = self.rows(f"Before: {words}!", shorter)
        inside = replace(given, task=replace(given.task, dev=dev), pairs={"self": rows})
        behind = replace(given, fence=Fence.of(test), pairs={"self": rows})
        for state_, note in ((inside, "self: 1 rows stand in dev (t0)"), (behind, "self: 1 rows stand in test (t0)")):
            after = Filter().run(state_)
            assert [row.example for row in after.pairs["self"]] == ["t1"]
            assert after.effects[-1].notes == (note,)
            assert len(Filter(ngram=False).run(state_).pairs["self"]) == 2

    @pytest.mark.parametrize("kind", [str, list])
    def test_rows_go_with_the_example_that_they_come_from(self, tmp_path: Path, kind: type[Any]) -> None:
        """Inputs that are no text, and what a later predictor reads, are other texts in the row than in the example."""

        def example(n: int, split: str, word: str = "word") -> dspy.Example:
            text = [f"{word} {n}", "same"] if kind is list else f"{word} {n}"
            return dspy.Example(id=f"{split}{n}", text=text, colour="red").with_inputs("text")

        parts = {"train": [example(n, "t") for n in range(4)], "dev": [example(1, "d", "WORD")]}
        task = replace(fakes.task().compile_view, **parts)
        rows = tuple(Pair(f"t{n}", {"text": json.dumps(task.train[n].text)}, {"colour": "red"}) for n in range(4))
        later = tuple(Pair(f"t{n}", {"tone": f"tone {n}"}, {"colour": "red"}) for n in range(4))
        given = replace(
            state(tmp_path), task=task, fence=Fence.of([example(2, "e")]), pairs={"first": rows, "later": later}
        )
        after = Filter().run(given)
        assert {name: [row.example for row in left] for name, left in after.pairs.items()} == {
            "first": ["t0", "t3"], "later": ["t0", "t3"],
        }  # fmt: skip
        where = ("dev (t1 is d1)", "test (t2)")
        named = [f"{name}: 1 rows stand in {one}" for name in given.pairs for one in where]
        assert list(after.effects[-1].notes) == named

    def test_a_tasks_own_wording_is_no_contamination(self) -> None:
        words = "please read the following message with great care and then name the right team"
        shared = Fence.of([dspy.Example(text=f"{words} {n}").with_inputs("text") for n in range(40)])
        assert shared.holds([f"{words} seventy"]) is None
        assert shared.holds([f"{words} 7"]) == "exact"
        alone = Fence.of([dspy.Example(text=f"{words} {n}").with_inputs("text") for n in range(2)])
        assert alone.holds([f"{words} seventy"]) == "n-gram"

    def test_low_confidence_failures_and_empty_answers(self, tmp_path: Path) -> None:
        rows = (
            Pair("sure", {"text": "a"}, {"colour": "red"}, confidence=0.8, score=1.0),
            Pair("unsure", {"text": "b"}, {"colour": "red"}, confidence=0.4, score=1.0),
            Pair("half", {"text": "c"}, {"colour": "red"}, score=0.5),
            Pair("wrong", {"text": "d"}, {"colour": "red"}, score=0.0),
            Pair("empty", {"text": "e"}, {"colour": " "}),
        )
        given = replace(state(tmp_path), pairs={"self": rows})

        def left(stage: Filter) -> dict[str, float]:
            return {row.example: row.weight for row in stage.run(given).pairs["self"]}

        assert list(left(Filter())) == ["sure", "unsure", "half", "wrong"]
        assert list(left(Filter(confidence=0.5, score="passing"))) == ["sure"]
        assert left(Filter(score="weight")) == {"sure": 1.0, "unsure": 1.0, "half": 0.5}
        effect = Filter(score="passing").run(given).effects[-1]
        assert effect.quality == (0.625, 1.0)
        assert effect.score == "rows 62.5 → 100.0"
        with pytest.raises(BadInput, match="leaves nothing of 1 rows: self: 1 empty answers"):
            Filter().run(replace(given, pairs={"self": rows[4:]}))
        with pytest.raises(BadInput, match="near=0"):
            Filter(near=0)


def test_near_duplicates_are_those_of_brute_force() -> None:
    chance = derive(0, "near")
    words = ["alpha", "beta", "gamma", "delta", "eps"]
    texts = [" ".join(chance.choice(words) for _ in range(chance.randrange(1, 9))) for _ in range(300)]
    for threshold in (0.3, 0.6, 0.9, 1.0):
        found = first_of_kind(texts, threshold)
        kept: list[int] = []
        for place, text in enumerate(texts):
            like = [k for k in kept if jaccard(shingles(texts[k]), shingles(text)) >= threshold]
            assert found[place] == (like[0] if like else None)
            if not like:
                kept.append(place)


def test_an_effect_says_what_its_answers_cost(tmp_path: Path) -> None:
    made = distill(teacher(tmp_path), fakes.task(), "embedded:encoder", [Collect()], run=tmp_path / "run")
    (effect,) = made.effects
    assert effect.cost is not None
    assert effect.cost.calls == 40
    again = distill(teacher(tmp_path), fakes.task(), "embedded:encoder", [Collect()], run=tmp_path / "run")
    assert again.effects == made.effects
    assert "40 calls" in made._repr_html_()
