"""DSPy's own optimizers by name, under the journal and the hard budget, with the best so far salvaged.

When the budget stops one of them (in a way that its ``except Exception`` cannot swallow), the notes that its program
took (``noting``) say what it had found.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import dspy

from ..eval.runner import Runner
from ..programs import metrics
from ..programs.task import CompileView
from ..runtime.errors import BadInput, BudgetExhausted
from ..runtime.lm import LM
from ..runtime.progress import Bar
from ..runtime.secrets import redact
from .candidate import Candidate
from .history import History, Trial
from .loop import BUDGET, Found
from .noting import ENOUGH, Notes, Noting, key_of
from .quiet import quiet
from .race import Race
from .selection import Selection

ELSEWHERE = {
    "BetterTogether": "trains weights, too; dstill.alternate (dstill alternate) does prompts and weights in turn",
    "BootstrapFinetune": "trains weights; dstill.distill (dstill distill) does that",
    "Ensemble": "puts programs together that are compiled already; Race(ensembles=3) tries votes",
    "KNNFewShot": "compiles anew at every call; Race(nearest=2) shows every input the examples nearest to it",
}
"""DSPy's optimizers whose result is no prompt of the program, and what there is in their place."""


def run_dspy_optimizer(
    name: str,
    options: dict[str, Any],
    task: CompileView,
    runner: Runner,
    *,
    lm: LM,
    prompt_lm: LM,
    race: Race,
    seed: int = 0,
    bar: Bar | None = None,
) -> Found:
    """Let DSPy's optimizer ``name`` search; it sees train and the dev rows that choose.

    Raises:
        BadInput: for a name that is no optimizer, or options that it does not take.
        Stop: what ended it, but for a budget, which yields the best so far.
    """
    kind = optimizer_class(name)
    selection = Selection.of(task.dev, race.confirm, seed)
    valset = [task.dev[row] for row in selection.choose]
    declared = Candidate.of(task.program)
    ledger = lm.door.session.ledger

    def told(best: float) -> None:
        if bar is not None:
            bar.advance()
            bar.note(f"best {100 * best:.1f}; {ledger.status}")

    notes = Notes(declared, told)
    student = Noting(task.program, notes).deepcopy()
    given = {
        "metric": _metric(name, task, notes),
        "prompt_model": prompt_lm, "reflection_lm": prompt_lm, "task_model": lm,
        "num_threads": runner.concurrency, "seed": seed, "max_errors": 10**9,
    }  # fmt: skip
    data = {
        "trainset": list(task.train),
        "valset": valset,
        "seed": seed,
        "eval_kwargs": {"num_threads": runner.concurrency},
    }
    stopped, final = None, None
    settings = {"lm": lm, "adapter": runner.adapter, "disable_history": True, "trace": []}
    with dspy.context(**settings, dstill_session=lm.door.session), quiet():
        own = {option: value for option, value in options.items() if option in _constructed(kind)}
        later = {option: value for option, value in options.items() if option not in own}
        optimizer = _make(name, kind, given, own, later)
        try:
            made = optimizer.compile(student, **{**_accepted(_parameters(kind.compile), data), **later})
            final = Candidate.of(_inner(made))
        except BudgetExhausted:
            stopped = BUDGET
        except Exception as error:
            stopped = f"dspy:{name} failed: {_said(error)}"
            if not any(notes.snapshot().values()):
                raise BadInput(f"{stopped}, before it had scored anything; it takes: {_takes(kind)}") from error
    return _found(notes.snapshot(), declared, final, (valset, task.train), f"dspy:{name}", stopped)


def _make(name: str, kind: Any, given: dict[str, Any], options: dict[str, Any], later: dict[str, Any]) -> Any:
    """The optimizer, given those of our arguments that it takes, and the user's options.

    Args:
        later: options that are left for its ``compile``.
    """
    if name == "GEPA" and not {"auto", "max_full_evals", "max_metric_calls"} & options.keys():
        given = {**given, "auto": "light"}
    unknown = later.keys() - _settable(kind)
    if unknown:
        raise BadInput(f"dspy:{name} takes no option {', '.join(sorted(unknown))}; it takes: {_takes(kind)}")
    try:
        return kind(**{**_accepted(_constructed(kind), given), **options})
    except Exception as error:
        raise BadInput(f"dspy:{name} cannot be made: {_said(error)}; it takes: {_takes(kind)}") from error


def optimizer_class(name: str) -> Any:
    """The class of one of DSPy's optimizers.

    Raises:
        BadInput: for a name that is none.
    """
    from dspy.teleprompt.teleprompt import Teleprompter

    kind = getattr(dspy, name, None) or getattr(dspy.teleprompt, name, None)
    if not (inspect.isclass(kind) and issubclass(kind, Teleprompter)) or kind is Teleprompter:
        classes = [k for k in vars(dspy.teleprompt).values() if inspect.isclass(k) and issubclass(k, Teleprompter)]
        known = sorted(k.__name__ for k in classes if k is not Teleprompter and k.__name__ not in ELSEWHERE)
        raise BadInput(f"dspy:{name}: DSPy has no optimizer of that name; it has: {', '.join(known)}")
    if name in ELSEWHERE:
        raise BadInput(f"dspy:{name} {ELSEWHERE[name]}")
    return kind


def _metric(name: str, task: CompileView, notes: Notes) -> Any:
    def score(example: dspy.Example, prediction: Any) -> metrics.Score:
        found = metrics.call(task.metric, example, prediction, f"example {example.get('id', '?')!r}")
        if found.value is not None:
            notes.scored(example.inputs(), found.value)
        return found

    def plain(example: dspy.Example, prediction: Any, trace: Any = None) -> float:
        return score(example, prediction).value or 0.0

    def reflective(gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> Any:
        found = score(gold, pred)
        return dspy.Prediction(score=found.value or 0.0, feedback=found.feedback or f"Score {found.value}.")

    return reflective if name == "GEPA" else plain


def _found(
    scores: dict[Candidate, dict[bytes, float]],
    declared: Candidate,
    final: Candidate | None,
    splits: tuple[Sequence[dspy.Example], Sequence[dspy.Example]],
    origin: str,
    stopped: str | None,
) -> Found:
    """A history of what was noted on dev rows; on training rows, for optimizers that look at nothing else."""
    if final is not None:
        scores.setdefault(final, {})
    for examples in splits:
        places = {key_of(example.inputs()): place for place, example in enumerate(examples)}
        trials: list[Trial] = []
        for candidate in sorted(scores, key=lambda c: (c != declared, c.digest)):
            own = {places[key]: value for key, value in scores[candidate].items() if key in places}
            source = "declared" if candidate == declared else origin
            trials.append(
                Trial(len(trials), candidate, source, met=max(own, default=-1) + 1, scores=own, decision="finished")
            )
        if any(trial.scores for trial in trials[1:]):
            break
    history = History(tuple(trials))
    if final is not None:
        best = next(trial for trial in trials if trial.candidate == final)
    else:
        scored = [t for t in trials if len(t.scores) >= ENOUGH or t.number == 0]
        best = min(scored, key=lambda t: (-history.estimate(t), t.candidate.length, t.number))
    return Found(history.change(best.number, decision="winner"), best, stopped)


def _inner(program: Any) -> dspy.Module:
    found = program.program if isinstance(program, Noting) else program
    for _, module in found.named_sub_modules():
        module._compiled = False  # DSPy marks its results frozen, which would hide their predictors
    return found


def _parameters(function: Any) -> list[str]:
    found = inspect.signature(function).parameters.values()
    return [
        each.name for each in found if each.name != "self" and each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
    ]


def _constructed(kind: Any) -> list[str]:
    """What a class is made with: its constructor's parameters and, where that hands on others, those of its base's."""
    names: list[str] = []
    for each in kind.__mro__:
        if "__init__" in vars(each):
            names += _parameters(each.__init__)
            if all(p.kind is not p.VAR_KEYWORD for p in inspect.signature(each.__init__).parameters.values()):
                break
    return names


def _accepted(names: Sequence[str], values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in names}


def _settable(kind: Any) -> list[str]:
    """What a user may say to ``compile``, which is handed the program and the examples."""
    given = ("student", "trainset", "valset", "teacher")
    return [name for name in _parameters(kind.compile) if name not in given]


def _takes(kind: Any) -> str:
    names = dict.fromkeys([*_constructed(kind), *_settable(kind)])
    return ", ".join(name for name in names if name != "metric")


def _said(error: Exception) -> str:
    return redact(f"{type(error).__name__}: {error}").strip(": \n").partition("\n")[0]
