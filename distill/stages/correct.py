"""Correct: the labels of a teacher that is sometimes wrong, set right as far as can be told without gold ones."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...runtime.derive import derive
from ...runtime.errors import BadInput
from ...runtime.lm import LM
from ...runtime.written import CHECKPOINTS
from ..settings import check_settings
from ..state import DistillState, Pair
from ..students import read_student
from ..training import Training
from .teaching import signatures
from .train_encoder import Pooling, TrainEncoder, declared_labels, label_field_of, labels_of

if TYPE_CHECKING:
    import torch

WAYS = 10_000
"""Rows that share an input are taken to differ where there are at most so many ways to label them."""


@dataclass(frozen=True)
class Correct:
    """Probabilities of the right label in the place of labels some of which are wrong, for ``train-encoder`` with
    ``soft``; the rows' answers stay as they are, and so do labels whose row the metric gave full marks.

    Classifiers are trained on all parts of the rows but one and asked about that one, so that none has learned what it
    is asked about. Where teacher and classifier agree on a row it is likely right, and how often they do not tells who
    is called what (confident learning: Northcutt et al., 1911.00068). Both are put together by Bayes; see
    ``objectives.correction``.
    """

    training: Training = field(default_factory=lambda: Training(epochs=2, batch=32, lr=5e-5))
    folds: int = 2
    """Parts of the rows, and classifiers to train."""
    prior: dict[str, float] = field(default_factory=dict)
    """How often each label is the right one, in parts of any size, where that is known from elsewhere; the mean of all
    probabilities is brought there."""
    distinct: str = ""
    """An input field: rows that share its text are known to have different labels."""
    pooling: Pooling = "auto"
    """As in ``train-encoder``."""
    max_length: int = 256
    """Tokens at which inputs are cut."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.folds < 2:
            raise BadInput(f"folds = {self.folds}: expected 2 or more")
        if wrong := [f"{label} = {part}" for label, part in self.prior.items() if not 0 < part < math.inf]:
            raise BadInput(f"prior: {', '.join(wrong)}: expected parts above 0")
        _ = self._classifier

    @property
    def name(self) -> str:
        """``correct``."""
        return "correct"

    @property
    def _classifier(self) -> TrainEncoder:
        return TrainEncoder(training=self.training, pooling=self.pooling, max_length=self.max_length)

    def check(self, base: str, program: Any, lm: LM) -> None:
        """Refuse what could not be trained before anything is paid for.

        Raises:
            BadInput: for ``distinct`` that no predictor reads, and a prior of other labels than those declared.
            ModelUnavailable: for a base that cannot be had, is broken or of another kind.
        """
        self._classifier.check(base, program, lm)
        read = sorted({name for signature in signatures(program) for name in signature.input_fields})
        if self.distinct and self.distinct not in read:
            raise BadInput(f"distinct = {self.distinct!r}: no predictor reads that; expected one of: {', '.join(read)}")
        for name, predictor in program.named_predictors() if self.prior else ():
            if labels := declared_labels(predictor.signature, label_field_of(predictor.signature, name)):
                self._prior(name, labels)

    def run(self, state: DistillState) -> DistillState:
        """The rows with probabilities."""
        notes, pairs = [], {}
        for name, rows in state.pairs.items():
            pairs[name], note = self._corrected(state, name, rows)
            notes.append(f"{name}: {note}")
        return state.with_effect(self.name, state.rows, *notes, pairs=pairs)

    def _corrected(self, state: DistillState, name: str, rows: Sequence[Pair]) -> tuple[tuple[Pair, ...], str]:
        import torch

        from ..objectives.correction import all_different, corrected, with_prior
        from ..objectives.robust import transition_by_agreement

        field = label_field_of(state.signature(name), name)
        labels, _ = labels_of(state.signature(name), field, rows)
        beliefs = self._beliefs(state, name, rows, labels)
        if self.prior:
            beliefs = with_prior(beliefs, self._prior(name, labels))
        said = torch.tensor([labels.index(row.outputs[field]) for row in rows])
        opinion = torch.nn.functional.one_hot(beliefs.argmax(-1), len(labels)).double()
        transition = transition_by_agreement(said, opinion)
        found = corrected(beliefs, said, transition)
        groups, left = self._groups(rows, len(labels))
        found = all_different(found, groups)
        sure = torch.tensor([row.score == 1 for row in rows])
        found[sure] = torch.nn.functional.one_hot(said[sure], len(labels)).double()
        kept = tuple(
            replace(row, soft=dict(zip(labels, chances, strict=True)), tokens=None)
            for row, chances in zip(rows, found.tolist(), strict=True)
        )
        return kept, self._note(found, said, transition, labels) + (f", {left}" if left else "")

    def _beliefs(self, state: DistillState, name: str, rows: Sequence[Pair], labels: Sequence[str]) -> torch.Tensor:
        """What classifiers say of rows that they were not trained on, [rows, labels]."""
        import torch

        from ..students.engines import EncoderStudent

        parts = self._parts(state, name, rows)
        found = torch.zeros(len(rows), len(labels), dtype=torch.float64)
        for number, part in enumerate(parts):
            held = set(part)
            others = [row for place, row in enumerate(rows) if place not in held]
            # What it leaves behind goes when the distillation ends, as checkpoints do.
            folder = state.folder / CHECKPOINTS / f"{state.student_folder(name).name}@without-{number}" / "student"
            self._classifier.train(replace(state, dev_pairs={}), name, others, folder)
            facts = read_student(folder).facts
            student = EncoderStudent(folder, facts)
            chances = student.probabilities([dict(rows[place].inputs) for place in part])
            student.close()
            columns = [labels.index(label) for label in facts["labels"]]
            for place, own in zip(part, chances, strict=True):
                found[place, columns] = own
        return found

    def _parts(self, state: DistillState, name: str, rows: Sequence[Pair]) -> list[list[int]]:
        """The places of each part; rows of one example, or that share what they are told apart by, stay together."""
        keys = [row.inputs.get(self.distinct, row.example) for row in rows]
        order = sorted(set(keys))
        if len(order) < self.folds:
            what = f"texts of {self.distinct}" if self.distinct else "examples"
            raise BadInput(f"folds = {self.folds}: the {len(rows)} rows of {name} have {len(order)} {what}; too few")
        derive(state.seed, "correct", name).shuffle(order)
        number = {key: place % self.folds for place, key in enumerate(order)}
        found: list[list[int]] = [[] for _ in range(self.folds)]
        for place, key in enumerate(keys):
            found[number[key]].append(place)
        return found

    def _groups(self, rows: Sequence[Pair], labels: int) -> tuple[list[list[int]], str]:
        """Rows that are known to differ, and a remark on those that are too many to."""
        if not self.distinct:
            return [], ""
        met: dict[str, list[int]] = defaultdict(list)
        for place, row in enumerate(rows):
            if self.distinct in row.inputs:
                met[row.inputs[self.distinct]].append(place)
        fit = [group for group in met.values() if len(group) <= labels and math.perm(labels, len(group)) <= WAYS]
        left = sum(map(len, met.values())) - sum(map(len, fit))
        why = f"{left} rows share their {self.distinct} with too many others to be told apart by it"
        return [group for group in fit if len(group) > 1], why if left else ""

    def _prior(self, name: str, labels: Sequence[str]) -> torch.Tensor:
        import torch

        if set(self.prior) != set(labels):
            raise BadInput(
                f"prior names {', '.join(self.prior)}; the labels of {name} are {', '.join(labels[:8])}"
                f"{' and others' if len(labels) > 8 else ''}: expected a part for each"
            )
        parts = torch.tensor([float(self.prior[label]) for label in labels], dtype=torch.float64)
        return parts / parts.sum()

    @staticmethod
    def _note(found: torch.Tensor, said: torch.Tensor, transition: torch.Tensor, labels: Sequence[str]) -> str:
        other = int((found.argmax(-1) != said).sum())
        wrong = [(float(transition[i, j]), a, b) for i, a in enumerate(labels) for j, b in enumerate(labels) if i != j]
        often = ", ".join(f"{a} called {b} {100 * share:.0f} %" for share, a, b in sorted(wrong, reverse=True)[:3])
        return f"{other} of {len(said)} labels are likelier others; most often {often}"
