"""Ladder: the cheapest student first, climbing until one is not inferior; the user names a quality and not a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...runtime.errors import BadInput, BudgetExhausted
from ..settings import check_settings
from ..state import DistillState, Gated
from ..training import Training
from .common import base_folder, kind_of
from .gate import Gate
from .train_causal import TrainCausal, TrainSeq2Seq
from .train_encoder import TrainEncoder

KINDS: dict[str, Any] = {"encoder": TrainEncoder, "seq2seq": TrainSeq2Seq, "causal": TrainCausal}
"""Kinds of students, the cheapest to run first: an encoder answers in one pass."""


@dataclass(frozen=True)
class Ladder:
    """Trains and judges students of rising cost; each predictor ships with the first that the gate lets pass.

    Rungs are tried in the order of their kind (encoder, sequence to sequence, causal) and, within a kind, of the size
    of their weights. A predictor that a kind cannot answer (a classifier, free text) waits for the next. What ships is
    judged once more together, as the gate does.
    """

    rungs: tuple[str, ...] = ("embedded:encoder", "embedded:small")
    """Base models: names or folders; the student that was named for the run is one more."""
    training: Training | None = None
    """How all are trained; each kind's own defaults where it is left out."""

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def name(self) -> str:
        """``ladder``."""
        return "ladder"

    def check(self, base: str, program: Any, lm: Any) -> None:
        """Refuse rungs that could not be trained before anything is paid for.

        Raises:
            ModelUnavailable: for the first that cannot be had, or is broken.
        """
        for kind, rung in climb((*self.rungs, base)):
            KINDS[kind]().check(rung, program, lm)

    def run(self, state: DistillState) -> DistillState:
        """The state with a student for every predictor that some rung could answer, and verdicts."""
        students: dict[str, Path] = {}
        notes: list[str] = []
        left = list(state.pairs)
        try:
            for kind, base in climb((*self.rungs, state.base)):
                if not left:
                    break
                tried = self._rung(state, kind, base, left, notes)
                students |= {name: tried.students[name] for name in left if name in tried.students}
                left = [name for name in left if name not in tried.gates or not tried.gates[name].shipped]
            if not students:
                raise BadInput(f"no rung can answer any predictor: {'; '.join(notes)}")
            whole = Gate().run(replace(state, students=students, effects=()))
            gates, dev, stopped = dict(whole.gates), whole.effects[-1].dev, whole.stopped
        except BudgetExhausted:
            stopped = f"the budget of {state.session.ledger.budget} ended it before all rungs were judged"
            gates, dev = {name: Gated(False, stopped) for name in students}, {}
        return state.with_effect(
            self.name, state.rows, *notes, dev=dev, students=students, gates=gates, stopped=stopped
        )

    def _rung(self, state: DistillState, kind: str, base: str, left: Sequence[str], notes: list[str]) -> DistillState:
        """One base model: trained for each predictor that is left and that it can answer, and judged."""
        stage = KINDS[kind]() if self.training is None else KINDS[kind](training=self.training)
        made = replace(state, base=base, rung=base.rstrip("/").rpartition("/")[2], students={}, gates={}, effects=())
        students: dict[str, Path] = {}
        for name in left:
            try:
                one = stage.run(replace(made, pairs={name: state.pairs[name]}))
                students[name] = one.students[name]
            except BadInput as error:
                notes.append(f"{base} ({kind}) cannot answer {name}: {error}")
        judged: DistillState = Gate().run(replace(made, students=students)) if students else made
        for name, gate in judged.gates.items():
            notes.append(f"{base} ({kind}) for {name}: {'ships' if gate.shipped else 'climb on'}, {gate.why}")
        return judged


def climb(rungs: Sequence[str]) -> list[tuple[str, str]]:
    """(kind, base) of every different rung, the cheapest first."""
    found = []
    for base in dict.fromkeys(rungs):
        folder = base_folder(base)
        kind = kind_of(folder)
        size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        found.append((list(KINDS).index(kind), size, kind, base))
    return [(kind, base) for _, _, kind, base in sorted(found)]
