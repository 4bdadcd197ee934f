"""Settings of stages and trainings that are no such settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dstill.distill import (
    Cascade,
    Collect,
    DistillState,
    Filter,
    Gold,
    Ladder,
    Lora,
    Pair,
    TrainCausal,
    TrainEncoder,
    Training,
    TrainMatcher,
    TrainSeq2Seq,
)
from dstill.distill.stages.common import kept_apart
from dstill.runtime import BadInput
from students import state

PARTS = Training(accumulate=2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Collect(keep="al"), r"Collect\(keep='al'\): expected one of: passing, weighted, all"),
        (lambda: Collect(samples="5"), r"Collect\(samples='5'\): expected a whole number"),
        (lambda: Collect(samples=2.5), r"samples=2.5\): expected a whole number"),
        (lambda: Collect(dev=1), r"dev=1\): expected True or False"),
        (lambda: Collect(temperature=-1.0), r"temperature=-1.0\): expected 0 or more"),
        (lambda: Gold(dev="yes"), r"dev='yes'\): expected True or False"),
        (lambda: Filter(score="passed"), "expected one of: keep, passing, weight"),
        (lambda: Cascade(promise="meen"), r"Cascade\(promise='meen'\): expected one of: mean, likely"),
        (lambda: Cascade(harm="0.1"), r"harm='0.1'\): expected a number"),
        (lambda: Training(precision="fp16"), r"Training\(precision='fp16'\): expected one of: float32, bf16"),
        (lambda: Training(course="cosinus"), "expected one of: linear, cosine, constant, wsd"),
        (lambda: Training(epochs="3"), r"Training\(epochs='3'\): expected a number"),
        (lambda: Training(batch=2.5), r"Training\(batch=2.5\): expected a whole number"),
        (lambda: Training(batch=True), r"batch=True\): expected a whole number"),
        (lambda: Lora(rank="8"), r"Lora\(rank='8'\): expected a whole number"),
        (lambda: Lora(bits=8), r"Lora\(bits=8\): expected one of: 32, 4"),
        (lambda: TrainEncoder(robust="generalized"), "expected one of: none, generalised, symmetric"),
        (lambda: TrainEncoder(pooling="cls"), "expected one of: auto, mean, first"),
        (lambda: TrainEncoder(max_length=0), "max_length = 0: expected 8 tokens or more"),
        (lambda: TrainEncoder(max_length=-5), "max_length = -5"),
        (lambda: TrainEncoder(training=3), r"training=3\): expected Training\(\.\.\.\)"),
        (lambda: TrainMatcher(shown="all"), r"TrainMatcher\(shown='all'\): expected a whole number"),
        (lambda: TrainCausal(style="chatty"), "expected one of: chat, inputs, bare, program"),
        (lambda: TrainCausal("step-by-step", alpha=0), "alpha = 0: expected a share above 0, and at most 1"),
        (lambda: TrainCausal(kd_weight=2), "kd_weight = 2: expected a share from 0 to 1"),
        (lambda: TrainCausal(kd="stored", style="bare"), "expected style = 'chat', 'inputs' or 'program'"),
        (lambda: TrainSeq2Seq(kd="kl"), r"TrainSeq2Seq\(kd='kl'\): expected one of: none, forward, reverse"),
        (lambda: TrainCausal(lora=8), r"lora=8\): expected Lora\(\.\.\.\) or None"),
        (lambda: TrainCausal(temperature=0), "temperature = 0: expected a number, more than 0"),
        (
            lambda: TrainCausal(training=PARTS, hidden="mi"),
            "accumulate = 2 with hidden = 'mi': .*expected accumulate = 1",
        ),
        (lambda: TrainSeq2Seq(training=PARTS, hidden="mi"), "accumulate = 2 with hidden = 'mi'"),
        (lambda: TrainEncoder(training=PARTS, rationale="align"), "accumulate = 2 with rationale = 'align'"),
        (lambda: TrainEncoder(training=PARTS, hidden="mi", teacher="t"), "hidden = 'mi': each row .*accumulate = 1"),
        (lambda: Ladder(rungs="embedded:small"), r"rungs='embedded:small'\): expected a tuple of texts"),
    ],
)
def test_a_value_that_a_setting_does_not_take_is_refused_at_once(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        make()


def test_parts_are_allowed_where_a_row_is_learned_by_itself() -> None:
    TrainCausal(training=PARTS, hidden="mse")
    TrainEncoder(training=PARTS, rationale="words")
    TrainEncoder(training=PARTS, hidden="mse", teacher="t")


def test_whole_numbers_are_numbers() -> None:
    assert Training(epochs=3, lr=1) == Training(epochs=3.0, lr=1.0)


def held(tmp_path: Path, share: float, answers: list[str]) -> tuple[list[Pair], list[Pair]]:
    given: DistillState = state(tmp_path)
    rows = [Pair(str(n), {"text": str(n)}, {"colour": answer}) for n, answer in enumerate(answers)]
    return kept_apart(given, "self", rows, share)


def test_a_share_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"heldout = 0.99: of the 8 rows of self it leaves none"):
        held(tmp_path, 0.99, ["red", "blue"] * 4)
    with pytest.raises(BadInput, match=r"heldout = 0.99: of the 8 rows"):
        held(tmp_path, 0.99, [str(n) for n in range(8)])


def test_free_texts_are_kept_apart_though_each_has_an_answer_of_its_own(tmp_path: Path) -> None:
    learn, apart = held(tmp_path, 0.25, [str(n) for n in range(8)])
    assert (len(learn), len(apart)) == (6, 2)
    learn, apart = held(tmp_path, 0.25, ["red", "blue"] * 4)
    assert len(apart) == 2 and {row.outputs["colour"] for row in learn} == {"red", "blue"}
