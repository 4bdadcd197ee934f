"""Several teachers, several samples, and programs that vote: whose answers become rows, and how sure they are."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
from dstill.distill import (
    Collect,
    DistillState,
    Pair,
    TrainEncoder,
)
from dstill.distill.stages.binding import bind
from dstill.distill.stages.gate import scores_of
from dstill.distill.stages.trials import Trials
from dstill.distill.stages.votes import shares_by_logprobs
from dstill.optimizers import Candidate, compile
from dstill.optimizers.voting import Vote
from dstill.runtime import (
    LM,
    ScriptedEngine,
    Session,
)
from dstill.runtime.fields import input_fields, render_fields
from students import FAST, state, teacher


def test_several_teachers_vote_and_the_first_ones_wrong_answers_lose(tmp_path: Path) -> None:
    task = fakes.task()

    def painter(wrong: str, every: int, name: str) -> Any:
        def script(request: Any) -> str:
            text = input_fields(request)["text"]
            odd = int(text.split()[-1]) % 3 < every
            return render_fields({"colour": wrong if odd else fakes.truth(text)})

        return ScriptedEngine(script, repeatable=True, name=name)

    made = [
        compile(task, painter("red", 1, "a"), "zero-shot", run=tmp_path / "a"),
        compile(task, painter("blue", 1, "b"), "zero-shot", run=tmp_path / "b"),
        compile(task, painter("x", 0, "c"), "zero-shot", run=tmp_path / "c"),
    ]
    given = DistillState(task.compile_view, made[0], "", Session(), tmp_path, others=tuple(made[1:]))
    after = Collect().run(given)
    rows = after.pairs["self"]
    assert "votes of 3 teachers" in after.effects[-1].notes
    assert len(rows) == 40
    assert all(row.outputs["colour"] == fakes.truth(row.inputs["text"]) for row in rows)
    assert {round(row.confidence or 0, 2) for row in rows} <= {0.33, 0.67, 1.0}
    assert min(row.confidence or 0 for row in rows) < 0.5


def test_examples_without_labels_are_answered_and_not_scored(tmp_path: Path) -> None:
    task = fakes.task()
    some = [row.without("colour") if n % 2 else row for n, row in enumerate(task.train)]
    given = state(tmp_path)
    mixed = replace(given, task=replace(given.task, train=some))
    after = Collect().run(mixed)
    known = {row.id for row in some if "colour" in row}
    assert all(row.score == 1.0 for row in after.pairs["self"] if row.example in known)
    assert sum(row.score is None for row in after.pairs["self"]) == 20
    assert "20 without a label, kept as answered" in after.effects[-1].notes


def test_a_vote_counts_even_where_its_answer_may_not_be_learned(tmp_path: Path) -> None:
    def script(request: Any) -> str:
        text = input_fields(request)["text"]
        return render_fields({"colour": "green" if request.config.seed else fakes.truth(text)})

    given = state(tmp_path, engine=ScriptedEngine(script, repeatable=True))
    rows = Collect(samples=4).run(given).pairs["self"]
    other = [row for row in rows if row.outputs["colour"] != "green"]
    assert other
    assert all(row.confidence == 0.25 and row.soft == {"green": 0.75, row.outputs["colour"]: 0.25} for row in other)


def test_a_local_teachers_log_probabilities_are_kept(tmp_path: Path, bases: dict[str, str]) -> None:
    class Free(dspy.Signature):
        """Say something."""

        text: str = dspy.InputField()
        colour: str = dspy.OutputField()

    task = fakes.task(train=2, dev=2, test=2, program=dspy.Predict(Free))
    said = render_fields({"colour": "red"})

    def script(request: Any) -> Any:
        from dspy import lm15
        from dstill.runtime.engines.base import text_response

        assert request.config.logprobs == 3
        top = (lm15.TopLogprob(token="red", logprob=-0.1), lm15.TopLogprob(token="rose", logprob=-2.5))
        pieces = [said[: said.index("red")], "red", said[said.index("red") + 3 :]]
        scores = tuple(
            lm15.TokenLogprob(token=piece, logprob=-0.1, top=top if piece == "red" else ()) for piece in pieces
        )
        return text_response(request.model, said, read=1, written=3, logprobs=scores)

    class Teller(ScriptedEngine):
        def complete(self, request: Any) -> Any:
            return script(request)

    made = compile(task, ScriptedEngine(lambda r: said, repeatable=True), "zero-shot", run=tmp_path / "t")
    told = replace(made, lm=LM(Teller(lambda r: said, repeatable=True)))
    given = DistillState(task.compile_view, told, "", Session(), tmp_path / "run")
    row = Collect(keep="all", logprobs=3).run(given).pairs["self"][0]
    assert row.tokens is not None
    assert "".join(token for token, _ in row.tokens) == said
    shares = shares_by_logprobs(row, ["red", "rose", "blue"], "colour")
    assert shares == pytest.approx({"red": 0.9168, "rose": 0.0832, "blue": 0.0}, abs=1e-3)
    assert shares_by_logprobs(row, ["green"], "colour") is None


@pytest.mark.parametrize("label", ["complete", "incomplete"])
@pytest.mark.parametrize(
    "form", ["[[ ## colour ## ]]\n{}\n\n[[ ## completed ## ]]", '{{"colour": "{}", "note": "complete"}}']
)
def test_a_label_is_looked_for_in_its_field(label: str, form: str) -> None:
    """And not in the mark of the end, or in another field."""
    before, after = form.format("|").split("|")
    told = {"complete": math.log(0.55), "incomplete": math.log(0.45)}
    tokens = ((before, {before: 0.0}), (label, told), *((sign, {sign: 0.0}) for sign in after))
    row = Pair("r", {}, {"colour": label}, tokens=tokens)
    shares = shares_by_logprobs(row, ["complete", "incomplete"], "colour")
    assert shares == pytest.approx({"complete": 0.55, "incomplete": 0.45})


@pytest.mark.parametrize(
    ("field", "pieces", "told"),
    [
        ("answer", ["[[ ## answer ## ]]", "\n", {"a": 0.6, "b": 0.4}], {"a": 0.6, "b": 0.4}),
        ("answer", ['{"', "answer", '":', ' "', {"a": 0.6, "b": 0.4}, '"}'], {"a": 0.6, "b": 0.4}),
        ("a", ['{"a": "', {"a": 0.6, "b": 0.4}, '"}'], {"a": 0.6, "b": 0.4}),
        ("out", ['{"out":', {' "a"': 0.6, ' "b"': 0.4}, "}"], {"a": 0.6, "b": 0.4}),
        ("out", ['{"out":', {" true": 0.6, " false": 0.4}, ', "why": "True, that is"}'], {"True": 0.6, "False": 0.4}),
        ("out", ['{"out":', {" null": 0.6, ' "a': 0.4}, "}"], {"None": 0.6, "a": 0.4}),
        ("out", ['{"out": "', {"\\u00e9": 0.6, "a": 0.4}, '"}'], {"é": 0.6, "a": 0.4}),
        ("out", ["[[ ## out ## ]]\n", {"True": 0.6, "False": 0.4}, "\n"], {"True": 0.6, "False": 0.4}),
    ],
)
def test_a_label_is_found_where_the_adapter_has_it(field: str, pieces: list[Any], told: dict[str, float]) -> None:
    """Though its letters stand in the field's name, within quotes, and as JSON writes them."""
    tokens = tuple(
        (piece, {piece: 0.0})
        if isinstance(piece, str)
        else (max(piece, key=lambda one: piece[one]), {one: math.log(share) for one, share in piece.items()})
        for piece in pieces
    )
    row = Pair("r", {}, {field: max(told, key=lambda label: told[label])}, tokens=tokens)
    assert shares_by_logprobs(row, list(told), field) == pytest.approx(told)


def test_rows_whose_tokens_tell_of_no_label_are_counted(tmp_path: Path, bases: dict[str, str]) -> None:
    told = (("[[ ## colour ## ]]\n", {}), ("red", {"red": -0.1, "blue": -2.3}))
    rows = tuple(
        Pair(str(n), {"text": f"t {n}"}, {"colour": "red"}, tokens=told if n else (("Red", {"Red": -0.1}),))
        for n in range(6)
    )
    given = state(tmp_path, bases["encoder"])
    more = (Pair("x", {"text": "x"}, {"colour": "blue"}),)  # of a teacher that told nothing at all
    after = TrainEncoder(FAST, soft=True).run(replace(given, pairs={"self": (*rows, *more)}))
    assert "1 rows whose tokens tell of no label, learned from votes or answers" in after.effects[-1].notes[0]


def test_a_vote_teaches_the_answers_that_were_taken(tmp_path: Path) -> None:
    """Rows, the gate and a program without students, of a teacher that is three programs."""
    task = fakes.task()
    one, *others = (Candidate.of(task.program).with_state("self", instructions=way) for way in ("a", "b", "c"))
    vote = replace(one, others=tuple(others))

    def script(request: Any) -> str:
        told = str(request.system).rpartition("objective is:")[2].strip()
        right = fakes.truth(input_fields(request)["text"])
        return render_fields({"colour": "black" if told == "a" else right})

    engine = ScriptedEngine(script, name="trio", repeatable=True)
    base = teacher(tmp_path, task, engine)
    made = replace(base, candidate=vote, program=vote.apply(task.program))
    given = DistillState(task.compile_view, made, "", Session(), tmp_path / "run")
    rows = Collect().run(given).pairs["self"]
    assert len(rows) == len(task.train)
    assert all(row.outputs["colour"] == fakes.truth(row.inputs["text"]) for row in rows)
    assert scores_of(Trials(given).outcomes(())) == [1.0] * len(task.dev)
    assert type(bind(given, {"self": LM(engine)})) is dspy.Predict
    assert isinstance(bind(given, {}), Vote)
