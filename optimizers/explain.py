"""Why a compilation ended as it did: the tree of candidates, what each cost and why it was dropped, and the course.

All of it is read from the run's folder. The folder keeps no rounds; they are carried out again from the scores in
``trials.jsonl``, since who is evaluated next follows from those alone. A run whose rounds do not come out as they were,
such as one of DSPy's optimizers, is explained without its course.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import orjson

from ..runtime.atomic import write_bytes
from ..runtime.errors import BadInput, Damaged
from ..runtime.rundir import check_files
from .front import Front
from .history import History, Trial
from .objective import SCORE
from .portfolio import Account
from .race import Race, decide, enter, work


@dataclass(frozen=True)
class Step:
    """Where a search stood after a round."""

    calls: float
    """Calls of all evaluations so far; those that made candidates are not among them."""
    best: int
    """The trial in the lead."""
    mean: float
    """Its mean score on what it had met by then."""


@dataclass(frozen=True)
class Explanation:
    """A compilation, explained. ``print`` it, display it in a notebook, or ``save`` it as a page."""

    name: str
    verdict: str
    trials: tuple[Trial, ...]
    best: int
    """The trial that selection preferred."""
    course: tuple[Step, ...]
    """After every round; empty where that is not known."""
    rows: tuple[str, ...] = ()
    """Ids of the examples that choose, in the order in which all candidates met them."""
    confirmed: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """Ids of the examples kept apart on which the best won, and lost, against the declared program."""
    proposers: tuple[Account, ...] = ()
    """What each proposer cost and brought; empty in runs that keep no account of it."""
    ending: str = ""
    """Why the search proposed no more; empty where its budget ended it."""
    front: Front | None = None
    """Of a search for several objectives."""
    stays: bool = False
    """Whether the declared program is the result all the same, since the best gained nothing over it."""

    def against_declared(self) -> tuple[list[str], list[str]]:
        """Ids of the choosing examples that the best won, and lost, against the declared program."""
        ours, declared = self.trials[self.best].scores, self.trials[0].scores
        shared = sorted(ours.keys() & declared.keys())
        won = [self.named(place) for place in shared if ours[place] > declared[place]]
        return won, [self.named(place) for place in shared if ours[place] < declared[place]]

    def named(self, place: int) -> str:
        """The id of the example at a place in the order; the place itself in runs that keep no ids."""
        return self.rows[place] if place < len(self.rows) else f"place {place}"

    def save(self, path: Path | str) -> None:
        """Write one HTML file that asks the network for nothing."""
        from .explain_view import page

        write_bytes(Path(path), page(self).encode())

    def __str__(self) -> str:
        from .explain_view import text

        return text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from .explain_view import fragment

        return fragment(self)


def explain(run: Path | str) -> Explanation:
    """The explanation of a finished compilation, from its run directory.

    Raises:
        BadInput: where there is no finished compilation.
        Damaged: for files that are not what the run wrote.
    """
    folder = Path(run)
    if not (folder / "trials.jsonl").is_file():
        raise BadInput(f"there is no compilation in {folder}: expected the directory of a run of dstill compile")
    check_files(folder, "trials.jsonl", "report.json", "config.json")
    try:
        trials = tuple(Trial.load(orjson.loads(line)) for line in (folder / "trials.jsonl").read_bytes().splitlines())
        report = orjson.loads((folder / "report.json").read_bytes())
        config = orjson.loads((folder / "config.json").read_bytes())
        found, seed, best = report.get("rows") or {}, config["seed"], report["best"]
        choose = tuple(found.get("choose", ()))
        confirmed = tuple(found.get("won", ())), tuple(found.get("lost", ()))
        names = tuple(config.get("objective", {}).get("names", (SCORE,)))
        race, opened = _race(config["optimizer"]), report.get("opened", 0)
        steps = course(trials, race, len(choose), seed, names, opened) if choose else ()
        proposers = tuple(Account(**body) for body in report.get("proposers", ()))
        ending = report.get("ending", "")
        front = Front.load(report["front"], trials) if "front" in report else None
        stays = best != 0 and report.get("digest") == trials[0].candidate.digest
        return Explanation(
            folder.name, report["verdict"], trials, best, steps, choose, confirmed, proposers, ending, front, stays
        )
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, IndexError) as error:
        raise Damaged(f"{folder} cannot be explained: {type(error).__name__}: {error}") from None


def course(
    trials: Sequence[Trial],
    race: Race | None,
    rows: int,
    seed: int,
    objectives: tuple[str, ...] = (SCORE,),
    opened: int = 0,
) -> tuple[Step, ...]:
    """The rounds of a race, carried out again from its trials' scores; none if they do not come out as they were.

    Args:
        rows: examples that choose.
        seed: the run's.
        objectives: the run's.
        opened: in how many of the first rounds new candidates might still come.
    """
    if race is None:
        return ()
    history, calls = History(objectives=objectives), 0.0
    steps: list[Step] = []
    each = [trial.cost.calls / max(1, trial.met) for trial in trials]
    while True:
        born = [t for t in trials[len(history.trials) :] if t.born == len(steps)]
        history = history.add([(t.candidate, t.origin, t.parents) for t in born], len(steps))
        todo = work(history, race, rows)
        if not todo or any(place >= trials[number].met for number, place in todo):
            break
        scores = [trials[number].scores.get(place) for number, place in todo]
        others = [
            {name: own[place] for name, own in trials[number].measures.items() if place in own}
            for number, place in todo
        ]
        history = replace(history, coming=len(steps) < opened)
        history = decide(enter(history, todo, scores, others), race, rows, seed)
        calls += sum(each[number] for number, _ in todo)
        leader = history.leader()
        steps.append(Step(calls, leader.number, leader.mean))
    same = len(history.trials) == len(trials) and all(
        a.met == b.met for a, b in zip(history.trials, trials, strict=True)
    )
    return tuple(steps) if same else ()


def _race(optimizer: dict[str, Any]) -> Race | None:
    if optimizer.get("name") != "race":
        return None
    known = {field.name for field in fields(Race)}
    return Race(**{name: value for name, value in optimizer.items() if name in known})
