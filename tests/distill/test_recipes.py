"""Recipes by name, from tables and as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dstill.distill import (
    RECIPES,
    Cascade,
    Collect,
    DistillState,
    Filter,
    Gate,
    Gold,
    Ladder,
    Lora,
    TrainCausal,
    TrainEncoder,
    Training,
    recipe_from_tables,
    recipe_of,
)
from dstill.runtime import (
    BadInput,
)

import dstill


def test_a_recipe_from_tables() -> None:
    made = recipe_from_tables(
        "own",
        [
            {"stage": "collect", "keep": "weighted"},
            {"stage": "train-causal", "objective": "label", "epochs": 2, "lora": 8, "lr": 1e-4},
            {"stage": "gate"},
        ],
    )
    assert made.stages == (
        Collect(keep="weighted"),
        TrainCausal(objective="label", training=Training(epochs=2.0, batch=16, lr=1e-4), lora=Lora(8, 16)),
        Gate(),
    )


def test_tables_within_a_stage() -> None:
    ladder = {"stage": "ladder", "rungs": ["embedded:small"], "training": {"epochs": 5, "lr": 1e-4}}
    made = recipe_from_tables("own", [{"stage": "collect"}, ladder])
    assert made.stages[1] == Ladder(("embedded:small",), Training(epochs=5.0, lr=1e-4))
    for told, expected in (({"rank": 64}, Lora(64, 128)), ({"rank": 4, "alpha": 4, "bits": 4}, Lora(4, 4, bits=4))):
        made = recipe_from_tables("own", [{"stage": "collect"}, {"stage": "train-causal", "lora": told}])
        assert made.stages[1] == TrainCausal(lora=expected)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ([{"stage": "colect"}], "stage 1: stage = 'colect'; expected one of: collect, gold"),
        ([{"stage": "gate"}, {"stage": "collect", "keep": "some"}], "stage 2: keep = 'some'; expected one of: passing"),
        ([{"stage": "train-encoder", "epochs": "three"}], "epochs = 'three'; expected a number"),
        ([{"stage": "train-encoder", "soft": 1}], "soft = 1; expected true or false"),
        ([{"stage": "train-causal", "lora": "big"}], "lora = 'big'; expected a whole number"),
        ([{"stage": "ladder", "training": {"epoch": 3}}], "training takes no 'epoch'; it takes: epochs, batch"),
        ([{"stage": "ladder", "training": 3}], "training = 3; expected a table of a training's settings"),
        ([{"stage": "filter", "epochs": 3}], "filter takes no setting 'epochs'"),
        ([], "one or more"),
    ],
)
def test_a_recipe_that_is_wrong_says_where(tables: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        recipe_from_tables("own", tables)


@dataclass(frozen=True)
class Foreign:
    """A stage of somebody else's, which may bring anything."""

    name: str = "foreign"

    def run(self, state: DistillState) -> DistillState:
        return state


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ([TrainEncoder(), Collect(), Gate()], "recipe own: train-encoder needs collect or gold before it"),
        ([Gate(), Collect(), TrainEncoder()], "gate needs train-causal or .* or ladder before it"),
        ([Gate()], "gate needs"),
        ([Collect(), Gate()], "gate needs"),
        ([Filter()], "filter needs collect or gold before it"),
        ([Collect(), TrainEncoder(), Cascade(), Gate()], "cascade stands before gate"),
        ([Collect(), TrainEncoder(), Gate(), TrainCausal()], "gate stands before train-causal"),
        ([Collect(), Filter(), Gold(), TrainEncoder()], "filter stands before gold"),
        ([Gold(), Collect(), TrainEncoder()], "collect throws away what gold before it brought"),
        ([Collect(), TrainEncoder(), TrainEncoder()], "train-encoder throws away what train-encoder before it"),
        ([Collect(), TrainEncoder(), Filter(), Gate()], "train-encoder stands before filter"),
    ],
)
def test_stages_in_the_wrong_order_are_refused(stages: Any, words: str) -> None:
    with pytest.raises(BadInput, match=rf"{words}.*; expected the order collect or gold, filter, .*, gate, cascade"):
        recipe_of(stages)


def test_orders_that_make_sense() -> None:
    collect, train = Collect(), TrainEncoder()
    for stages in (
        [collect], [collect, Filter(), Filter()], [collect, train, Cascade()], [collect, Ladder(), Cascade()],
        [collect, train, Gate(), Gate(), Cascade()], [Foreign(), train, Foreign(), Gate()], [Foreign(), Gate()],
    ):  # fmt: skip
        assert recipe_of(stages).stages == tuple(stages)
    for name in RECIPES:
        recipe_of(name)


def test_a_setting_goes_to_the_stage_that_has_it() -> None:
    made = recipe_of("labels", epochs=7, samples=3, smoothing=0.1)
    assert made.stages[0] == Collect(samples=3)
    assert isinstance(made.stages[2], TrainEncoder)
    assert (made.stages[2].training.epochs, made.stages[2].smoothing) == (7.0, 0.1)
    with pytest.raises(BadInput, match="takes no setting 'epoch'; it takes: .*epochs"):
        recipe_of("labels", epoch=7)
    with pytest.raises(BadInput, match="recipe ladder takes no setting 'devices'"):  # each kind has settings of its own
        recipe_of("ladder", devices=2)


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        ("labels", {"hidden": "mse", "teacher": "embedded:encoder"}),
        ("prompted", {"objective": "label", "style": "chat"}),
        ("pairs", {"batch": 2, "objective": "labels"}),
        ("step-by-step", {"kd": "forward", "objective": "answer"}),
    ],
)
def test_settings_that_make_sense_together_come_in_any_order(recipe: str, options: dict[str, Any]) -> None:
    turned = dict(reversed(options.items()))
    assert recipe_of(recipe, **options) == recipe_of(recipe, **turned)
    stage = next(one for one in recipe_of(recipe).dump()["stages"] if one["stage"].startswith("train"))["stage"]
    rows = {"stage": "collect"}
    assert recipe_from_tables("own", [rows, {"stage": stage, **options}]) == recipe_from_tables(
        "own", [rows, {"stage": stage, **turned}]
    )
    with pytest.raises(BadInput, match="expected train-encoder with soft = true"):
        recipe_of("corrected", right=0.75, soft=False)


class Loose:
    name = "loose"

    def run(self, state: DistillState) -> DistillState:
        return state


def test_a_stage_without_fields_to_keep_is_refused() -> None:
    with pytest.raises(BadInput, match="the stage Loose is no dataclass"):
        recipe_of([Collect(), Loose()])
    with pytest.raises(BadInput, match="rungs = 'embedded:small'; expected a list of texts"):
        recipe_of("ladder", rungs="embedded:small")


def test_a_recipe_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[[stages]]\nstage = "collect"\nsamples = 3\n[[stages]]\nstage = "filter"\nnear = 0.8\n')
    made = recipe_of(str(file))
    assert (made.name, made.stages) == ("mine", (Collect(samples=3), Filter(near=0.8)))
    for text, words in (
        ("stages = 3", "expected a name and one or more"), ("x = 1", "unknown key x"), ("[[", "cannot be read as TOML"),
        ("stages = [3]", "expected tables"), ('[[stages]]\nstage = "gat"', "recipe mine, stage 1: stage = 'gat'"),
    ):  # fmt: skip
        file.write_text(text)
        with pytest.raises(BadInput, match=words):
            recipe_of(str(file))
    with pytest.raises(BadInput, match="there is no recipe"):
        recipe_of(str(tmp_path / "none.toml"))


def test_the_room_is_a_function_too() -> None:
    assert callable(dstill.distill)
    with pytest.raises(BadInput, match="expected what compile returned"):
        dstill.distill(None, None, "x")  # type: ignore[arg-type]
