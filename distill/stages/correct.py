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
from .labels import declared_labels, label_field_of, labels_of
from .teaching import signatures
from .train_encoder import Pooling, TrainEncoder

if TYPE_CHECKING:
    import torch

WAYS = 10_000
"""Rows that share an input are taken to differ where there are at most so many ways to label them."""
ENOUGH = 0.75
"""Classifiers that agree with labels less often than this part of how often labels are right have learned too little:
whoever knew the right ones would agree as often as they are right."""


@dataclass(frozen=True)
class Correct:
    """Probabilities of the right label in the place of labels some of which are wrong, for ``train-encoder`` with
    ``soft``; the rows' answers stay as they are, and so do labels whose row the metric gave full marks.

    Classifiers are trained on all parts of the rows but one and asked about that one, so that none has learned what it
    is asked about. How often who is called what is then fitted to where they differ from the labels and to what is
    known of all rows, at least one of ``right``, ``prior`` and ``distinct``, and all are put together by Bayes; see
    ``correction``. Labels stay as they are where classifiers have learned too little to be asked.
    """

    training: Training = field(default_factory=lambda: Training(epochs=2, batch=32, lr=5e-5))
    folds: int = 2
    """Parts of the rows, and classifiers to train."""
    right: float = 0.0
    """How often the labels are right, as a teacher's score on rows like these tells; 0 where that is not known."""
    prior: dict[str, float] = field(default_factory=dict)
    """How often each label is the right one, in parts of any size, where that is known from elsewhere; the mean belief
    of the classifiers is brought there."""
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
        if not 0 <= self.right <= 1:
            raise BadInput(f"right = {self.right}: expected a share of the labels, between 0 and 1")
        if wrong := [f"{label} = {part}" for label, part in self.prior.items() if not 0 < part < math.inf]:
            raise BadInput(f"prior: {', '.join(wrong)}: expected parts above 0")
        _ = self._classifier  # whose own settings are checked as it is made

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
            BadInput: where nothing is known of the labels, for ``distinct`` that no predictor reads, a predictor that
                no classifier can answer, and a prior of other labels than those declared.
            ModelUnavailable: for a base that cannot be had, is broken or of another kind.
        """
        self._classifier.check(base, program, lm)
        if not (self.right or self.prior or self.distinct):
            raise BadInput(
                "correct cannot tell wrong labels from weak classifiers by the rows alone: expected one or more of "
                "right (how often labels are right, such as the teacher's score on dev), prior (how often each label "
                "is) and distinct (an input; rows that share it have different labels)"
            )
        read = sorted({name for signature in signatures(program) for name in signature.input_fields})
        if self.distinct and self.distinct not in read:
            raise BadInput(f"distinct = {self.distinct!r}: no predictor reads that; expected one of: {', '.join(read)}")
        for name, predictor in program.named_predictors():
            labels = declared_labels(predictor.signature, label_field_of(predictor.signature, name))
            if labels and self.prior:
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

        from ..correction import Known, all_different, corrected, mistakes_of, with_prior

        field = label_field_of(state.signature(name), name)
        labels, _ = labels_of(state.signature(name), field, rows)
        prior = self._prior(name, labels) if self.prior else None
        said = torch.tensor([labels.index(row.outputs[field]) for row in rows])
        as_said = torch.nn.functional.one_hot(said, len(labels)).double()
        sure = torch.tensor([row.score == 1 for row in rows])
        if sure.all():
            return self._with(rows, labels, as_said), "the metric gave all labels full marks, and they stay"
        beliefs = self._beliefs(state, name, rows, labels)
        groups, left = self._groups(rows, len(labels))
        account = mistakes_of(beliefs, said, Known(sure, self.right or None, prior, groups))
        fitted = account.beliefs if prior is None else with_prior(account.beliefs, prior)
        found = all_different(corrected(fitted, said, account.transition, sure), groups)
        found[sure] = as_said[sure]
        agree = float((beliefs.argmax(-1) == said).double().mean())
        right = float(found.gather(1, said[:, None]).mean())
        notes = [f"classifiers agree with {100 * agree:.0f} % of the labels"]
        if agree < ENOUGH * right:
            found = as_said
            notes += [f"but {100 * right:.0f} % would be right: they have learned too little, and labels stay"]
        else:
            notes.append(self._note(found, said, account.transition, labels))
        notes += [left] if left else []
        return self._with(rows, labels, found), ", ".join(notes)

    @staticmethod
    def _with(rows: Sequence[Pair], labels: Sequence[str], chances: torch.Tensor) -> tuple[Pair, ...]:
        """The rows with these probabilities; those of a teacher's tokens speak of its own labels, and go."""
        return tuple(
            replace(row, soft=dict(zip(labels, own, strict=True)), tokens=None)
            for row, own in zip(rows, chances.tolist(), strict=True)
        )

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
            columns = torch.tensor([labels.index(label) for label in facts["labels"]])
            found[torch.tensor(part)[:, None], columns] = chances
        return found

    def _parts(self, state: DistillState, name: str, rows: Sequence[Pair]) -> list[list[int]]:
        """The places of each part; rows of one example, or that share what they are told apart by, stay together."""
        keys = [row.inputs.get(self.distinct, row.example) for row in rows]
        order = sorted(set(keys))
        if len(order) < self.folds:
            what = f"texts of {self.distinct}" if self.distinct else "examples"
            raise BadInput(
                f"folds = {self.folds}: the {len(rows)} rows of {name} have {len(order)} {what}; expected no more folds"
            )
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
        told = f"{other} of {len(said)} are likelier others"
        wrong = [(float(transition[i, j]), a, b) for i, a in enumerate(labels) for j, b in enumerate(labels) if i != j]
        often = [
            f"{a} called {b} {100 * share:.0f} %" for share, a, b in sorted(wrong, reverse=True)[:3] if share > 0.005
        ]
        return told + (f"; most often {', '.join(often)}" if often else "")
