"""What ``distill`` returns: the same program with some predictors on local weights, and the evidence."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dspy
import orjson

from ..optimizers.candidate import Candidate
from ..optimizers.compiled import CompiledProgram, dump_program, load_program, setting
from ..runtime.errors import BadInput, Damaged
from ..runtime.lm import LM
from ..runtime.models import Model, adopt
from ..runtime.session import Session
from .stages.binding import with_teacher
from .state import Effect, Gated
from .students import CURVE


@dataclass(frozen=True)
class DistilledProgram:
    """A program whose shipped predictors run on students; the others stay on the teacher. Call it like the program."""

    name: str
    task: str
    program: dspy.Module
    lm: LM
    """The teacher's model, for predictors without a student."""
    adapter: str
    candidate: Candidate
    students: Mapping[str, Path]
    """Folders of the shipped students, by predictor."""
    gates: Mapping[str, Gated]
    """For every student that was trained, whether it ships and why."""
    effects: tuple[Effect, ...] = ()
    """What each stage of the recipe did."""
    folder: Path | None = field(default=None, compare=False)
    trained: dspy.Module | None = field(default=None, compare=False)
    """The program with every trained student in its place, those held back too: what a board measures."""
    stopped: str | None = None
    """Why it ended early (a budget), or ``None``."""

    def __call__(self, **inputs: Any) -> Any:
        """Run the program."""
        with setting(self.lm, self.adapter):
            return self.program(**inputs)

    async def acall(self, **inputs: Any) -> Any:
        """Run the program from async code."""
        with setting(self.lm, self.adapter):
            return await self.program.acall(**inputs)

    @property
    def verdict(self) -> str:
        """What may be claimed, a sentence for each student, and which predictors have none."""
        said = [
            f"{name}: {'shipped' if gate.shipped else 'held back'}, {gate.why}" for name, gate in self.gates.items()
        ]
        others = [name for name, _ in self.program.named_predictors() if name not in self.gates]
        return "; ".join([*said, *(f"{name}: without a student, its teacher answers" for name in others)])

    @property
    def held(self) -> tuple[str, ...]:
        """A note for every student that was trained and does not ship, with the reason."""
        return tuple(f"{name} held back on dev: {gate.why}" for name, gate in self.gates.items() if not gate.shipped)

    def __str__(self) -> str:
        return "\n".join(
            [f"{self.name} of {self.task}: {len(self.students)} of {len(self.gates)} students shipped", self.verdict]
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(_cells("td", *_shown(effect)) for effect in self.effects)
        heads = _cells("th", "stage", "rows in", "rows out", "score", "cost", "notes")
        return (
            f"<b>{html.escape(str(self).splitlines()[0])}</b><p>{html.escape(self.verdict)}</p>"
            f"<table>{heads}{rows}</table>{self._courses()}"
        )

    def _courses(self) -> str:
        """The pictures of the trainings, where the run directory is at hand."""
        places = sorted(self.folder.glob(f"students/*/{CURVE}")) if self.folder is not None else []
        return "".join(place.read_text() for place in places)


def _shown(effect: Effect) -> tuple[str, ...]:
    return (
        effect.stage, str(effect.rows_in), str(effect.rows_out), effect.score, effect.price, "; ".join(effect.notes)
    )  # fmt: skip


def _cells(kind: str, *texts: str) -> str:
    return "<tr>" + "".join(f"<{kind}>{html.escape(text)}</{kind}>" for text in texts) + "</tr>"


def dump_distilled(made: DistilledProgram, teacher: Candidate | None = None) -> dict[str, Any]:
    """As JSON: a compiled program, where its students lie (relative to the file), and what cascades ask the teacher."""
    base = CompiledProgram(made.name, made.task, made.program, made.lm, made.adapter, made.candidate)
    body = dump_program(base)
    body["dstill"]["students"] = _places(made)
    own = {name: model for name, model in body["dstill"].pop("own", {}).items() if name not in made.students}
    body["dstill"].update({"own": own} if own else {})
    found = {name: gate.threshold for name, gate in made.gates.items() if gate.threshold is not None}
    if found and teacher is not None:
        body["dstill"]["cascades"] = {"thresholds": found, "teacher": teacher.dump()}
    return body


def _places(made: DistilledProgram) -> dict[str, str]:
    """Where the students lie in the run directory."""
    assert made.folder is not None
    return {name: folder.relative_to(made.folder).as_posix() for name, folder in made.students.items()}


def load_distilled(
    folder: Path | str, program: dspy.Module, *, lm: Model | None = None, session: Session | None = None
) -> DistilledProgram:
    """A distilled program from its run directory; no network, no code from the files.

    Args:
        folder: the run directory.
        program: the declared program.
        lm: another model for the predictors without a student.

    Raises:
        BadInput: for a folder that holds no distilled program.
        Damaged: for files that are not what they were.
    """
    folder = Path(folder)
    base = load_program(folder, program, lm=lm, session=session)
    body = orjson.loads((folder / "program.json").read_bytes())["dstill"]
    if "students" not in body:
        raise BadInput(f"{folder} holds a compiled program without students; load it with load_program")
    students = {name: folder / place for name, place in body["students"].items()}
    predictors = dict(base.program.named_predictors())
    cascades = body.get("cascades", {"thresholds": {}})
    asked: dict[str, Any] = {}
    if "teacher" in cascades:
        asked = dict(Candidate.load(cascades["teacher"]).apply(adopt(program, session)).named_predictors())
    for name, place in students.items():
        threshold = cascades["thresholds"].get(name)
        predictors[name].lm = LM(with_teacher(place, asked.get(name), base.lm, base.adapter, threshold), session)
    gates = {name: Gated(True, "loaded; see the run's report for evidence") for name in students}
    return DistilledProgram(
        base.name, base.task, base.program, base.lm, base.adapter, base.candidate, students,
        gates | _gates(folder / "report.json"), (), folder,
    )  # fmt: skip


def _gates(report: Path) -> dict[str, Gated]:
    """The verdicts in a run's report; none where it has been left behind."""
    if not report.is_file():
        return {}
    try:
        found = orjson.loads(report.read_bytes())["students"]
        return {
            name: Gated(
                gate["shipped"], gate["why"], gate["difference"], gate.get("power"), gate.get("threshold"),
                gate.get("reached"),
            )
            for name, gate in found.items()
        }  # fmt: skip
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"{report} cannot be read: {type(error).__name__}: {error}") from None
