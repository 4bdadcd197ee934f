"""The race: where evaluations go. Pure functions of the history; who is ahead, who drops out, who is evaluated next.

All candidates meet the same examples in the same order, a block at a time. While many may still come, those drop out
after a round that promise less than a new one (``prospects``); then those that are not expected to add enough to the
best score to be worth going on with (``standing``). A note says how strong the evidence is that they are not the best
(``evidence``). Dropping decides only where evaluations go: what is claimed of the winner rests on examples kept apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..eval.statistics.values import Scores
from ..runtime.errors import BadInput
from .evidence import against
from .history import History, Trial, table
from .options import check_types
from .pareto import Outdone, nondominated, outdone
from .proposers.bootstrapped import Teacher
from .proposers.named import check_named
from .prospects import Prospects, prospects
from .shorter import open_
from .standing import Standing, standing

ASIDE, OUT = "set aside: ", "ruled out: "
"""How what is said of a dropped trial begins."""


@dataclass(frozen=True)
class Race:
    """How a search is run.

    ``diverse``, ``nearest``, ``instructions``, ``rewrites`` and ``merges`` say how much is given to a kind of proposer.
    Every other place goes by these numbers, the rest to those whose candidates improve on the best (``portfolio``).
    """

    candidates: int = 64
    """Most candidates to try, the declared program included."""
    width: int = 8
    """Candidates under evaluation at a time, besides the leader."""
    block: int = 4
    """Examples per candidate and round, at least."""
    batch: int = 32
    """Evaluations per round, at least: the fewer candidates are left, the more examples each of them meets."""
    worth: float = 0.0002
    """When fewer candidates than ``width`` may still come, the leader's last rival drops out when it is expected to add
    less than this to the best score; of more rivals each, by the root of their number sooner."""
    sure: float = 0.05
    """Probability with which the best candidate may ever be called ruled out."""
    confirm: float = 0.3
    """Share of the dev split that selection never sees; the winner's gain is measured there."""
    sought: float = 0.05
    """A gain worth having, in score: where none is significant, the result says how many rows would show this one."""
    demos: int = 8
    """Most demonstrations in a prompt, for each predictor."""
    pool: int = 48
    """Training examples that a teacher runs on for bootstrapped demonstrations."""
    teacher: Teacher = "lm"
    """The model that this teacher, the best program so far, runs on: ``lm``, or ``prompt_lm``."""
    diverse: int = 0
    """Sets of demonstrations that are unlike one another."""
    nearest: int = 0
    """Candidates that show, for every input, the labelled examples nearest to it."""
    instructions: int = 6
    """Instructions to ask the prompt model for, for each predictor; 0 searches demonstrations alone."""
    rewrites: int = 0
    """Instructions to have rewritten from failures and the metric's feedback, for each predictor."""
    merges: int = 0
    """Children of two candidates that win on different examples."""
    knobs: int = 6
    """Settings of the task's knobs to try, where it declares any."""
    ensembles: int = 0
    """Votes of three or five candidates to try once the race is decided; each calls the model for all of them."""
    shorter: int = 0
    """Shorter versions of the winner to try once the race is decided."""
    proposers: Mapping[str, int] = field(default_factory=dict, hash=False)
    """Proposers of one's own as ``module:name``, which is called with a ``Ground``, and how many candidates to ask of
    each."""
    margin: float = 0.02
    """What a shorter version may lose, in score: it wins if it is shown to lose less (``optimizers/shorter.py``)."""
    patience: int = 32
    """Candidates that drop out or finish in a row while the lead stays, after which no more are proposed."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("candidates", "width", "block", "batch", "pool", "patience"):
            if getattr(self, name) < 1:
                raise BadInput(f"Race({name}={getattr(self, name)}): expected at least 1")
        for name in ("worth", "sure", "confirm", "sought", "margin"):
            if not 0 < getattr(self, name) < 1:
                raise BadInput(f"Race({name}={getattr(self, name)}): expected a number between 0 and 1")
        kinds = ("diverse", "nearest", "instructions", "rewrites", "merges", "knobs", "ensembles", "shorter")
        for name in ("demos", *kinds):
            if getattr(self, name) < 0:
                raise BadInput(f"Race({name}={getattr(self, name)}): expected 0 or more")
        check_named(self.proposers)
        if self.teacher not in ("lm", "prompt_lm"):
            raise BadInput(f"Race(teacher={self.teacher!r}): expected 'lm' or 'prompt_lm'")


def work(history: History, race: Race, rows: int) -> list[tuple[int, int]]:
    """The next round: (trial, place in the order) for every evaluation, candidates in order; none where all is decided.

    The leader waits while it is ahead of all others in the order too, for those that come after it.
    """
    if len(history.standing) < 2:
        return []
    going = [trial for trial in history.live if trial.number != history.lead or _reached(history, trial)]
    each = max(race.block, -(-race.batch // max(1, len(going))))
    return [(trial.number, place) for trial in going for place in range(trial.met, min(rows, trial.met + each))]


def enter(
    history: History,
    todo: Sequence[tuple[int, int]],
    scores: Sequence[float | None],
    measured: Sequence[Mapping[str, float]] | None = None,
) -> History:
    """The history with a round's scores, in the order of ``todo``; ``None`` for what could not be scored.

    Args:
        measured: of each evaluation the objectives but the score, where the search is after any.
    """
    new: dict[int, dict[int, float]] = {}
    met: dict[int, int] = {}
    others: dict[int, dict[str, dict[int, float]]] = {}
    for (number, place), score, said in zip(todo, scores, measured or [{}] * len(todo), strict=True):
        own = new.setdefault(number, {})
        met[number] = max(met.get(number, history.trials[number].met), place + 1)
        if score is not None:
            own[place] = score
            for name, value in said.items():
                others.setdefault(number, {}).setdefault(name, {})[place] = value
    trials = (history.trials[number] for number in new)
    return history.update(
        replace(
            t, scores={**t.scores, **new[t.number]}, met=met[t.number],
            measures={n: {**t.measures.get(n, {}), **own} for n, own in others.get(t.number, t.measures).items()},
        )
        for t in trials
    )  # fmt: skip


def decide(history: History, race: Race, rows: int, seed: int = 0) -> History:
    """The history after a round's scores are in: who leads, who has finished, and who drops out.

    Args:
        rows: examples in the order.
        seed: of the draws that stand for what is not known.
    """
    live = len(history.live)
    history = history.update(
        replace(trial, decision="finished", why=f"met all {rows} examples")
        for trial in history.live
        if trial.met >= rows
    )
    field = _field(history)
    if not field:
        return history
    alone = len(history.objectives) == 1
    found: Standing | Prospects
    if alone and history.coming:
        found = prospects(table(history.trials), [trial.number for trial in field], rows)
        history = replace(history, opened=history.opened + 1)
    else:
        found = standing(table(field), rows, worth=race.worth, seed=seed)
    leader, before = field[found.leader].number, (history.lead, history.front)
    history = history if leader == history.lead else replace(history, leads=(*history.leads, leader))
    if alone:
        lost = [
            index for index in range(len(field)) if not found.keep[index] and not _waits(field[index], history, race)
        ]
        history = history.update(_dropped(history, field, found, index) for index in lost)
    else:
        scores, *others = tables(history, field)
        going = [index for index, trial in enumerate(field) if trial.decision == "live"]
        gone = outdone(scores, others, going, rows, worth=race.worth, seed=seed)
        history = history.update(_outdone(field, index, why) for index, why in gone.items())
        history = replace(history, front=tuple(trial.number for trial in front(history)))
    same = (history.lead, history.front) == before
    return replace(history, since=history.since + live - len(history.live) if same else 0)


def weigh(history: History, race: Race) -> History:
    """The history in which every dropped trial says how strong the evidence is that it is not the best.

    Where there are several objectives nobody is best, and nothing is weighed.
    """
    if len(history.objectives) > 1:
        return history
    scores = table(history.trials)
    weighed = []
    for trial in history.trials:
        if trial.decision == "dropped":
            rivals = np.delete(scores[:, : trial.met], trial.number, axis=0)
            evidence = against(scores[trial.number, : trial.met], rivals, race.candidates - 1)
            why = trial.why.removeprefix(ASIDE)
            how = OUT if evidence >= 1 / race.sure else ASIDE
            weighed.append(replace(trial, evidence=evidence, why=f"{how}{why}"))
    return history.update(weighed)


def winner(history: History) -> Trial:
    """Who is ahead of all others; the declared program if nothing was decided. Of several objectives, by the score."""
    if len(history.objectives) > 1 and (field := front(history)):
        leading = [trial for trial in field if trial.number == history.lead]
        return (leading or sorted(field, key=lambda trial: (-history.estimate(trial), trial.number)))[0]
    return history.trials[history.lead or 0]


def front(history: History) -> list[Trial]:
    """Trials that were not dropped and that nobody dominates, in order of their numbers."""
    field = [trial for trial in _field(history) if trial.scores]
    if not field:
        return []
    keep = nondominated(tables(history, field))
    return sorted((t for t, kept in zip(field, keep, strict=True) if kept), key=lambda trial: trial.number)


def tables(history: History, field: Sequence[Trial]) -> list[Scores]:
    """Of each objective a table of some trials, the more the better."""
    return [table(field), *(-table(field, name) for name in history.objectives[1:])]


def _field(history: History) -> list[Trial]:
    """Trials with scores that were not dropped; those that are preferred of equals come first."""
    met = (trial for trial in history.standing if trial.met)
    return sorted(met, key=lambda trial: (trial.candidate.length, trial.number))


def _waits(trial: Trial, history: History, race: Race) -> bool:
    """Whether it is not dropped yet: it has met all while others may come, or may turn out not to be inferior."""
    return (history.coming and trial.decision == "finished") or open_(trial, history.leader(), race)


def _reached(history: History, leader: Trial) -> bool:
    """Whether anybody else has met as many examples as the leader."""
    return any(trial.met >= leader.met for trial in history.standing if trial.number != leader.number)


def _dropped(history: History, field: Sequence[Trial], found: Standing | Prospects, index: int) -> Trial:
    behind = f"{100 * found.behind[index]:.1f} points behind trial {history.lead} on {found.shared[index]} examples"
    if isinstance(found, Prospects):
        said = f"an evaluation promises {100 * found.promise[index]:.3f} points, of a new one {100 * found.new:.3f}"
    else:
        said = f"expected to add {100 * found.value[index]:.3f} points to the best"
    return replace(field[index], decision="dropped", why=f"{ASIDE}{behind}, {said}")


def _outdone(field: Sequence[Trial], index: int, why: Outdone) -> Trial:
    behind = f"{100 * why.behind:.1f} points behind trial {field[why.by].number}, which is no worse in anything else"
    text = f"{ASIDE}{behind}, on {why.shared} examples; expected to add {100 * why.value:.3f} points"
    return replace(field[index], decision="dropped", why=text)
