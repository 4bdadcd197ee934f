"""Finished compilations as studies of Optuna, which ``optuna.load_study`` and optuna-dashboard open."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from orjson import JSONDecodeError, loads

from ..programs.knobs import holds
from ..runtime.atomic import sync_folder
from ..runtime.errors import BadInput
from ..runtime.storages import DATABASES, JOURNALS, open_storage
from .candidate import Candidate
from .explain import Explanation, explain
from .history import Trial
from .objective import SCORE

SHOWN = 60
"""Characters of an instruction in the name of a choice; the whole text is among a trial's attributes."""


def write_studies(runs: Sequence[Path | str], out: Path | str) -> int:
    """Write a study for each run into one file, an SQLite database (``.db``) or Optuna's journal (``.log``).

    A study is named as the run's folder. Its trials have the run's numbers. A parameter is the choice of a predictor's
    instruction or demonstrations, or a knob. The value is the mean score, and the means of further objectives;
    intermediate values are the mean score after each example. A trial that met all examples, and the winner, is
    complete if it has a score; all others are pruned, with the reason among their attributes. A file that holds studies
    of these names alone is replaced.

    Args:
        runs: directories of ``dstill compile``.
        out: ``.db``, ``.sqlite`` or ``.sqlite3``; ``.log`` or ``.journal``.

    Returns:
        the number of trials.

    Raises:
        BadInput: for a folder that holds no compilation, two runs of one name, a file of another kind, or one that
            holds something else.
    """
    path, found = Path(out), [(explain(run), _config(Path(run))) for run in runs]
    names = [run.name for run, _ in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadInput(f"two runs are called {twice[0]}: expected a study of its own for each")
    if path.suffix not in DATABASES + JOURNALS:
        kinds = ", ".join(DATABASES + JOURNALS)
        raise BadInput(f"a study in a file {path.suffix or 'without an ending'}: expected one of {kinds}")
    if strange := sorted({*_held(path)} - {*names}):
        raise BadInput(f"{path} holds {strange[0]}, which would be lost: choose another file, or delete that one")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        part = Path(folder) / path.name
        storage, close = open_storage(part)
        for run, config in found:
            _write(run, config, storage)
        close()
        os.replace(part, path)
    sync_folder(path.parent)
    return sum(len(run.trials) for run, _ in found)


def _held(path: Path) -> list[str]:
    """What a file holds that is there already, by the names of studies; nothing is written to it."""
    if not path.exists() or not path.stat().st_size:
        return []
    try:
        if path.suffix in JOURNALS:
            told = [loads(line).get("study_name") for line in path.read_bytes().splitlines()]
            return [name for name in told if name is not None]
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return [name for (name,) in database.execute("SELECT study_name FROM studies")]
    except (sqlite3.Error, JSONDecodeError, AttributeError):
        return ["something else"]


def _write(run: Explanation, config: dict[str, Any], storage: Any) -> None:
    import optuna

    study, names = study_of(storage, run.name, config), objectives_of(config)
    study.set_user_attr("verdict", run.verdict)
    study.set_user_attr("best", run.best)
    shown = menus(run.trials)
    space = _space(shown, config.get("knobs", {}))
    for trial in run.trials:
        params = _params(trial.candidate, shown, space)
        values = means(trial, names)
        done = trial.decision in ("finished", "winner") and values is not None  # complete trials of Optuna have values
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.COMPLETE if done else optuna.trial.TrialState.PRUNED,
                values=values,
                params=params,
                distributions={key: space[key] for key in params},
                user_attrs=attributes(trial, run.best),
                intermediate_values=course(trial, names),
            )
        )


def study_of(storage: Any, name: str, config: dict[str, Any]) -> Any:
    """The study of a compilation, made where it is missing, with what there is to say of it from the start."""
    import optuna

    names = objectives_of(config)
    directions = ["maximize", *("minimize" for _ in names[1:])]
    study = optuna.create_study(storage=storage, study_name=name, directions=directions, load_if_exists=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(names)
    told = {"task": config["task"], "optimizer": config["optimizer"]["name"], "lm": config["lm"]["model"]}
    for key, value in {**told, "seed": config["seed"]}.items():
        study.set_user_attr(key, value)
    return study


def objectives_of(config: dict[str, Any]) -> list[str]:
    """The names of a run's objectives, the score first."""
    found: list[str] = config.get("objective", {}).get("names", [SCORE])
    return found


def means(trial: Trial, names: Sequence[str]) -> list[float] | None:
    """A trial's mean in each objective; ``None`` where it has no score."""
    others = [trial.measures.get(name, {}).values() for name in names[1:]]
    return [trial.mean, *(sum(own) / len(own) for own in others)] if trial.scores else None


def menus(trials: Sequence[Trial]) -> dict[str, list[Any]]:
    """By parameter, the instructions or demonstrations of a predictor in order of first appearance."""
    found: dict[str, list[Any]] = {}
    for trial in trials:
        for key, value in parts(trial.candidate).items():
            menu = found.setdefault(key, [])
            if value not in menu:
                menu.append(value)
    return found


def parts(candidate: Candidate) -> dict[str, Any]:
    """By parameter, a candidate's instructions and demonstrations."""
    return {
        f"{name}:{part}": value
        for name, state in candidate.predictors.items()
        for part, value in (("instructions", state.instructions), ("demos", state.demos))
    }


def _space(menus: dict[str, list[Any]], knobs: dict[str, str]) -> dict[str, Any]:
    """The distributions of all parameters: the choices that some trial has, and the knobs as the task declares them."""
    from optuna.distributions import CategoricalDistribution, json_to_distribution

    choices = {key: [_called(number, value) for number, value in enumerate(menu)] for key, menu in menus.items()}
    told = {key: CategoricalDistribution(found) for key, found in choices.items()}
    return {**told, **{name: json_to_distribution(text) for name, text in knobs.items()}}


def _params(candidate: Candidate, menus: dict[str, list[Any]], space: dict[str, Any]) -> dict[str, Any]:
    """A trial's parameters; a knob that its program leaves to the model is none, and a vote has none of its own."""
    if candidate.others:
        return {}
    told = {key: _called(menus[key].index(value), value) for key, value in parts(candidate).items()}
    knobs = {name: value for name, value in candidate.knobs.items() if name in space and holds(space[name], value)}
    return {**told, **knobs}


def _called(number: int, value: Any) -> str:
    """A choice in a few words, unlike all others of its parameter."""
    if isinstance(value, str):
        return f"{number}: {' '.join(value.split())[:SHOWN]}"
    return f"{number}: {len(value)} demonstrations"


def attributes(trial: Trial, best: int | None) -> dict[str, Any]:
    """What is told of a trial besides its values; ``best`` is the number of the chosen one."""
    kept = ("number", "origin", "parents", "born", "decision", "why", "met", "calls", "tokens", "usd", "digest",
            "candidate")  # fmt: skip
    body = trial.dump()
    return {**{name: body[name] for name in kept}, "chosen": trial.number == best}


def course(trial: Trial, names: Sequence[str]) -> dict[int, float]:
    """The mean score after each example, by how many had been met; of several objectives Optuna takes none."""
    total, found = 0.0, {}
    if len(names) > 1:
        return {}
    for count, place in enumerate(sorted(trial.scores), 1):
        total += trial.scores[place]
        found[place + 1] = total / count
    return found


def _config(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = loads((run / "config.json").read_bytes())
    return found
