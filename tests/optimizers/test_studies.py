"""Compilations as studies, read back by Optuna itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
import optuna
import pytest
from dstill.optimizers import Race, compile
from dstill.optimizers.studies import write_studies
from dstill.runtime import BadInput, Budget
from dstill.runtime.storages import open_storage
from optuna.distributions import FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState


def opened(path: Path, name: str) -> optuna.Study:
    storage: Any = f"sqlite:///{path}" if path.suffix == ".db" else JournalStorage(JournalFileBackend(str(path)))
    return optuna.load_study(study_name=name, storage=storage)


@pytest.mark.parametrize("name", ["study.db", "study.log"])
def test_a_run_is_a_study(tmp_path: Path, name: str) -> None:
    made = compile(fakes.task(dev=120), fakes.painter(), fakes.SMALL, run=tmp_path / "a")
    trials = made.explain().trials
    assert write_studies([tmp_path / "a"], tmp_path / name) == len(trials)
    study = opened(tmp_path / name, "a")
    assert [trial.number for trial in study.trials] == list(range(len(trials)))
    assert made.evidence is not None
    assert study.best_trial.number == made.evidence.best == study.user_attrs["best"]
    assert study.best_value == pytest.approx(trials[made.evidence.best].mean)
    assert study.user_attrs["verdict"] == made.verdict
    assert [t.number for t in study.trials if t.user_attrs["chosen"]] == [made.evidence.best]
    for ours, theirs in zip(trials, study.trials, strict=True):
        assert theirs.state == (TrialState.PRUNED if ours.decision == "dropped" else TrialState.COMPLETE)
        assert theirs.value == pytest.approx(ours.mean)
        assert theirs.user_attrs["why"] == ours.why
        assert theirs.user_attrs["candidate"] == ours.candidate.dump()
        assert max(theirs.intermediate_values) == max(ours.scores) + 1
        assert theirs.intermediate_values[max(theirs.intermediate_values)] == pytest.approx(ours.mean)
        said = theirs.params["self:demos"]
        assert said.endswith(f": {len(ours.candidate.predictors['self'].demos)} demonstrations")
    alike = [t.params["self:instructions"] for t in study.trials]
    texts = [t.candidate.predictors["self"].instructions for t in trials]
    assert len(set(alike)) == len(set(texts)) == len(set(zip(alike, texts, strict=True)))


def test_several_runs_are_several_studies_and_an_older_file_is_replaced(tmp_path: Path) -> None:
    for name in ("a", "b"):
        compile(fakes.task(dev=30), fakes.painter(), Race(candidates=3, instructions=0), run=tmp_path / name)
    for _ in range(2):
        write_studies([tmp_path / "a", tmp_path / "b"], tmp_path / "study.db")
    found = optuna.get_all_study_summaries(storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert [(summary.study_name, summary.n_trials) for summary in found] == [("a", 3), ("b", 3)]
    assert not [path for path in tmp_path.iterdir() if "study" in path.name and path.name != "study.db"]


@pytest.mark.parametrize("ending", ["db", "log"])
def test_other_studies_in_a_file_are_not_lost(tmp_path: Path, ending: str) -> None:
    compile(fakes.task(), fakes.painter(), "zero-shot", run=tmp_path / "run")
    file = tmp_path / f"study.{ending}"
    file.touch()
    write_studies([tmp_path / "run"], file)  # an empty file is nobody's
    storage, close = open_storage(file)
    optuna.create_study(storage=storage, study_name="mine")
    close()
    before = file.read_bytes()
    with pytest.raises(BadInput, match="holds mine, which would be lost: choose another file"):
        write_studies([tmp_path / "run"], file)
    assert file.read_bytes() == before
    file.write_text("[1]\n")
    with pytest.raises(BadInput, match="holds something else, which would be lost"):
        write_studies([tmp_path / "run"], file)


@pytest.mark.parametrize(("optimizer", "calls"), [("k-shot", 9), ("race", 0)])
def test_a_run_without_scores_is_a_study_too(tmp_path: Path, optimizer: str, calls: int) -> None:
    made = compile(fakes.task(), fakes.painter(), optimizer, Budget(calls=calls), run=tmp_path / "run")
    assert made.evidence is not None
    assert write_studies([tmp_path / "run"], tmp_path / "study.db") == made.evidence.trials
    study = opened(tmp_path / "study.db", "run")
    assert {trial.state.name for trial in study.trials} == {"PRUNED"}
    assert study.trials[study.user_attrs["best"]].user_attrs["chosen"]


def test_several_objectives_are_several_directions(tmp_path: Path) -> None:
    objective = "score,prompt_tokens"
    made = compile(fakes.task(dev=120), fakes.painter(), fakes.SMALL, objective=objective, run=tmp_path / "front")
    write_studies([tmp_path / "front"], tmp_path / "study.db")
    study = opened(tmp_path / "study.db", "front")
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["score", "prompt_tokens"]
    assert made.front is not None
    assert {point.trial for point in made.front} <= {trial.number for trial in study.best_trials}


def test_knobs_are_parameters_with_their_distributions(tmp_path: Path) -> None:
    space = {"temperature": FloatDistribution(0, 1)}
    race = Race(candidates=6, demos=0, instructions=0)
    made = compile(replace(fakes.task(dev=40), knobs=space), fakes.painter(), race, run=tmp_path / "r")
    write_studies([tmp_path / "r"], tmp_path / "study.db")
    study = opened(tmp_path / "study.db", "r")
    trials = made.explain().trials
    for ours, theirs in zip(trials[1:], study.trials[1:], strict=True):
        assert theirs.distributions["temperature"] == space["temperature"]
        assert theirs.params["temperature"] == ours.candidate.knobs["temperature"]
    assert "temperature" not in study.trials[0].params  # the declared program leaves it to its model


def test_what_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no compilation"):
        write_studies([tmp_path / "nothing"], tmp_path / "study.db")
    compile(fakes.task(), fakes.painter(), "k-shot", run=tmp_path / "a" / "r")
    with pytest.raises(BadInput, match=r"\.txt: expected one of \.db"):
        write_studies([tmp_path / "a" / "r"], tmp_path / "study.txt")
    with pytest.raises(BadInput, match="two runs are called r"):
        write_studies([tmp_path / "a" / "r"] * 2, tmp_path / "study.db")
    assert not (tmp_path / "study.db").exists()
