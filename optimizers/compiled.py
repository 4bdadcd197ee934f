"""What ``compile`` returns: the better program, the model it was made for, and the evidence."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dspy
import orjson

from ..programs.knobs import place
from ..runtime.atomic import write_json
from ..runtime.errors import BadInput, Damaged
from ..runtime.lm import LM
from ..runtime.models import Model, lm_for
from ..runtime.rundir import check_files
from ..runtime.session import Session
from .candidate import Candidate, short
from .front import Front, read_front
from .verdict import Evidence
from .voting import voters

if TYPE_CHECKING:
    from .explain import Explanation

FORMAT = 1


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
    told: str = field(default="", compare=False)
    """What its run may claim of it, where it was loaded from there."""

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
        if self.told:
            return self.told
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
    own = {name: p.lm.model for name, p in program.named_predictors() if p.lm is not None}
    for _, module in program.named_sub_modules():
        if isinstance(module, dspy.Module):
            module._compiled = False  # DSPy leaves frozen sub-modules out of the state
    for predictor in program.predictors():
        predictor.lm = None
    state = program.dump_state()
    set_here = {id(place(program, knob)[0]) for knob in made.candidate.knobs}
    for name, predictor in program.named_predictors():
        if id(predictor) in set_here:
            kept = state if predictor is program else state[name]
            kept["config"] = dict(predictor.config)  # DSPy does not write it, but reads it
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
            **({"own": own} if own else {}),
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
        whole = orjson.loads(file.read_bytes())
        body = whole["dstill"]
        if body["format"] > FORMAT:
            raise Damaged(f"{file} has program format {body['format']}, and this dstill reads up to {FORMAT}")
        candidate = Candidate.load(body["candidate"])
        name, task, adapter, model, own = body["name"], body["task"], body["adapter"], body["lm"], body.get("own", {})
    except FileNotFoundError:
        raise BadInput(f"there is no program in {path}") from None
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise Damaged(f"{file} is no saved program: {type(error).__name__}: {error}") from None
    for predictor, lacking in program.named_predictors():
        state = whole if predictor == "self" else whole.get(predictor)  # a lone predictor stands without a name
        theirs, ours = _heads(state), _heads(lacking.dump_state())
        if theirs and theirs != ours:
            raise BadInput(
                f"{path} is of another program: its predictor {predictor} has the fields {' '.join(theirs)}, that of "
                f"the program that you give {' '.join(ours)}"
            )
        if predictor in own and lacking.lm is None:
            raise BadInput(
                f"{path} is of a program whose predictor {predictor} had a model of its own, {own[predictor]}: set it "
                "on the program that you give, or load the run that this one is a step of"
            )
    bound = lm_for(model["model"] if lm is None else lm, session, **(model["settings"] if lm is None else {}))
    folder = file.parent if file.name == "program.json" else None
    front = read_front(folder) if folder is not None else None
    told = _told(path, candidate) if path.is_dir() else ""
    return CompiledProgram(name, task, candidate.apply(program), bound, adapter, candidate, None, front, folder, told)


def _heads(state: Any) -> list[str]:
    """What DSPy calls the fields of a saved predictor, such as ``Text:``; nothing for one that was not saved."""
    try:
        return [str(field["prefix"]) for field in state["signature"]["fields"]]
    except (KeyError, TypeError):
        return []


def _told(run: Path, candidate: Candidate) -> str:
    """The verdict in a run's report, if it is on this candidate."""
    if not (run / "report.json").is_file():
        return ""
    check_files(run, "report.json")
    body = orjson.loads((run / "report.json").read_bytes())
    return str(body["verdict"]) if body.get("digest") == candidate.digest else ""
