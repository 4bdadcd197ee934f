"""What ``compile`` returns: the better program, the model it was made for, and the evidence."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dspy
import numpy as np
import orjson

from ..eval.compare import Comparison
from ..eval.statistics.intervals import bonett_price_bounds
from ..eval.statistics.power import detectable_effect, examples_needed
from ..programs.knobs import place
from ..runtime.atomic import write_json
from ..runtime.errors import BadInput, Damaged
from ..runtime.lm import LM
from ..runtime.models import Model, lm_for
from ..runtime.rundir import check_files
from ..runtime.session import Session
from .candidate import Candidate, short
from .front import Front, read_front
from .voting import voters

if TYPE_CHECKING:
    from .explain import Explanation

FORMAT = 1
POWER = 0.9
"""With which a gain is found on as many rows as a verdict names."""


@dataclass(frozen=True)
class Evidence:
    """What a compilation rests on."""

    optimizer: str
    trials: int
    """Candidates tried, the declared program included."""
    best: int
    """The trial that selection preferred; 0 is the declared program."""
    gain: Comparison | None
    """Of the chosen candidate over the declared program, on dev rows that had no part in choosing it."""
    spread: float | None = None
    """Mean square of the paired differences behind ``gain``."""
    stopped: str | None = None
    """Why the search ended early, or ``None``."""
    sought: float = 0.05
    """A gain worth having, in score."""
    remarks: tuple[str, ...] = ()
    """What kept the search from telling anything apart."""

    def rows_needed(self, gain: float) -> int | None:
        """Rows apart from selection on which a gain of this size would be significant, nine times out of ten.

        Judged by how often this run's two programs differed; ``None`` where that is not known.
        """
        return examples_needed(self.spread, gain, level=0.975, power=POWER) if self.spread else None

    @property
    def least(self) -> float | None:
        """The smallest gain that the rows apart from selection would show, nine times out of ten."""
        if self.gain is None or not self.spread:
            return None
        return detectable_effect(self.gain.n, self.spread, level=0.975, power=POWER)

    @property
    def verdict(self) -> str:
        """What may be claimed, in a sentence."""
        if self.trials <= 1:
            text = "the program as declared; nothing was compared"
        elif self.optimizer in ("k-shot", "bootstrap"):
            text = "drawn once, without selection; its gain was not measured"
        elif self.best == 0:
            text = "no gain: nothing did better than the declared program on the rows that choose"
        elif self.gain is None:
            text = "its gain was not measured: neither budget nor dev rows were left to confirm it"
        else:
            text = self._measured(self.gain)
        text = "; ".join([text, *self.remarks])
        return text if self.stopped is None else f"{text} (stopped early: {self.stopped})"

    @property
    def smallest(self) -> float | None:
        """The smallest gain that would be significant on the rows apart from selection, if nothing were lost on any.

        Of right-or-wrong scores; more than 1 where no gain whatever would be.
        """
        if self.gain is None:
            return None
        wins = np.arange(self.gain.n + 1)
        low, _ = bonett_price_bounds(wins, np.zeros_like(wins), self.gain.n)
        enough = wins[low > 0]
        return float(enough[0]) / self.gain.n if enough.size else math.inf

    def _measured(self, gain: Comparison) -> str:
        d = gain.difference
        points = f"{100 * d.value:+.1f} points [{100 * d.low:+.1f}, {100 * d.high:+.1f}]"
        where = f"over the declared program on {gain.n} dev rows kept apart from selection"
        if gain.verdict == "better":
            return f"a gain of {points} {where}"
        if gain.verdict == "worse":
            return f"no gain but a loss of {points} {where}"
        text = f"no significant gain {where}: {points}"
        needed, least = self.rows_needed(self.sought), self.least
        if needed is None or least is None:  # they never differed, so nothing says how often they might
            smallest = self.smallest or 0.0
            shown = f"a gain of {100 * smallest:.1f} or more" if smallest <= 1 else "no gain whatever"
            return text if smallest <= self.sought else f"{text}; the two never differed, and so few rows show {shown}"
        if least <= self.sought:
            return text
        shown = f"a gain of {100 * least:.1f} or more" if least < 1 else "no gain whatever"
        return f"{text}; so few rows show {shown}, and one of {100 * self.sought:g} would take some {needed:,}"

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        gain = None
        if self.gain is not None:
            gain = {**self.gain.difference.dump(), "p": self.gain.p, "n": self.gain.n, "wins": self.gain.wins,
                    "losses": self.gain.losses, "verdict": self.gain.verdict}  # fmt: skip
        return {
            "optimizer": self.optimizer, "trials": self.trials, "best": self.best, "gain": gain,
            "stopped": self.stopped, "verdict": self.verdict, "least": self.least,
            "rows_needed": self.rows_needed(self.sought), "sought": self.sought,
            "remarks": list(self.remarks),
        }  # fmt: skip


@dataclass(frozen=True)
class CompiledProgram:
    """A compiled program. Call it like the program it was made from."""

    name: str
    """What it is called in boards."""
    task: str
    program: dspy.Module
    """The declared program with the chosen instructions and demonstrations."""
    lm: LM
    """The model it was compiled for."""
    adapter: str
    candidate: Candidate
    evidence: Evidence | None = None
    """``None`` for a program that was loaded."""
    front: Front | None = None
    """Of a search for several objectives, the programs of which none is better in everything."""
    folder: Path | None = field(default=None, compare=False)
    """Its run directory."""

    def __call__(self, **inputs: Any) -> Any:
        """Run the program with its model and adapter."""
        with setting(self.lm, self.adapter):
            return self.program(**inputs)

    async def acall(self, **inputs: Any) -> Any:
        """Run the program from async code."""
        with setting(self.lm, self.adapter):
            return await self.program.acall(**inputs)

    @property
    def verdict(self) -> str:
        """What may be claimed, in a sentence."""
        if self.evidence is not None:
            return self.evidence.verdict
        if self.front is not None and (own := [p for p in self.front if p.candidate == self.candidate]):
            return self.front.verdict(own[0])
        return "loaded; see its run directory for evidence"

    def explain(self) -> Explanation:
        """The tree of candidates behind this program: what each cost, why it was dropped, what won and where.

        Raises:
            BadInput: for a program that has no run directory.
        """
        from .explain import explain

        if self.folder is None:
            raise BadInput(f"{self.name} has no run directory to be explained from")
        return explain(self.folder)

    def pick(self, trial: int | None = None, **limits: float) -> CompiledProgram:
        """Another point of the front as a program, for nothing.

        Args:
            trial: its number on the front.
            limits: or the least ``score`` and the most of the other objectives, as ``prompt_tokens=200``.

        Raises:
            BadInput: without a front, or where it has no such point.
        """
        if self.front is None:
            raise BadInput(f"{self.name} has no front to pick from: compile it with objective='score,prompt_tokens'")
        point = self.front.pick(trial, **limits)
        name, program = f"{self.name} (trial {point.trial})", point.candidate.apply(self.program)
        return CompiledProgram(name, self.task, program, self.lm, self.adapter, point.candidate, None, self.front)

    def save(self, path: Path | str) -> None:
        """Write ``program.json``; plain DSPy loads it too (``program.load(path)``)."""
        write_json(Path(path), dump_program(self))

    def __str__(self) -> str:
        front = f"\n{self.front}" if self.front is not None else ""
        return f"{self.name} of {self.task}: {short(self.candidate)}\n{self.verdict}{front}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = "".join(
            f"<h4><code>{html.escape(name)}</code></h4><p>{html.escape(state.instructions)}</p>"
            f"<details><summary>{len(state.demos)} demonstrations</summary><pre>"
            + html.escape("\n\n".join("\n".join(f"{k}: {v}" for k, v in d.items()) for d in state.demos))
            + "</pre></details>"
            for voice in self.candidate.voices
            for name, state in voice.predictors.items()
        )
        return f"<b>{html.escape(self.name)}</b> of {html.escape(self.task)}: {html.escape(self.verdict)}{parts}" + (
            self.front._repr_html_() if self.front is not None else ""
        )


def setting(lm: LM, adapter: str) -> Any:
    """A block in which DSPy's programs run on a model, in an adapter's form."""
    from ..runtime.adapters import adapter_named

    return dspy.context(lm=lm, adapter=adapter_named(adapter))


def dump_program(made: CompiledProgram) -> dict[str, Any]:
    """A program as JSON: DSPy's own state, of a vote the first program's, and under ``dstill`` what DSPy lacks."""
    from dspy.utils.saving import get_dependency_versions

    program = voters(made.program)[0].deepcopy()
    for _, module in program.named_sub_modules():
        if isinstance(module, dspy.Module):
            module._compiled = False  # DSPy leaves frozen sub-modules out of the state
    for predictor in program.predictors():
        predictor.lm = None
    state = program.dump_state()
    set_here = {id(place(program, knob)[0]) for knob in made.candidate.knobs}
    for name, predictor in program.named_predictors():
        if id(predictor) in set_here:
            own = state if predictor is program else state[name]
            own["config"] = dict(predictor.config)  # DSPy does not write it, but reads it
    return {
        **state,
        "metadata": {"dependency_versions": get_dependency_versions()},
        "dstill": {
            "format": FORMAT,
            "name": made.name,
            "task": made.task,
            "adapter": made.adapter,
            "lm": made.lm.spec,
            "candidate": made.candidate.dump(),
            "digest": made.candidate.digest,
        },
    }


def load_program(
    path: Path | str, program: dspy.Module, *, lm: Model | None = None, session: Session | None = None
) -> CompiledProgram:
    """A saved program, applied to the declared one.

    Args:
        path: ``program.json``, or the run directory that holds it.
        program: the declared program; no code is taken from the file.
        lm: another model than the one it was compiled for.

    Raises:
        BadInput: where there is no such file, or it is for another program.
        Damaged: for a file that is no saved program, or of a newer format.
    """
    path = Path(path)
    file = path / "program.json" if path.is_dir() else path
    if path.is_dir():
        check_files(path, "program.json")
    try:
        body = orjson.loads(file.read_bytes())["dstill"]
        if body["format"] > FORMAT:
            raise Damaged(f"{file} has program format {body['format']}, and this dstill reads up to {FORMAT}")
        candidate = Candidate.load(body["candidate"])
        name, task, adapter, model = body["name"], body["task"], body["adapter"], body["lm"]
    except FileNotFoundError:
        raise BadInput(f"there is no program in {path}") from None
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise Damaged(f"{file} is no saved program: {type(error).__name__}: {error}") from None
    bound = lm_for(model["model"] if lm is None else lm, session, **(model["settings"] if lm is None else {}))
    folder = file.parent if file.name == "program.json" else None
    front = read_front(folder) if folder is not None else None
    return CompiledProgram(name, task, candidate.apply(program), bound, adapter, candidate, None, front, folder)
