"""Train a classifier student: an encoder with a head over the labels of one output field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ...runtime.canonical import digest
from ...runtime.derive import derive_int
from ...runtime.engines.local.loading import quiet
from ...runtime.errors import BadInput
from ...runtime.lm import LM
from ...runtime.progress import progress
from ..settings import check_settings
from ..state import DistillState, Pair
from ..students import Student, finished, make_way, read_student, training_key, write_student
from ..training import Log, Training, best, train
from ..training.devices import device_of, home, moved, tensor_on
from .common import (
    base_digest,
    base_folder,
    check_opens,
    keep_course,
    kept_apart,
    longest,
    losses,
    open_base,
    origin,
    train_each,
)  # fmt: skip
from .encoder_loss import EncoderLoss, aids, targets_of, transition_of
from .labels import label_field_of, labels_of, may_be_none
from .pairs import PairLoss
from .teaching import reasons, signatures
from .votes import untold

if TYPE_CHECKING:
    import torch

Robust: TypeAlias = Literal["none", "generalised", "symmetric", "bootstrap", "forward", "backward"]
Pooling: TypeAlias = Literal["auto", "mean", "first"]
Coded: TypeAlias = Sequence[dict[str, list[int]]]
"""Rows as tokens."""


@dataclass(frozen=True)
class TrainEncoder:
    """Full fine-tuning with cross-entropy against labels, or against the teacher's shares of answers; or by pairs.

    For predictors with one output field besides ``reasoning``; its labels are those of its ``Literal`` type, or
    those that occur.
    """

    training: Training = field(default_factory=lambda: Training(epochs=3, batch=32, lr=1e-4))
    objective: Literal["labels", "pairs"] = "labels"
    """``labels``: head and encoder learn each row's label. ``pairs``: the encoder learns which rows of a batch share a
    label, and then a head is fitted; for sentence encoders and few rows."""
    soft: bool = False
    """Whether to learn the teacher's probabilities instead of its commonest answer: those that its log-probabilities
    tell, or the shares of several samples or teachers."""
    smoothing: float = 0.0
    """Probability that is spread over all labels."""
    robust: Robust = "none"
    """A loss for labels some of which are wrong, see ``objectives.robust``: ``generalised``, ``symmetric``,
    ``bootstrap``; ``forward`` and ``backward`` are corrected by the mistakes that several votes betray."""
    rationale: Literal["none", "words", "align"] = "none"
    """Rationales as an auxiliary task: tell the ``words`` that they bring, or ``align`` with their representation."""
    hidden: Literal["none", "mse", "mi"] = "none"
    """Lead the representation to that of a teacher encoder, by distance or by information (MI-alpha)."""
    teacher: str = ""
    """The encoder that ``hidden`` leads to: a folder or a hub name; its tokenizer may be another one."""
    aux_weight: float = 0.3
    """What the auxiliary loss is multiplied with before it is added."""
    pooling: Pooling = "auto"
    """What the head reads: ``mean`` of the tokens, the ``first`` token as the base's own head does, or what the base
    says of itself (``auto``)."""
    max_length: int = 256
    """Tokens at which inputs are cut."""

    def __post_init__(self) -> None:
        check_settings(self)
        if not 0 <= self.smoothing < 1:
            raise BadInput(f"smoothing = {self.smoothing}: expected 0 or more, below 1")
        if self.max_length < 8:
            raise BadInput(f"max_length = {self.max_length}: expected 8 tokens or more")
        if self.rationale != "none" and self.hidden != "none":
            raise BadInput("rationale and hidden are both auxiliary tasks of the same layer: expected one of them")
        if self.training.devices > 1 and (self.rationale, self.hidden) != ("none", "none"):
            raise BadInput(f"devices = {self.training.devices} with rationale or hidden: expected devices = 1")
        if self.objective == "pairs" and (self.robust, self.rationale, self.hidden) != ("none", "none", "none"):
            raise BadInput("objective = 'pairs' has no robust loss and no auxiliary task: expected 'none' for each")
        how = self.training
        if self.objective == "pairs" and (how.batch < 4 or how.devices > 1 or how.accumulate > 1):
            raise BadInput(
                f"objective = 'pairs' with batch = {how.batch}, devices = {how.devices}, accumulate = "
                f"{how.accumulate}: it learns from the pairs of a batch; expected a batch of 4 or more (32, say), "
                "whole, on one device"
            )
        if how.accumulate > 1 and (self.rationale == "align" or self.hidden == "mi"):
            raise BadInput(
                f"accumulate = {how.accumulate} with rationale = {self.rationale!r}, hidden = {self.hidden!r}: each "
                "row is told from the others of its batch, of which a part has fewer; expected accumulate = 1"
            )
        if self.hidden != "none" and not self.teacher:
            raise BadInput(f"hidden = {self.hidden!r} needs an encoder to be led to: teacher = FOLDER or a hub name")

    @property
    def name(self) -> str:
        """``train encoder``."""
        return "train encoder"

    def check(self, base: str, program: Any, lm: LM) -> None:
        """Refuse what could not be trained before anything is paid for.

        Raises:
            BadInput: for a program without the rationales that it is to learn from, and for pairs on a base whose first
                token is read.
            ModelUnavailable: for a base or a teacher that cannot be had, or a base that is broken or of another kind.
        """
        check_opens(base, "" if self._mean(base) else "SequenceClassification")
        if self.rationale != "none" and not any(map(reasons, signatures(program))):
            raise BadInput(
                f"rationale = {self.rationale!r} needs rationales, and no predictor of the program has a reasoning "
                "field: declare one with dspy.ChainOfThought, or leave it out"
            )
        if self.objective == "pairs" and not self._mean(base):
            raise BadInput(
                f"objective = 'pairs' compares means of tokens, which {base} is not read by: expected a sentence "
                "encoder, or pooling = 'mean'"
            )
        if self.hidden != "none":
            check_opens(self.teacher, "", role="teach")

    def _mean(self, base: str) -> bool:
        """Whether the head reads the mean of the tokens."""
        from ..students.pooling import reads_the_mean

        return self.pooling == "mean" or (self.pooling == "auto" and reads_the_mean(base_folder(base)))

    def run(self, state: DistillState) -> DistillState:
        """A classifier for every predictor with rows."""
        return train_each(state, self.name, self.train)

    def train(self, state: DistillState, name: str, rows: Sequence[Pair], folder: Path) -> str:
        """A classifier of a predictor's rows in a folder, and how it went; one that is there already is kept."""
        signature = state.signature(name)
        label_field = label_field_of(signature, name)
        labels, remarks = labels_of(signature, label_field, rows)
        if self.soft and (count := untold(rows, labels, label_field)):
            remarks = [*remarks, f"{count} rows whose tokens tell of no label, learned from votes or answers"]
        learn, apart = kept_apart(state, name, rows, self.training.heldout)
        apart = [row for row in apart if row.outputs.get(label_field) in labels]
        key = training_key(
            stage=asdict(self), rows=[row.dump() for row in learn], apart=[row.dump() for row in apart],
            base=base_digest(state.base), labels=labels, seed=state.seed, kind="encoder",
            teacher=base_digest(self.teacher) if self.teacher else None,
        )  # fmt: skip
        inputs = tuple(signature.input_fields)
        if finished(folder, key):
            return str(read_student(folder).training["note"])
        from ..students.encoding import encode

        model, tokenizer, mean = self._open(state, len(labels))
        model.config.id2label = dict(enumerate(labels))
        model.config.label2id = {label: index for index, label in enumerate(labels)}
        most = min(self.max_length, longest(tokenizer, model))
        coded, watched = (
            [encode(tokenizer, dict(row.inputs), inputs, most) for row in some] for some in (learn, apart)
        )
        cut = sum(len(row["input_ids"]) >= most for row in coded)
        if self.training.recompute:
            getattr(model, "encoder", model).gradient_checkpointing_enable()
        model.to(home(self.training.devices))
        loss, watch = self._loss(state, name, labels, model, tokenizer, (learn, coded), (apart, watched))
        fresh = [n for n, _ in model.named_parameters() if not n.startswith(f"{model.base_model_prefix}.")]
        with quiet(), progress(f"train {name}") as bar:
            log = train(
                model, [len(row["input_ids"]) for row in coded], loss, self.training,
                state.checkpoint_folder(folder, key), seed=state.seed, bar=bar,
                fresh=[*fresh, *(f"beside.{n}" for n, _ in loss.beside.named_parameters())] if loss.beside else fresh,
                watch=watch if watched else None, share=loss.share, beside=loss.beside,
            )  # fmt: skip
            if isinstance(loss, PairLoss):
                loss.fit_head()
        facts = {
            "inputs": list(inputs), "field": label_field, "labels": labels, "max_length": most,
            "pooling": "mean" if mean else "first", "order": list(signature.output_fields),
            "optional": may_be_none(signature, label_field),
        }  # fmt: skip
        course = losses(log)
        note = f"{name}: {len(learn)} rows, {len(labels)} labels, loss {course[0]:.3f} to {course[-1]:.3f}"
        note += f", best of {len(log)} steps at {best(log) + 1}" if watched else ""
        note = ", ".join([note, *([f"{cut} inputs cut at {most} tokens"] if cut else []), *remarks])
        make_way(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with quiet():
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        keep_course(folder, log, name)
        write_student(folder, Student("encoder", key, facts, {**self._told(state, name, learn, log), "note": note}))
        return note

    def _told(self, state: DistillState, name: str, learn: Sequence[Pair], log: Log) -> dict[str, Any]:
        """How a student came to be, for its card."""
        kind = "soft labels" if self.soft else "labels"
        return {
            **origin(state, name, self.teacher),
            "recipe": f"classifier, {kind}" + (", by pairs" if self.objective == "pairs" else ""),
            "rows": len(learn), "data": digest([row.dump() for row in learn]), "seed": state.seed,
            "losses": losses(log), "dev": log[best(log)].get("dev"), "steps": best(log) + 1,
            "settings": _flat(asdict(self)),
        }  # fmt: skip

    def _loss(
        self, state: DistillState, name: str, labels: Sequence[str], model: Any, tokenizer: Any,
        learn: tuple[Sequence[Pair], Coded], apart: tuple[Sequence[Pair], Coded],
    ) -> tuple[EncoderLoss | PairLoss, Callable[[], float]]:  # fmt: skip
        """The loss of rows, and that of those kept apart."""
        import torch

        from ..students.encoding import collate

        signature = state.signature(name)
        field = label_field_of(signature, name)

        def of(rows: Sequence[Pair], ids: Coded) -> tuple[Any, torch.Tensor, torch.Tensor]:
            batch = lambda places: collate([ids[place] for place in places], tokenizer)  # noqa: E731
            return batch, targets_of(self, rows, field, labels), torch.tensor([row.weight for row in rows])

        if self.objective == "pairs":
            model.head.requires_grad_(False)
            return PairLoss(model, *of(*learn)), PairLoss(model, *of(*apart)).mean
        rows = learn[0]
        loss = EncoderLoss(
            self, model, *of(*learn), transition_of(self, rows, field, labels),
            **aids(self, state, rows, model, tokenizer, tuple(signature.input_fields)),
        )  # fmt: skip
        right = [labels.index(row.outputs[field]) for row in apart[0]]
        return loss, partial(_loss_apart, model, tokenizer, apart[1], right)

    def _open(self, state: DistillState, labels: int) -> tuple[Any, Any, bool]:
        """A classifier on the base, its tokenizer, and whether it reads the mean of the tokens."""
        from ..students.pooling import MeanClassifier

        if not self._mean(state.base):
            options = {"num_labels": labels, "seed": state.seed}
            return *open_base("SequenceClassification", state.base, **options), False
        encoder, tokenizer = open_base("", state.base, seed=state.seed)
        return MeanClassifier.new(encoder, labels, derive_int(state.seed, "head", bits=63)), tokenizer, True


def _loss_apart(model: Any, tokenizer: Any, rows: Coded, labels: Sequence[int]) -> float:
    """The mean cross-entropy of rows that are not learned."""
    from torch.nn.functional import cross_entropy

    from ..students.encoding import collate

    total, place = 0.0, device_of(model)
    for start in range(0, len(rows), 64):
        feed = {name: moved(part, place) for name, part in collate(rows[start : start + 64], tokenizer).items()}
        right = tensor_on(labels[start : start + 64], place)
        total += float(cross_entropy(model(**feed).logits.float(), right, reduction="sum"))
    return total / len(rows)


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    return {**settings.pop("training"), **settings}
